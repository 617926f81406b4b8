"""The pipeline as it is built: its parts, what depends on what, and what TFX's cache sees."""

import pytest

pytest.importorskip("tfx", reason="TFX is not installed")

from pipelines.config import PipelineConfig
from pipelines.pipeline import create_pipeline, training_config
from tfvs.code_digest import code_digest
from tfvs.datasets.adobe5k import CLASS_NAMES

pytestmark = pytest.mark.tfx
DEFAULT = PipelineConfig(
    name="adobe5k", data="data", reader="fivek", class_names=CLASS_NAMES, compression="jpeg", infra_validation=False
)
ALWAYS = [
    "SaccadeExampleGen", "StatisticsGen", "SchemaGen", "ImportSchemaGen", "ExampleValidator", "previous_statistics",
    "DistributionValidator", "Trainer", "latest_blessed_model", "Evaluator", "Pusher",
]  # fmt: skip


def build(**changes):
    return {node.id: node for node in create_pipeline(DEFAULT.replace(**changes)).components}


def test_components_and_options() -> None:
    assert sorted(build()) == sorted(ALWAYS)
    assert sorted(build(tuner_trials=2)) == sorted([*ALWAYS, "Tuner"])
    validated = build(infra_validation=True)
    assert sorted(validated) == sorted([*ALWAYS, "InfraValidator"])
    assert validated["Pusher"].inputs["infra_blessing"] is not None


def test_building_reads_no_data_and_writes_no_file(tmp_path) -> None:
    build(runs_root=str(tmp_path / "runs"), data=str(tmp_path / "data"))
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []


def test_the_trainer_s_key_holds_every_setting_but_those_of_the_gates(tmp_path) -> None:
    def given(**changes):
        return build(**changes)["Trainer"].exec_properties["custom_config"]

    assert given() == given(minimum_accuracy=0.9, maximum_drop=0.5, minimum_skill=0.3, minimum_balanced_accuracy=0.4)
    assert given() != given(train={"epochs": 3})
    assert given() == given(ingest_workers=1)
    assert given() == given(local_root=str(tmp_path))
    assert given() != given(model={"num_steps": 5})
    assert given() != given(trainer="pipelines.modules.speed_limits")
    assert training_config(DEFAULT).train == DEFAULT.train


def test_every_component_s_key_holds_the_code_that_its_result_depends_on() -> None:
    nodes = build()
    assert nodes["SaccadeExampleGen"].exec_properties["code"] == code_digest("components.saccade_example_gen.executor")
    code = nodes["Trainer"].exec_properties["custom_config"]
    assert code_digest("pipelines.modules.trainer", "pipelines.modules.tuner") in code
    assert code_digest("pipelines.metrics") in nodes["Evaluator"].exec_properties["eval_config"]
