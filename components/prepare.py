"""From a folder of images to records and pyramids with Beam, without TFX; ``tfvs prepare`` does it without Beam.

    python -m components.prepare --input DIR --reader folder --output OUT

Arguments after ``--`` go to Beam: ``-- --runner=FlinkRunner --flink_master=…``; docs/data.md has checked sets.
"""

from __future__ import annotations

import logging
from typing import Any

import apache_beam as beam
import click
from apache_beam.options.pipeline_options import PipelineOptions

from components.job import run_job
from components.object_storage import use_beam_args
from tfvs.cli.prepare import job_flags, run_from_flags
from tfvs.errors import one_sentence
from tfvs.preparation.readers import READERS


@click.command(context_settings={"ignore_unknown_options": False})
@click.option("--input", "input_path", required=True, help="The data set: path or URI.")
@click.option("--reader", type=click.Choice(READERS), default="folder", show_default=True)
@click.option("--output", required=True, help="Gets records/ and pyramids/: path or URI.")
@job_flags
@click.argument("beam_args", nargs=-1, type=click.UNPROCESSED)
def main(input_path: str, reader: str, output: str, beam_args: tuple[str, ...], **flags: Any) -> None:
    """Converts images to pyramids, proxies and sharded records."""
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    with one_sentence():
        use_beam_args(beam_args)
        run_from_flags(
            reader,
            input_path,
            output,
            lambda job: run_job(job, lambda: beam.Pipeline(options=PipelineOptions(list(beam_args)))),
            **flags,
        )


if __name__ == "__main__":
    main()
