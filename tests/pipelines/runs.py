"""A pipeline's folder as TFX leaves it: artifacts on disk, and a metadata store that knows them."""

import io
import json

import numpy as np
import pyvips
import tensorflow as tf
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd
from PIL import Image
from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2

from pipelines.reporting import data_sections
from tfvs.data.example import LABEL, WIDTH, ImageRecord, to_example
from tfvs.images.tiff.pyramid import write_pyramid
from tfvs.viz.curves import HISTORY_FILE

NAMES = ["red", "green", "<b>blue</b>"]
COLOURS = np.array([[220, 40, 40], [40, 220, 40], [40, 40, 220]])


class ByColour(tf.Module):
    """A model that truly reads the records: it names a proxy's strongest colour."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def serve(self, examples):
        parsed = tf.io.parse_example(examples, {"proxy/encoded": tf.io.FixedLenFeature([], tf.string)})
        pixels = tf.map_fn(lambda png: tf.io.decode_png(png, 3), parsed["proxy/encoded"], fn_output_signature=tf.uint8)
        probabilities = tf.nn.softmax(tf.reduce_mean(tf.cast(pixels, tf.float32), axis=[1, 2]) / 64.0)
        boxes = tf.constant([[[0.1, 0.1, 0.4, 0.4], [0.5, 0.5, 0.9, 0.9]]])
        return {
            "probabilities": probabilities,
            "boxes": tf.tile(boxes, [tf.shape(examples)[0], 1, 1]),
            "kl": tf.ones([tf.shape(examples)[0], 2]),
            "valid": tf.ones([tf.shape(examples)[0]], tf.bool),
        }


def png(colour, size=8):
    buffer = io.BytesIO()
    Image.fromarray(np.full((size, size, 3), colour, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def write_examples(root, pyramids):
    """Six images per split; the last one of each is labelled wrongly."""
    for split in ("train", "test"):
        folder = root / f"Split-{split}"
        folder.mkdir(parents=True)
        with tf.io.TFRecordWriter(str(folder / "data-00000-of-00001.gz"), "GZIP") as writer:
            for i in range(6):
                name = f"{split}{i}.tif"
                pixels = np.full((90, 120, 3), COLOURS[i % 3], np.uint8)
                index = write_pyramid(pyvips.Image.new_from_array(pixels), pyramids / name, tile_size=64)
                label = i % 3 if i < 5 else 0
                record = ImageRecord(f"image {split} {i}", label, "00", png(COLOURS[i % 3]), name, index)
                writer.write(to_example(record).SerializeToString())


def write_statistics(root):
    for split in ("train", "test"):
        statistics = statistics_pb2.DatasetFeatureStatisticsList()
        dataset = statistics.datasets.add(num_examples=6)
        width = dataset.features.add(name=WIDTH, type=statistics_pb2.FeatureNameStatistics.INT)
        width.num_stats.min, width.num_stats.max, width.num_stats.mean = 10, 30, 20
        width.num_stats.common_stats.num_non_missing = 3
        width.num_stats.common_stats.num_missing = 1
        (root / f"Split-{split}").mkdir(parents=True)
        (root / f"Split-{split}" / data_sections.STATISTICS_FILE).write_bytes(statistics.SerializeToString())


def write_anomalies(root):
    for split in ("train", "test"):
        anomalies = anomalies_pb2.Anomalies()
        if split == "test":
            info = anomalies.anomaly_info[LABEL]
            info.severity = anomalies_pb2.AnomalyInfo.ERROR
            info.description = "Unexpectedly large value: 7."
        (root / f"Split-{split}").mkdir(parents=True)
        (root / f"Split-{split}" / data_sections.ANOMALIES_FILE).write_bytes(anomalies.SerializeToString())


class Store:
    """Fills a metadata store the way TFX does."""

    def __init__(self, path):
        config = mlmd.ConnectionConfig()
        config.sqlite.filename_uri = str(path)
        self.store = metadata_store.MetadataStore(config)
        self.types = {}

    def context(self, kind, name):
        type_id = self.store.put_context_type(mlmd.ContextType(name=kind))
        found = self.store.get_context_by_type_and_name(kind, name)
        return found.id if found else self.store.put_contexts([mlmd.Context(type_id=type_id, name=name)])[0]

    def artifact(self, kind, uri, splits=(), **properties):
        kind_id = self.store.put_artifact_type(mlmd.ArtifactType(name=kind, properties={"split_names": mlmd.STRING}))
        artifact = mlmd.Artifact(type_id=kind_id, uri=str(uri), state=mlmd.Artifact.LIVE)
        if splits:
            artifact.properties["split_names"].string_value = json.dumps(splits)
        for name, value in properties.items():
            field = "int_value" if isinstance(value, int) else "string_value"
            setattr(artifact.custom_properties[name], field, value)
        return self.store.put_artifacts([artifact])[0]

    def step(self, pipeline, run, node, state, outputs, **properties):
        type_id = self.store.put_execution_type(mlmd.ExecutionType(name=f"type.of.{node}"))
        execution = mlmd.Execution(type_id=type_id, last_known_state=state)
        for name, value in properties.items():
            execution.custom_properties[name].string_value = value
        contexts = [("pipeline", pipeline), ("pipeline_run", run), ("node", f"{pipeline}.{node}")]
        (number,) = self.store.put_executions([execution])
        self.store.put_events(
            [mlmd.Event(execution_id=number, artifact_id=output, type=mlmd.Event.OUTPUT) for output in outputs]
        )
        links = [mlmd.Association(execution_id=number, context_id=self.context(*context)) for context in contexts]
        self.store.put_attributions_and_associations([], links)


COMPLETE, CACHED, FAILED = mlmd.Execution.COMPLETE, mlmd.Execution.CACHED, mlmd.Execution.FAILED


def write_run(root):
    """A pipeline that ran twice: the first run failed in the Trainer, the second one was pushed."""
    (root / "pyramids").mkdir()
    write_examples(root / "examples", root / "pyramids")
    write_statistics(root / "statistics")
    write_anomalies(root / "anomalies")
    model = ByColour()
    tf.saved_model.save(model, str(root / "model" / "Format-Serving"), {"serving_default": model.serve})
    (root / "model_run").mkdir()
    (root / "model_run" / HISTORY_FILE).write_text("epoch,loss,kl,val_loss\n0,2.0,1.0,2.5\n1,1.5,0.5,2.25\n")
    store = Store(root / "metadata.db")
    splits = ["train", "test"]
    examples = store.artifact("Examples", root / "examples", splits)
    store.step("p", "2026-01-01", "ExampleGen", COMPLETE, [examples])
    store.step("p", "2026-01-01", "Trainer", FAILED, [])
    store.step("other", "2026-09-09", "ExampleGen", COMPLETE, [])
    store.step("p", "2026-01-02", "ExampleGen", CACHED, [examples])
    statistics = store.artifact("ExampleStatistics", root / "statistics", splits)
    store.step("p", "2026-01-02", "StatisticsGen", COMPLETE, [statistics])
    anomalies = store.artifact("ExampleAnomalies", root / "anomalies", splits)
    store.step("p", "2026-01-02", "ExampleValidator", COMPLETE, [anomalies])
    made = [store.artifact("Model", root / "model"), store.artifact("ModelRun", root / "model_run")]
    custom = json.dumps({"config": json.dumps({"class_names": NAMES, "name": "p"}), "code": "abc"})
    store.step("p", "2026-01-02", "Trainer", COMPLETE, made, custom_config=custom)
    store.step("p", "2026-01-02", "Evaluator", COMPLETE, [store.artifact("ModelBlessing", root / "b", blessed=1)])
    pushed = store.artifact("PushedModel", root / "x", pushed=1, pushed_version="17", pushed_destination="/s/17")
    store.step("p", "2026-01-02", "Pusher", COMPLETE, [pushed])
