"""Metrics for Prometheus: requests and latency under TensorFlow Serving's names, and others of this server's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import prometheus_client
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from tfvs.server.manager import ModelManager
from tfvs.server.observation import Observation
from tfvs.server.predictor import Answer

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST
REQUEST_COUNT, REQUEST_LATENCY = ":tensorflow:serving:request_count", ":tensorflow:serving:request_latency"
TILES_READ = "tiles_read"
# Microseconds: TensorFlow Serving's buckets, from 10 by factors of 1.8 to about 20 minutes.
_LATENCY_BUCKETS = [10 * 1.8**power for power in range(33)]
_BATCH_BUCKETS = [2**power for power in range(13)]


class Metrics(Collector):
    """Counts requests; also an observer of requests, answers and batches.

    Names of models and signatures that are not served are counted under an empty name: else a client could make as many
    series as it likes.

    Args:
      manager: Knows which versions serve.
      requests_waiting: Tells how many requests wait for a thread.
      batches_waiting: Tells how many batches wait for one.
    """

    def __init__(
        self, manager: ModelManager, *, requests_waiting: Callable[[], int], batches_waiting: Callable[[], int]
    ) -> None:
        self._manager = manager
        self._registry = prometheus_client.CollectorRegistry()
        self._requests = prometheus_client.Counter(
            "requests", "", ["model_name", "signature", "status", "API", "entrypoint"], registry=None
        )
        self._latency = prometheus_client.Histogram(
            REQUEST_LATENCY,
            "Microseconds per answered request.",
            ["model_name", "API", "entrypoint"],
            buckets=_LATENCY_BUCKETS,
            registry=self._registry,
        )
        self._batch_rows = prometheus_client.Histogram(
            "tfvs_batch_rows", "Rows of each batch that has run.", buckets=_BATCH_BUCKETS, registry=self._registry
        )
        self._tiles = prometheus_client.Counter(
            "tfvs_tiles_read", "Tiles of pyramids that were read.", ["model_name"], registry=self._registry
        )
        for name, help_text, waiting in (
            ("tfvs_requests_waiting", "Requests that wait for a thread.", requests_waiting),
            ("tfvs_batches_waiting", "Batches that wait for a thread.", batches_waiting),
        ):
            prometheus_client.Gauge(name, help_text, registry=self._registry).set_function(waiting)
        self._registry.register(self)

    def observe(self, observation: Observation) -> None:
        """Counts one request."""
        servable = self._manager.find(observation.model)
        model = observation.model if servable is not None else ""
        known = servable is not None and observation.signature in servable.signatures
        signature = observation.signature if known else ""
        labels = model, signature, observation.code, observation.api, observation.entrypoint
        self._requests.labels(*labels).inc()
        if observation.code == "OK":
            self._latency.labels(model, observation.api, observation.entrypoint).observe(1e6 * observation.seconds)

    def answered(self, answer: Answer) -> None:
        """Counts the tiles that an answer took."""
        if TILES_READ in answer.outputs:
            self._tiles.labels(answer.servable.name).inc(float(answer.outputs[TILES_READ].sum()))

    def batched(self, rows: int) -> None:
        """Counts a batch."""
        self._batch_rows.observe(rows)

    def page(self) -> bytes:
        """All metrics, in Prometheus' text format."""
        return prometheus_client.generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """The metrics that are looked up when they are asked for; the registry calls this."""
        # Its type is "unknown", because the client library adds "_total" to the name of a counter.
        requests = Metric(REQUEST_COUNT, "Answered requests.", "unknown")
        for sample in _samples(self._requests.collect(), "_total"):
            requests.add_sample(REQUEST_COUNT, sample.labels, sample.value)
        yield requests
        loaded = GaugeMetricFamily(
            "tfvs_model_version_loaded", "1 per version that serves.", labels=["model_name", "version"]
        )
        for name, version in self._manager.serving():
            loaded.add_metric([name, str(version)], 1.0)
        yield loaded


def _samples(metrics: Iterable[Metric], suffix: str) -> Iterator[Sample]:
    for metric in metrics:
        yield from (sample for sample in metric.samples if sample.name.endswith(suffix))
