"""Statistics and anomalies as they are read."""

import json

import pytest

pytest.importorskip("tensorflow_metadata", reason="TFX is not installed")

from tensorflow_metadata.proto.v0 import anomalies_pb2

from pipelines.reporting import data_sections
from pipelines.reporting.run_record import Artifact

pytestmark = pytest.mark.tfx


def test_anomalies_of_an_empty_split():
    anomalies = anomalies_pb2.Anomalies(data_missing=True)
    (found,) = data_sections.split_anomalies("eval", anomalies)
    assert (found.split, found.severity) == ("eval", "error")


def test_drift_is_told_as_its_reasons(tmp_path):
    drifted = anomalies_pb2.Anomalies()
    info = drifted.anomaly_info["\n\x0bimage/label"]
    info.path.step.append("image/label")
    info.severity = anomalies_pb2.AnomalyInfo.ERROR
    info.reason.add(description="The Jensen-Shannon divergence is 0.4, above the threshold 0.1.")
    for pair, anomalies in (("train_train", drifted), ("test_test", anomalies_pb2.Anomalies())):
        (tmp_path / f"SplitPair-{pair}").mkdir()
        (tmp_path / f"SplitPair-{pair}" / data_sections.ANOMALIES_FILE).write_bytes(anomalies.SerializeToString())
    names = {"split_names": json.dumps(["train_train", "test_test"])}
    (found,) = data_sections.read_anomalies([Artifact("ExampleAnomalies", str(tmp_path), names)])
    assert (found.split, found.feature, found.severity) == ("train", "image/label", "error")
    assert "divergence is 0.4" in found.what
