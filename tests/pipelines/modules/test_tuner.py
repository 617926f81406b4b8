"""Two tiny trials through TFX's own Tuner, and the Trainer that takes the better one."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tfx", reason="TFX is not installed")

import apache_beam as beam
import tfx.v1 as tfx

from components.job import run_job
from pipelines.config import PipelineConfig
from pipelines.modules.fitting import with_hyperparameters
from pipelines.pipeline import make_learners
from pipelines.preflight import prepare_options
from pipelines.reporting.run_record import read_run
from pipelines.schema import schema_file
from tests.preparation.images import write_png
from tfvs.errors import ConfigError
from tfvs.images.proxy import ProxyRecipe
from tfvs.preparation.job import Job
from tfvs.preparation.options import PrepareOptions
from tfvs.preparation.readers import make_reader

pytestmark = pytest.mark.tfx
DEFAULT = PipelineConfig(
    name="two_digit_mnist",
    data="data",
    reader="folder",
    class_names=("a", "b", "c"),
    proxy=ProxyRecipe(height=8, width=8),
    tile_size=64,
    model={"num_steps": 1, "crop_size": 8, "min_scale": 0.5, "max_scale": 0.9},
    train={"epochs": 1, "steps_per_epoch": 5, "batch_size": 4, "seed": 5},  # two steps are a pass over the data
    tuner_trials=2,
    tuner_epochs=1,
)


def test_values_of_a_trial_go_where_they_belong() -> None:
    config = with_hyperparameters(DEFAULT, {"train.learning_rate": 0.5, "model.kl_weight": 0.25})
    assert config.train == {**DEFAULT.train, "learning_rate": 0.5}
    assert config.model == {**DEFAULT.model, "kl_weight": 0.25}
    assert with_hyperparameters(DEFAULT, {}) == DEFAULT
    with pytest.raises(ConfigError, match=r"train\.<field>"):
        with_hyperparameters(DEFAULT, {"learning_rate": 0.5})


def write_examples(folder: Path, config: PipelineConfig) -> None:
    for split, count in (("train", 9), ("eval", 6)):
        for number in range(count):
            write_png(folder / "data" / split / "abc"[number % 3] / f"{split}{number}.png", seed=number)
    run_job(
        Job(
            reader=make_reader("folder", str(folder / "data"), config.class_names),
            options=PrepareOptions.from_dict(prepare_options(config).to_dict()),
            records_root=str(folder / "examples"),
            pyramid_root=str(config.pyramid_root),
            num_shards=1,
        ),
        lambda: beam.Pipeline("DirectRunner"),
    )


@pytest.mark.slow
def test_two_trials_and_the_better_one_is_trained(tmp_path) -> None:
    config = DEFAULT.replace(runs_root=str(tmp_path / "runs"))
    write_examples(tmp_path, config)
    examples = tfx.dsl.Importer(
        source_uri=str(tmp_path / "examples"),
        artifact_type=tfx.types.standard_artifacts.Examples,
        properties={"split_names": json.dumps(["train", "eval"])},
        custom_properties={"file_format": "tfrecords_gzip", "payload_format": "FORMAT_TF_EXAMPLE"},
    ).with_id("examples")
    schema = tfx.components.ImportSchemaGen(schema_file=str(schema_file(config)))
    learners, _ = make_learners(config, examples.outputs["result"], schema.outputs["schema"])
    pipeline = tfx.dsl.Pipeline(
        pipeline_name=config.name,
        pipeline_root=config.location("artifacts"),
        components=[examples, schema, *learners],
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            str(config.metadata_path)
        ),
    )
    tfx.orchestration.LocalDagRunner().run(pipeline)

    record = read_run(config.metadata_path, config.name)
    trials = json.loads(Path(record.artifact("TunerResults").uri, "tuner_results.json").read_text())
    assert len(trials) == 2
    assert trials[0]["score"] >= trials[1]["score"]
    assert trials[0]["train.learning_rate"] != trials[1]["train.learning_rate"]
    best = json.loads(Path(record.artifact("HyperParameters").uri, "best_hyperparameters.txt").read_text())["values"]
    assert best == {name: value for name, value in trials[0].items() if name not in ("trial_id", "score")}

    import keras

    model = keras.saving.load_model(str(Path(record.artifact("ModelRun").uri) / "model.keras"))
    assert model.config.kl_weight == pytest.approx(best["model.kl_weight"])
    history = np.genfromtxt(
        str(Path(record.artifact("ModelRun").uri) / "history.csv"), delimiter=",", names=True, dtype=None
    )
    assert history["epoch"] == 0
