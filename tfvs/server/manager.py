"""Which models serve: one watch per model, and changes of the configuration while requests go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

import grpc
import tensorflow as tf

from tfvs.errors import DataError
from tfvs.server.model_watch import HANGS_AFTER_SECONDS, ModelConfig, ModelWatch, State, VersionStatus
from tfvs.server.servable import Servable
from tfvs.server.status import LOGGER, RequestError

__all__ = ["ModelConfig", "ModelManager", "State", "VersionStatus", "require_folders"]

FOLDER_CHECK_SECONDS = 10.0  # a file system that has not answered by then hangs
RELOAD_SECONDS = 300.0  # a new model that has not loaded by then is refused


class ModelManager:
    """Keeps the wanted versions loaded.

    A version is loaded when its ``saved_model.pb`` and all assets that this names are there and its files have not
    changed between two looks; it is warmed up before it takes a request; the older one goes only when the newer one
    serves, and answers what it has begun. A version that does not load is tried again when its files change.

    Args:
      configs: The models.
      poll_seconds: Time between looks; 0 or less: looks only when it starts and when the configuration changes.
      on_change: Called when a model begins or ceases to serve, for health checks.
    """

    def __init__(
        self, configs: list[ModelConfig], *, poll_seconds: float = 1.0, on_change: Callable[[], None] = lambda: None
    ) -> None:
        self._poll_seconds, self._on_change = poll_seconds, on_change
        self._watches = {config.name: self._watch(config) for config in configs}  # replaced, never changed
        self._reloading = threading.Lock()
        self._began, self._started = time.monotonic(), False

    def start(self) -> None:
        """Begins to load what is there, and to watch."""
        for watch in self._watches.values():
            watch.start()

    def wait_until_settled(self, timeout_s: float | None = None) -> bool:
        """Waits until every model has loaded what it found, or failed to; returns whether that is so."""
        end = None if timeout_s is None else time.monotonic() + timeout_s
        settled = True
        for watch in self._watches.values():
            settled &= watch.wait_until_settled(None if end is None else max(end - time.monotonic(), 0.0))
        return settled

    def stop(self) -> None:
        """Ends watching; what is loaded stays."""
        for watch in self._watches.values():
            watch.stop()

    def find(self, name: str, version: int | None = None) -> Servable | None:
        """The servable of that name: that version, or the newest that serves."""
        watch = self._watches.get(name)
        servables = watch.servables if watch else {}
        if version is None:
            return servables[max(servables)] if servables else None
        return servables.get(version)

    def statuses(self, name: str) -> dict[int, VersionStatus]:
        """Version → status of all versions seen, newest first; empty for an unknown model."""
        watch = self._watches.get(name)
        return dict(sorted(watch.statuses.copy().items(), reverse=True)) if watch else {}

    def labelled(self, name: str, label: str) -> int | None:
        """The version that a label of the model stands for; None: there is no such label."""
        watch = self._watches.get(name)
        return dict(watch.config.labels).get(label) if watch else None

    def serving(self) -> list[tuple[str, int]]:
        """Name and version of all that serve."""
        return [(name, version) for name, watch in sorted(self._watches.items()) for version in sorted(watch.servables)]

    def ready(self) -> dict[str, bool]:
        """Model → whether a version of it serves."""
        return {name: bool(watch.servables) for name, watch in self._watches.items()}

    def check_loaded(self, name: str) -> None:
        """Checks that nothing is still loading that may answer a call for this model in a moment.

        Call it where a model serves nothing. TensorFlow Serving accepts no call before the models that it began with
        are loaded, and clients take its answer to a call for a model that does not exist as the sign that it is ready;
        so such calls wait as well. A load that hangs delays that answer for a minute at most.

        Raises:
          RequestError: UNAVAILABLE.
        """
        watch = self._watches.get(name)
        if watch is not None:
            if not watch.servables and not watch.settled():
                raise RequestError(grpc.StatusCode.UNAVAILABLE, f"The model is still loading: {name}")
            return
        if not self._started:
            loaded = all(watch.servables or watch.settled() for watch in self._watches.values())
            self._started = loaded or time.monotonic() - self._began > HANGS_AFTER_SECONDS
        if not self._started:
            raise RequestError(grpc.StatusCode.UNAVAILABLE, "The server is still loading its models.")

    def reconfigure(self, configs: list[ModelConfig], timeout_s: float | None = None) -> None:
        """Serves these models from now on, and returns when their versions are loaded.

        Args:
          configs: All models.
          timeout_s: How long new models may take to load.

        Raises:
          DataError: A base path does not exist, or a new model has no version that loads in time. The models stay as
            they were.
        """
        end = time.monotonic() + (RELOAD_SECONDS if timeout_s is None else timeout_s)
        require_folders({config.name: config.base_path for config in configs})
        if not self._reloading.acquire(timeout=max(end - time.monotonic(), 0.0)):
            raise DataError("Another change of the models is still going on", mend="Try again later")
        try:
            self._replace(configs, end)
        finally:
            self._reloading.release()

    def _replace(self, configs: list[ModelConfig], end: float) -> None:
        before, after = self._watches, {}
        for config in configs:
            old = before.get(config.name)
            kept = old is not None and old.config.base_path == config.base_path
            after[config.name] = old if kept and old is not None else self._watch(config)
        new = {name: watch for name, watch in after.items() if watch is not before.get(name)}
        for watch in new.values():
            watch.start()
        for name, watch in new.items():
            watch.wait_until_settled(max(end - time.monotonic(), 0.0))
            if not watch.servables:
                for begun in new.values():
                    begun.stop()
                raise DataError(f"No version of {name} under {watch.config.base_path} can be served")
        for config in configs:
            after[config.name].config = config
        self._watches = after
        for name, watch in before.items():
            if after.get(name) is not watch:
                watch.stop()
        for name, watch in after.items():
            if name not in new:
                watch.look_again()
                watch.wait_until_settled(max(min(end - time.monotonic(), FOLDER_CHECK_SECONDS), 0.0))
        self._on_change()

    def _watch(self, config: ModelConfig) -> ModelWatch:
        return ModelWatch(config, self._poll_seconds, self._on_change)


def require_folders(base_paths: Mapping[str, str]) -> None:
    """Raises DataError unless every base path is a folder. One that does not answer is left to its watch."""
    for path in base_paths.values():
        found: list[bool] = []
        check = threading.Thread(
            target=lambda path=path, found=found: found.append(tf.io.gfile.isdir(path)), daemon=True
        )
        check.start()
        check.join(FOLDER_CHECK_SECONDS)
        if not found:
            LOGGER.error("%s has not answered for %d s", path, FOLDER_CHECK_SECONDS)
        elif not found[0]:
            raise DataError(
                "The model's base path is no folder", expected="a folder of numbered versions", received=path
            )
