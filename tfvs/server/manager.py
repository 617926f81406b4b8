"""Which versions of which models serve: watches the base paths, loads, warms up, swaps and unloads."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

import tensorflow as tf

from tfvs.config import Config, require
from tfvs.errors import DataError
from tfvs.server.servable import SAVED_MODEL_FILE, Servable
from tfvs.server.status import LOGGER

SETTLE_SECONDS = 0.2


class State(Enum):
    """States of a version, with the numbers of TensorFlow Serving's GetModelStatus."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class ModelConfig(Config):
    """A model to serve.

    Attributes:
      name: What requests call it.
      base_path: Folder with a numbered folder for each version.
      latest: How many of the newest versions serve; 0: all.
      specific: These versions only; empty: as ``latest`` says.
      labels: Label and version, for requests that name a version by its label.
    """

    name: str
    base_path: str
    latest: int = 1
    specific: tuple[int, ...] = ()
    labels: tuple[tuple[str, int], ...] = ()

    def __post_init__(self) -> None:
        require(bool(self.name), "A model has no name", expected="a name", received=self.name)
        require(bool(self.base_path), "A model has no base path", expected="a folder", received=self.base_path)

    def wanted(self, versions: list[int]) -> list[int]:
        """Of the versions there are, those that should serve, newest first."""
        newest_first = sorted(versions, reverse=True)
        if self.specific:
            return [version for version in newest_first if version in self.specific]
        return newest_first[: self.latest] if self.latest else newest_first


@dataclass
class VersionStatus:
    """State of one version, and why it did not load."""

    state: State
    error: str = ""


@dataclass
class _Model:
    config: ModelConfig
    servables: dict[int, Servable] = field(default_factory=dict)  # replaced, never changed: readers take no lock
    statuses: dict[int, VersionStatus] = field(default_factory=dict)
    seen: dict[int, str] = field(default_factory=dict)  # fingerprints of the versions' files at the last look
    failed: dict[int, str] = field(default_factory=dict)  # fingerprints that did not load
    announced: bool = False
    missing: list[int] = field(default_factory=list)  # specific versions that were not there at the last look


