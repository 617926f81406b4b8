"""What stands between a trained model and its users, with TFX's own components on models whose answers are known."""

import json
import shutil

import pytest
import tensorflow as tf

pytest.importorskip("tfx", reason="TFX is not installed")

import tfx.v1 as tfx

from pipelines.config import PipelineConfig
from pipelines.missing import forget_missing
from pipelines.pipeline import make_gates
from pipelines.reporting.evaluation import read_evaluation
from pipelines.reporting.run_record import read_run
from tfvs.data import example as contract

pytestmark = [pytest.mark.tfx, pytest.mark.slow]
NAMES = ("often", "seldom", "rare")
# Sixty, thirty and ten in a hundred: the best constant answer is right in 60 % of the images.
LABELS = [0] * 60 + [1] * 30 + [2] * 10
CONFIG = {
    "name": "gated",
    "data": "none",
    "reader": "manifest",
    "class_names": NAMES,
    "minimum_accuracy": 0.5,
    "infra_validation": False,
}


class Known(tf.Module):
    """Right about the first so many images; about all others it says the next class, or always the first class."""

    def __init__(self, right: int, otherwise_first: bool = False) -> None:
        super().__init__()
        self.right, self.otherwise_first = right, otherwise_first

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def serve(self, examples):
        feature = tf.io.FixedLenFeature([], tf.int64)
        parsed = tf.io.parse_example(examples, {contract.LABEL: feature, "number": feature})
        label = parsed[contract.LABEL]
        other = tf.zeros_like(label) if self.otherwise_first else (label + 1) % len(NAMES)
        answer = tf.where(parsed["number"] < self.right, label, other)
        return {"probabilities": 0.7 * tf.one_hot(answer, len(NAMES)) + 0.1}


class Gated:
    """A pipeline of the gates alone: last blessed model, Evaluator, Pusher."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.config = PipelineConfig(**CONFIG, runs_root=str(folder / "runs"))
        split = folder / "examples" / "Split-test"
        split.mkdir(parents=True)
        with tf.io.TFRecordWriter(str(split / "data-00000-of-00001.gz"), "GZIP") as writer:
            for number, label in enumerate(LABELS):
                values = {contract.LABEL: label, "number": number, contract.WIDTH: 640, contract.HEIGHT: 480}
                features = {
                    name: tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
                    for name, value in values.items()
                }
                example = tf.train.Example(features=tf.train.Features(feature=features))
                writer.write(example.SerializeToString())

    def run(self, name: str, model: Known | None = None) -> dict[str, str]:
        """Runs the gates on a model, saved now or before; returns the components' states."""
        if model is not None:
            path = self.folder / name / "Format-Serving"
            tf.saved_model.save(model, str(path), {"serving_default": model.serve})
        examples = tfx.dsl.Importer(
            source_uri=str(self.folder / "examples"),
            artifact_type=tfx.types.standard_artifacts.Examples,
            properties={"split_names": json.dumps(["test"])},
            custom_properties={"file_format": "tfrecords_gzip", "payload_format": "FORMAT_TF_EXAMPLE"},
        ).with_id("examples")
        trained = tfx.dsl.Importer(
            source_uri=str(self.folder / name), artifact_type=tfx.types.standard_artifacts.Model
        ).with_id("trained")
        gates = make_gates(self.config, trained.outputs["result"], examples.outputs["result"])
        pipeline = tfx.dsl.Pipeline(
            pipeline_name=self.config.name,
            pipeline_root=self.config.location("artifacts"),
            components=[examples, trained, *gates],
            enable_cache=True,
            metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
                str(self.config.metadata_path)
            ),
        )
        forget_missing(self.config.metadata_path, print)  # as pipelines.local_runner does before a run
        tfx.orchestration.LocalDagRunner().run(pipeline)
        self.record = read_run(self.config.metadata_path, self.config.name)
        return {step.component: step.state for step in self.record.steps}

    def verdict(self) -> tuple[bool, bool, int]:
        """Blessed in the last run, pushed in the last run, and how many versions there are."""
        blessing, pushed = self.record.artifact("ModelBlessing"), self.record.artifact("PushedModel")
        versions = list(self.config.serving_root.glob("*/saved_model.pb"))
        return bool(blessing.properties["blessed"]), bool(pushed.properties["pushed"]), len(versions)

    def failures(self) -> list[str]:
        return list(read_evaluation(self.record.artifact("ModelEvaluation").uri, NAMES).failures)


def test_only_a_model_that_knows_more_and_is_no_worse_is_pushed(tmp_path) -> None:
    gated = Gated(tmp_path)

    gated.run("guesses", Known(0, otherwise_first=True))  # 60 % right, above the minimum of 50 %
    assert gated.verdict() == (False, False, 0)
    (failure,) = gated.failures()
    assert failure.startswith("accuracy above guessing is 0;")

    gated.run("good", Known(90))
    assert gated.verdict() == (True, True, 1)
    assert gated.failures() == []

    gated.run("worse", Known(80))  # above both minimums
    assert gated.verdict() == (False, False, 1)
    (failure,) = gated.failures()
    assert "accuracy is -0.1" in failure or "accuracy is 0.8" in failure
    assert "a change of -0.02 (absolute)" in failure

    states = gated.run("good")  # the very same again: nothing runs, nothing is pushed again
    assert (states["Evaluator"], states["Pusher"]) == ("reused", "reused")
    assert gated.verdict() == (True, True, 1)

    gated.run("better", Known(95))
    assert gated.verdict() == (True, True, 2)


def test_a_pushed_model_that_was_deleted_is_pushed_again(tmp_path) -> None:
    gated = Gated(tmp_path)
    gated.run("good", Known(90))
    (version,) = gated.config.serving_root.iterdir()
    assert gated.run("good")["Pusher"] == "reused"
    shutil.rmtree(version)
    assert gated.run("good")["Pusher"] == "complete"
    assert gated.verdict() == (True, True, 1)
    assert gated.run("good")["Pusher"] == "reused"


def test_a_baseline_that_was_deleted_is_no_baseline(tmp_path) -> None:
    gated = Gated(tmp_path)
    gated.run("good", Known(90))
    shutil.rmtree(tmp_path / "good")
    gated.run("worse", Known(80))  # with the good model as its baseline it would not be blessed
    assert gated.verdict() == (True, True, 2)
