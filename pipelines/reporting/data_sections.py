"""Data statistics and anomalies, from the protocol buffers that TFX's components wrote."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.reporting.run_record import Artifact
from tfvs.data.layout import split_folder
from tfvs.preparation import files

STATISTICS_FILE = "FeatureStats.pb"
ANOMALIES_FILE = "SchemaDiff.pb"


@dataclass(frozen=True)
class FeatureRow:
    """One feature of one split.

    Attributes:
      name: Name of the feature.
      kind: ``"INT"``, ``"FLOAT"`` or ``"BYTES"``.
      missing: Share of the examples without it, in [0, 1].
      values: What it holds, in words.
    """

    name: str
    kind: str
    missing: float
    values: str


@dataclass(frozen=True)
class SplitStatistics:
    """One split's examples and features."""

    split: str
    examples: int
    features: Sequence[FeatureRow]


@dataclass(frozen=True)
class Anomaly:
    """Something in the data that the schema does not allow."""

    split: str
    feature: str
    severity: str
    what: str


def split_names(artifact: Artifact) -> list[str]:
    """The splits of an artifact, in its own order."""
    return list(json.loads(artifact.properties.get("split_names") or "[]"))


def read_statistics(artifact: Artifact) -> list[SplitStatistics]:
    """Reads what StatisticsGen wrote, one entry per split."""
    from tensorflow_metadata.proto.v0 import statistics_pb2

    splits = []
    for split in split_names(artifact):
        path = files.join(artifact.uri, split_folder(split), STATISTICS_FILE)
        for dataset in statistics_pb2.DatasetFeatureStatisticsList.FromString(files.read(path)).datasets:
            splits.append(split_statistics(split, dataset))
    return splits


def split_statistics(split: str, dataset: Any) -> SplitStatistics:
    """The readable part of a ``DatasetFeatureStatistics``."""
    rows = []
    for feature in dataset.features:
        numeric = feature.WhichOneof("stats") == "num_stats"
        statistics = feature.num_stats if numeric else _text_statistics(feature)
        common = statistics.common_stats
        total = common.num_missing + common.num_non_missing
        rows.append(
            FeatureRow(
                name=feature.name or ".".join(feature.path.step),
                kind=_KINDS.get(int(feature.type), "other"),
                missing=common.num_missing / total if total else 0.0,
                values=_numbers(statistics) if numeric else _texts(statistics),
            )
        )
    return SplitStatistics(split, int(dataset.num_examples), sorted(rows, key=lambda row: row.name))


_KINDS = {0: "INT", 1: "FLOAT", 2: "BYTES", 3: "BYTES"}


def _text_statistics(feature: Any) -> Any:
    return feature.string_stats if feature.WhichOneof("stats") == "string_stats" else feature.bytes_stats


def _numbers(statistics: Any) -> str:
    low, high = statistics.min, statistics.max
    if low == high:
        return f"always {low:g}"
    return f"{low:g} to {high:g}, mean {statistics.mean:.4g}"


def _texts(statistics: Any) -> str:
    if statistics.unique == 1:
        return "always the same"
    length = f"{statistics.avg_length if hasattr(statistics, 'avg_length') else statistics.avg_num_bytes:.4g}"
    return f"{statistics.unique:,} different, {length} bytes on average" if statistics.unique else f"{length} bytes"


def read_anomalies(artifacts: Sequence[Artifact]) -> list[Anomaly]:
    """Reads what ExampleValidator and DistributionValidator wrote; an empty list means that nothing was found."""
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    found = []
    for artifact in artifacts:
        for name in split_names(artifact):
            # A split against the schema, or a pair "train_train": a split against that of the data before.
            path, split = files.join(artifact.uri, split_folder(name), ANOMALIES_FILE), name
            if not files.exists(path):
                path = files.join(artifact.uri, f"SplitPair-{name}", ANOMALIES_FILE)
                split = name.partition("_")[0]
            anomalies = anomalies_pb2.Anomalies.FromString(files.read(path))
            found += split_anomalies(split, anomalies)
    return found


def split_anomalies(split: str, anomalies: Any) -> list[Anomaly]:
    """The readable part of an ``Anomalies`` protocol buffer."""
    severities = {0: "unknown", 1: "warning", 2: "error"}
    found = [
        Anomaly(split, _feature(name, info), severities.get(int(info.severity), "unknown"), _description(info))
        for name, info in sorted(anomalies.anomaly_info.items())
    ]
    if anomalies.data_missing:
        found.append(Anomaly(split, "all features", "error", "The split holds no examples."))
    found += [
        Anomaly(split, "all features", "error", reason.description or reason.short_description)
        for reason in anomalies.dataset_anomaly_info.reason
    ]
    return found


def _feature(name: str, info: Any) -> str:
    return ".".join(info.path.step) or name


def _description(info: Any) -> str:
    """A comparison of distributions is described in its reasons alone."""
    reasons = "; ".join(reason.description or reason.short_description for reason in info.reason)
    return info.description or info.short_description or reasons