class ModelManager:
    """Keeps the wanted versions loaded.

    A version is loaded when its ``saved_model.pb`` is there and its files have not changed between two looks; it is
    warmed up before it takes a request; the older one goes only when the newer one serves, and answers what it has
    begun. A version that does not load is tried again when its files change.

    Args:
      configs: The models.
      poll_seconds: Time between looks; 0 or less: looks once.
      on_change: Called with the name and whether it serves, for health checks.
    """

    def __init__(
        self,
        configs: list[ModelConfig],
        *,
        poll_seconds: float = 1.0,
        on_change: Callable[[str, bool], None] = lambda name, serves: None,
    ) -> None:
        self._models = {config.name: _Model(config) for config in configs}
        self._poll_seconds, self._on_change = poll_seconds, on_change
        self._lock = threading.RLock()  # held while loading; requests never take it
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Loads what is there, then watches in the background."""
        self.poll()
        if not self._stop.wait(SETTLE_SECONDS):
            self.poll()
        if self._poll_seconds > 0:
            self._thread = threading.Thread(target=self._watch, name="versions", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ends watching; what is loaded stays."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def find(self, name: str, version: int | None = None) -> Servable | None:
        """The servable of that name: that version, or the newest that serves."""
        model = self._models.get(name)
        servables = model.servables if model else {}
        if version is None:
            return servables[max(servables)] if servables else None
        return servables.get(version)

    def serving(self) -> list[tuple[str, int]]:
        """Name and version of all that serve."""
        return [(name, version) for name, model in sorted(self._models.items()) for version in sorted(model.servables)]

    def labelled(self, name: str, label: str) -> int | None:
        """The version that a label of the model stands for; None: there is no such label."""
        model = self._models.get(name)
        return dict(model.config.labels).get(label) if model else None

    def statuses(self, name: str) -> dict[int, VersionStatus]:
        """Version → status of all versions seen, newest first; empty for an unknown model."""
        model = self._models.get(name)
        return dict(sorted(model.statuses.copy().items(), reverse=True)) if model else {}

    def reconfigure(self, configs: list[ModelConfig]) -> None:
        """Serves these models from now on, and returns when their versions are loaded.

        Raises:
          DataError: A base path does not exist, or a new model has no version that loads. The models stay as they were.
        """
        with self._lock:
            for config in configs:
                _require_folder(config.base_path)
            before, after = self._models, {}
            for config in configs:
                old = before.get(config.name)
                same = old is not None and old.config.base_path == config.base_path
                after[config.name] = old if same and old is not None else _Model(config)
            for config in configs:
                if config.name not in before or after[config.name] is not before[config.name]:
                    for _ in range(2):
                        self._look(after[config.name])
                        self._stop.wait(SETTLE_SECONDS)
                    if not after[config.name].servables:
                        raise DataError(f"No version of {config.name} under {config.base_path} can be served")
            for config in configs:
                after[config.name].config = config
            self._models = after
            for name in before.keys() - after.keys():
                self._on_change(name, False)
            self.poll()

    def poll(self) -> None:
        """Looks at the base paths once, and loads and unloads accordingly."""
        with self._lock:
            for model in list(self._models.values()):
                try:
                    self._look(model)
                except Exception as error:  # a file system that is away for a moment must not end the watch
                    LOGGER.warning("Cannot look at %s: %s", model.config.base_path, error)
                self._on_change(model.config.name, bool(model.servables))

    def _watch(self) -> None:
        while not self._stop.wait(self._poll_seconds):
            self.poll()

    def _look(self, model: _Model) -> None:
        present = _fingerprints(model.config.base_path)
        wanted = model.config.wanted(list(present))
        settled = [version for version in wanted if model.seen.get(version) == present[version]]
        model.seen = present
        if not present and not model.announced:
            LOGGER.warning(
                "No versions of servable %s found under base path %s", model.config.name, model.config.base_path
            )
        missing = sorted(set(model.config.specific) - present.keys())
        if missing != model.missing:
            if missing:
                LOGGER.warning(
                    "Versions %s of servable %s are not under base path %s, or not whole",
                    ", ".join(map(str, missing)),
                    model.config.name,
                    model.config.base_path,
                )
            model.missing = missing
        model.announced = True
        for version in settled:
            if version not in model.servables and model.failed.get(version) != present[version]:
                self._load(model, version, present[version])
        self._unload(model, wanted)

    def _load(self, model: _Model, version: int, fingerprint: str) -> None:
        name, path = model.config.name, os.path.join(model.config.base_path, str(version))
        model.statuses[version] = VersionStatus(State.LOADING)
        try:
            servable = Servable(name, version, path)
            servable.confine()
            warmed = servable.warm_up()
        except DataError as error:
            model.failed[version] = fingerprint
            model.statuses[version] = VersionStatus(State.END, str(error))
            LOGGER.error("Version %d of %s does not load; what serves goes on. %s", version, name, error)
            return
        model.servables = {**model.servables, version: servable}
        model.statuses[version] = VersionStatus(State.AVAILABLE)
        LOGGER.info("Successfully loaded servable version {name: %s version: %d}; warm-ups: %d", name, version, warmed)

    def _unload(self, model: _Model, wanted: list[int]) -> None:
        """Lets go of versions that are not wanted, as long as a wanted one serves."""
        if not any(version in model.servables for version in wanted):
            return
        dropped = [version for version in model.servables if version not in wanted]
        if dropped:
            model.servables = {key: value for key, value in model.servables.items() if key in wanted}
            for version in dropped:
                model.statuses[version] = VersionStatus(State.END)
                LOGGER.info("Unloaded servable version {name: %s version: %d}", model.config.name, version)
            gc.collect()  # a loaded SavedModel refers to itself; its memory would linger


def _require_folder(path: str) -> None:
    if not tf.io.gfile.isdir(path):
        raise DataError("The model's base path is no folder", expected="a folder of numbered versions", received=path)


def require_folders(configs: Mapping[str, str]) -> None:
    """Raises DataError unless every base path is a folder."""
    for path in configs.values():
        _require_folder(path)


def _fingerprints(base_path: str) -> dict[int, str]:
    """Versions that have their ``saved_model.pb`` → names, sizes and times of all their files."""
    versions = {}
    for entry in tf.io.gfile.listdir(base_path):
        number = entry.rstrip("/")
        path = os.path.join(base_path, number)
        if not number.isdecimal() or not tf.io.gfile.exists(os.path.join(path, SAVED_MODEL_FILE)):
            continue
        parts = []
        for folder, _, files in tf.io.gfile.walk(path):
            for file in sorted(files):
                full = os.path.join(folder, file)
                stat = tf.io.gfile.stat(full)
                parts.append(f"{full}:{stat.length}:{stat.mtime_nsec}")
        versions[int(number)] = "\n".join(sorted(parts))
    return versions
