"""A whole job on Beam: it runs the pipeline, checks what was written, and writes the manifest."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import apache_beam as beam

from components import progress
from components.engine import run_to_end
from components.transforms import Layout, PrepareRecords
from tfvs.errors import DataError
from tfvs.preparation import files
from tfvs.preparation.job import Job, finish
from tfvs.preparation.job_folder import own_folder


def run_job(job: Job, make_pipeline: Callable[[], beam.Pipeline]) -> dict[str, Any]:
    """Runs a job to its end.

    Args:
      job: What to do.
      make_pipeline: Makes the Beam pipeline, on whatever runner.

    Returns:
      The manifest.

    Raises:
      DataError: Nothing is listed, or images got lost between listing and writing.
      KeyboardInterrupt: It was stopped by Ctrl-C or SIGTERM; the job is cancelled on its engine.
      ResourceError: The outputs cannot be written, or the pipeline failed: a worker died, the disk is full.
      TooManyRejectedError: Raised after everything is written.
    """
    with own_folder(job.records_root, job.pyramid_root) as folder:
        pipeline = make_pipeline()
        layout = Layout(folder, job.pyramid_root, job.num_shards, dict(job.splits))
        _ = pipeline | "Prepare" >> PrepareRecords(job.reader, job.options, layout)
        with progress.shown(folder.progress, job.progress):
            run_to_end(pipeline)
        summary = _read_summary(folder.summary)
        if job.progress is not None:
            job.progress(summary["listed"], summary["listed"])
        return finish(job, folder, summary)


def _read_summary(path: str) -> dict[str, Any]:
    if not files.exists(path):
        raise DataError(
            "The job ended without a summary, so images may be lost",
            expected=path,
            mend="Give an output that every worker and this machine share; look into the engine's log, and start again:"
            " pyramids that are done are kept",
        )
    return json.loads(files.read(path))
