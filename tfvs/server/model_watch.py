"""Watches one model's folder: loads its versions, warms them up, swaps and unloads them."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from tfvs.config import Config, option, require
from tfvs.errors import DataError, TfvsError
from tfvs.server.log_limits import OncePerCause
from tfvs.server.servable import Servable
from tfvs.server.status import LOGGER
from tfvs.server.versions import VersionFolder, VersionFolders, missing_files

SETTLE_SECONDS = 0.2
MAX_LOADS = 2  # versions of one model that load at a time
HANGS_AFTER_SECONDS = 60.0  # a load that takes longer no longer counts, so that another version can load


class State(Enum):
    """States of a version, with the numbers of TensorFlow Serving's GetModelStatus."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class ModelConfig(Config):
    """A model to serve."""

    name: str = option(help="What requests call it.")
    base_path: str = option(help="Folder with a numbered folder for each version.")
    latest: int = option(1, "How many of the newest versions serve; 0: all.", at_least=0)
    specific: tuple[int, ...] = option((), "These versions only; empty: as ``latest`` says.")
    labels: tuple[tuple[str, int], ...] = option(
        (), "Pairs of label and version, for requests that name a version by its label."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(bool(self.name), "A model has no name", expected="a name", received=self.name)
        require(bool(self.base_path), "A model has no base path", expected="a folder", received=self.base_path)

    def wanted(self, versions: list[int]) -> list[int]:
        """The available versions that should serve, newest first."""
        newest_first = sorted(versions, reverse=True)
        if self.specific:
            return [version for version in newest_first if version in self.specific]
        return newest_first[: self.latest] if self.latest else newest_first


@dataclass
class VersionStatus:
    """State of one version, and why it did not load."""

    state: State
    error: str = ""


class ModelWatch:
    """Keeps the wanted versions of one model loaded.

    Looking has a thread of its own, and so has every load: a file system that hangs delays only what lies on it.

    Args:
      config: The model; may be replaced while it is watched.
      poll_seconds: Time between looks; 0 or less: looks twice, and whenever it is told to.
      on_change: Called when a version begins or ceases to serve.

    Attributes:
      servables: Version → servable. Replaced, never changed: readers take no lock.
      statuses: Version → status, of all versions seen.
    """

    def __init__(self, config: ModelConfig, poll_seconds: float, on_change: Callable[[], None]) -> None:
        self.config = config
        self.servables: dict[int, Servable] = {}
        self.statuses: dict[int, VersionStatus] = {}
        self._poll_seconds, self._on_change = poll_seconds, on_change
        self._folders = VersionFolders(config.base_path)
        self._complaints = OncePerCause()
        self._changed = threading.Condition()  # guards what follows; never held while files are read
        self._seen: dict[int, VersionFolder] = {}
        self._failed: dict[int, VersionFolder] = {}
        self._loading: dict[int, float] = {}  # version → when its load began
        self._wanted: list[int] = []
        self._looks, self._woken, self._stopped = 0, False, False

    def start(self) -> None:
        """Begins to watch."""
        threading.Thread(target=self._watch, name=f"versions-{self.config.name}", daemon=True).start()

    def stop(self) -> None:
        """Ends watching; what is loaded stays, and what is still loading will not serve."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def look_again(self) -> None:
        """Makes it look at once, twice."""
        with self._changed:
            self._looks, self._woken = 0, True
            self._changed.notify_all()

    def settled(self) -> bool:
        """Whether it has looked twice, and nothing that it found then is still loading."""
        return self._looks >= 2 and not self._loading

    def wait_until_settled(self, timeout_s: float | None = None) -> bool:
        """Waits for :meth:`settled`, or for the end; returns whether it is."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self.settled(), timeout_s)
            return self.settled()

    def _watch(self) -> None:
        while not self._stopped:
            self._look()
            with self._changed:
                pause = SETTLE_SECONDS if self._looks < 2 else self._poll_seconds
                self._changed.wait_for(lambda: self._woken or self._stopped, pause if pause > 0 else None)
                self._woken = False

    def _look(self) -> None:
        try:
            found = self._folders.find()
        except Exception as error:  # a file system that is away for a moment must not end the watch
            self._complaints.error("Cannot look at %s: %s", self.config.base_path, _first_line(error))
            found = None
        if found is not None:
            self._complain_about_absence(found)
            wanted = self.config.wanted(list(found))
            ready = [version for version in wanted if self._is_ready(version, found[version])]
            with self._changed:
                self._seen, self._wanted = found, wanted
                for version in ready:
                    self._begin_load(version, found[version])
            self._unload()
        with self._changed:
            self._looks += 1
            self._changed.notify_all()

    def _is_ready(self, version: int, folder: VersionFolder) -> bool:
        """Whether to try a version now: it has not been tried as it is, and has not changed since the last look."""
        if version in self.servables or version in self._loading or self._failed.get(version) == folder:
            return False
        return self._seen.get(version) == folder

    def _begin_load(self, version: int, folder: VersionFolder) -> None:
        now = time.monotonic()
        at_work = [began for began in self._loading.values() if now - began < HANGS_AFTER_SECONDS]
        if self._stopped or len(at_work) >= MAX_LOADS:
            return
        self._loading[version] = now
        name = f"load-{self.config.name}-{version}"
        threading.Thread(target=self._load, args=(version, folder), name=name, daemon=True).start()

    def _load(self, version: int, folder: VersionFolder) -> None:
        name, missing = self.config.name, ""
        servable, warmed, problem = None, 0, ""
        try:
            missing = ", ".join(missing_files(folder.path))
            if missing:
                raise DataError(f"Version {version} of {name} is not complete", expected=missing)
            self.statuses[version] = VersionStatus(State.LOADING)
            servable = Servable(name, version, folder.path)
            servable.confine()
            warmed = servable.warm_up()
        except Exception as error:
            servable, problem = None, str(error) if isinstance(error, TfvsError) else _first_line(error)
            self._complaints.error("Version %d of %s does not load; what serves goes on. %s", version, name, problem)
        with self._changed:
            del self._loading[version]
            if missing:  # tried again at the next look
                self.statuses[version] = VersionStatus(State.START, problem)
            elif servable is None:
                self._failed[version] = folder
                self.statuses[version] = VersionStatus(State.END, problem)
            elif self._stopped or version not in self._wanted:
                self.statuses[version] = VersionStatus(State.END)
            else:
                self.servables = {**self.servables, version: servable}
                self.statuses[version] = VersionStatus(State.AVAILABLE)
                LOGGER.info(
                    "Successfully loaded servable version {name: %s version: %d}; warm-ups: %d", name, version, warmed
                )
        self._on_change()
        self._unload()
        with self._changed:
            self._woken = True  # another version may have waited for its turn
            self._changed.notify_all()

    def _unload(self) -> None:
        """Unloads versions that are not wanted, as long as a wanted one serves."""
        with self._changed:
            kept = {version: servable for version, servable in self.servables.items() if version in self._wanted}
            dropped = self.servables.keys() - kept.keys()
            if not kept or not dropped:
                return
            self.servables = kept
            for version in dropped:
                self.statuses[version] = VersionStatus(State.END)
                LOGGER.info("Unloaded servable version {name: %s version: %d}", self.config.name, version)
        gc.collect()  # a loaded SavedModel refers to itself; its memory would linger

    def _complain_about_absence(self, found: dict[int, VersionFolder]) -> None:
        name, base_path = self.config.name, self.config.base_path
        if not found:
            self._complaints.warning("No versions of servable %s found under base path %s", name, base_path)
        missing = ", ".join(str(version) for version in sorted(set(self.config.specific) - found.keys()))
        if missing:
            message = "Versions %s of servable %s are not under base path %s, or not whole"
            self._complaints.warning(message, missing, name, base_path)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
