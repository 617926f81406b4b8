"""A job's own folder among the records: what is written lies there until it is checked, whatever else still runs.

A job whose launcher died may go on on its cluster. It writes into its own folder alone, under names of its own, so it
changes no file of a later job. The manifest is the commit point: it is removed before anything else changes, written
after all shards are in place, and names their sizes and digests, by which readers refuse any other file. Nothing here
needs a file system whose renaming is atomic.
"""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tfvs.data.layout import MANIFEST, SPLIT_PREFIX
from tfvs.errors import ResourceError
from tfvs.preparation import files

try:
    import fcntl
except ImportError:  # a system without such locks: whether a launcher lives cannot be known there
    fcntl = None  # type: ignore[assignment]

DEAD_LETTERS = "rejected.jsonl"
PREFIX = ".job-"
_OWNER = "owner"  # the file that a living launcher holds locked, where the file system has locks


@dataclass(frozen=True)
class JobFolder:
    """Where one job writes before its records are in place.

    Attributes:
      path: Path or URI of the folder.
    """

    path: str

    @property
    def summary(self) -> str:
        """The file in which the job tells what it did."""
        return files.join(self.path, "summary.json")

    @property
    def progress(self) -> str:
        """The folder in which workers tell how far they are."""
        return files.join(self.path, "progress")

    @property
    def owner(self) -> str:
        """The file that is there as long as no later job has taken the output."""
        return files.join(self.path, _OWNER)

    def new_attempt(self) -> str:
        """A folder for one attempt at a shard: no other attempt, of this job or another, ever writes there."""
        return files.join(self.path, uuid.uuid4().hex)


@contextlib.contextmanager
def own_folder(root: str, pyramid_root: str) -> Iterator[JobFolder]:
    """Takes an output: removes what earlier jobs left there, and gives a folder that is removed in the end.

    Args:
      root: Folder of the records.
      pyramid_root: Root of the pyramids, which stay; it is made where it is missing.

    Raises:
      ResourceError: The output cannot be written, or another launcher that is alive is writing there.
    """
    with contextlib.ExitStack() as stack:
        folder = JobFolder(files.join(root, f"{PREFIX}{uuid.uuid4().hex}"))
        try:
            for path in (root, pyramid_root):
                if files.is_local(path):
                    Path(path).mkdir(parents=True, exist_ok=True)
            _clear(root)
            with files.atomic_write(folder.owner) as file:
                file.write(b"A job that began later removes this file, and this job's folder with it.\n")
            lock = _lock(folder.owner)
            if lock is not None:
                stack.enter_context(lock)
        except OSError as error:
            raise ResourceError(
                "The output cannot be written", received=error, mend="Check the path and its permissions"
            ) from error
        try:
            yield folder
        finally:
            _remove(folder.path)


def check_owned(folder: JobFolder) -> None:
    """Raises ResourceError where a later job has taken the output."""
    if not files.exists(folder.owner):
        raise ResourceError(
            "Another job was started into the same output while this one ran, so this one's records are dropped",
            received=folder.path,
            mend="Wait for the other job, or give each its own output",
        )


@contextlib.contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Waits until no other process is in such a block for the same file, which is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab") as file:
        if fcntl is not None:
            with contextlib.suppress(OSError):  # no locks on this file system
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _clear(root: str) -> None:
    """Removes the manifest, then dead letters, shards and the folders of jobs whose launchers are gone."""
    found = list(files.below(root))
    jobs = sorted({parts[0] for parts, _ in found if parts[0].startswith(PREFIX)})
    for job in jobs:
        _refuse_living(JobFolder(files.join(root, job)))
    files.delete([uri for parts, uri in found if parts == (MANIFEST,)])
    files.delete(
        [
            uri
            for parts, uri in found
            if parts == (DEAD_LETTERS,) or (len(parts) == 2 and parts[0].startswith(SPLIT_PREFIX))
        ]
    )
    for job in jobs:
        _remove(files.join(root, job))
    if files.is_local(root):
        for path in Path(root).iterdir():
            if path.name.startswith(PREFIX):  # one without files is not listed above
                shutil.rmtree(path, ignore_errors=True)
            elif path.name.startswith(SPLIT_PREFIX) and path.is_dir():
                with contextlib.suppress(OSError):  # it holds files of others
                    path.rmdir()


def _refuse_living(folder: JobFolder) -> None:
    if not files.is_local(folder.owner) or not files.exists(folder.owner):
        return
    lock = _lock(folder.owner)
    if lock is None and fcntl is not None:
        raise ResourceError(
            "Another job is writing into the same output",
            received=folder.path,
            mend="Wait for it or stop it, or give another output",
        )
    if lock is not None:
        lock.close()


def _lock(path: str) -> IO[bytes] | None:
    """The file, locked until it is closed or the process ends; None where another process holds it."""
    if fcntl is None or not files.is_local(path):
        return None
    file = open(path, "rb+")  # noqa: SIM115  it stays open as long as the job
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    except OSError:  # no locks on this file system: as if the launcher were gone
        pass
    return file


def _remove(path: str) -> None:
    """Removes a job's folder; what cannot be removed stays for the next job, which tries again."""
    if files.is_local(path):
        shutil.rmtree(path, ignore_errors=True)
        return
    with contextlib.suppress(Exception):
        files.delete([uri for _, uri in files.below(path)])
