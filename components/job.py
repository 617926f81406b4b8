"""A whole job on Beam: it runs the pipeline, checks what was written, and writes the manifest."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam

from components.transforms import Layout, PrepareRecords
from tfvs.errors import DataError, ResourceError, TfvsError
from tfvs.preparation import files
from tfvs.preparation.job import Job, finish, prepare_folders
from tfvs.preparation.sources import PassedOver

_PROGRESS_PERIOD_S = 0.5


def run_job(job: Job, make_pipeline: Callable[[], beam.Pipeline]) -> dict[str, Any]:
    """Runs a job to its end.

    Args:
      job: What to do.
      make_pipeline: Makes the Beam pipeline, on whatever runner.

    Returns:
      The manifest.

    Raises:
      DataError: Nothing is listed, or images got lost between listing and writing.
      ResourceError: The outputs cannot be written, or the pipeline failed: a worker died, the disk is full.
      TooManyRejectedError: Raised after everything is written.
    """
    prepare_folders(job)
    summary_path = files.join(job.records_root, f".summary-{uuid.uuid4().hex}.json")
    with _progress_folder(job) as progress:
        layout = Layout(job.records_root, job.pyramid_root, summary_path, progress, job.num_shards, dict(job.splits))
        pipeline = make_pipeline()
        _ = pipeline | "Prepare" >> PrepareRecords(job.reader, job.options, layout)
        try:
            pipeline.run().wait_until_finish()
        except TfvsError:
            raise
        except Exception as error:  # runners pass on what happened in a worker as text in an error of their own
            told = str(error).strip().splitlines() or [repr(error)]
            raise ResourceError(
                "The pipeline failed, so there are no records",
                received=told[-1][:400],
                mend="Mend it, or look into the runner's log if a worker died, and start again: what is done is kept",
            ) from error
    summary = _read_summary(summary_path)
    files.delete([summary_path])
    return finish(job, summary)


def _read_summary(path: str) -> dict[str, Any]:
    if not files.exists(path):
        raise DataError(
            "The job ended without a summary, so images may be lost",
            expected=path,
            mend="Look into the runner's log, and start again: pyramids that are done are kept",
        )
    with files.open_read(path) as file:
        return json.loads(file.read())


@contextlib.contextmanager
def _progress_folder(job: Job) -> Iterator[str | None]:
    if job.progress is None:
        yield None
        return
    show, total = job.progress, sum(not isinstance(item, PassedOver) for item in job.reader.read())
    folder = tempfile.mkdtemp(prefix="tfvs-progress-")
    stopped = threading.Event()

    def done() -> int:
        return sum(entry.stat().st_size for entry in os.scandir(folder))

    def watch() -> None:
        while not stopped.wait(_PROGRESS_PERIOD_S):
            show(done(), total)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield folder
    finally:
        stopped.set()
        watcher.join()
        show(done(), total)
        shutil.rmtree(folder, ignore_errors=True)
