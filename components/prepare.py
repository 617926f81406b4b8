"""From a folder of images to records and pyramids, without TFX.

    python -m components.prepare --input DIR --reader folder --output OUT

Arguments after ``--`` go to Beam: ``-- --runner=FlinkRunner --flink_master=…``; docs/data.md has checked sets.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import apache_beam as beam
import click
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from tqdm import tqdm

from components import files
from components.job import Job, run_job
from components.listing import Listing
from components.options import DEFAULT_SPLITS, MAX_REJECTED, NOT_FLAGS, NUM_SHARDS, PrepareOptions
from components.readers import READERS, Reader, make_reader
from components.sources import Rejected, Source
from components.splits import split_named
from tfvs.errors import ConfigError, TfvsError
from tfvs.flags import flags_of, from_flags

RECORDS = "records"
PYRAMIDS = "pyramids"


@click.command(context_settings={"ignore_unknown_options": False})
@click.option("--input", "input_path", required=True, help="The data set: path or URI.")
@click.option("--reader", type=click.Choice(READERS), default="folder", show_default=True)
@click.option("--output", required=True, help=f"Gets {RECORDS}/ and {PYRAMIDS}/: path or URI.")
@click.option("--pyramid-root", help=f"Where pyramids lie, by content.  [default: OUTPUT/{PYRAMIDS}]")
@click.option("--class-names", help="Comma-separated, in the order of the indices.")
@click.option(
    "--splits",
    default=",".join(f"{k}={v}" for k, v in DEFAULT_SPLITS.items()),
    show_default=True,
    help="Weights, for images whose split the data does not say.",
)
@click.option("--num-shards", default=NUM_SHARDS, show_default=True, help="Record files per split.")
@click.option("--max-rejected", default=MAX_REJECTED, show_default=True, help="Fraction; above it the exit code is 6.")
@flags_of(PrepareOptions, skip=NOT_FLAGS)
@click.option("--json", "as_json", is_flag=True, help="Print the manifest to standard output.")
@click.option("--dry-run", is_flag=True, help="List only; convert and write nothing.")
@click.argument("beam_args", nargs=-1, type=click.UNPROCESSED)
def main(
    input_path: str,
    reader: str,
    output: str,
    pyramid_root: str | None,
    class_names: str | None,
    splits: str,
    num_shards: int,
    max_rejected: float,
    as_json: bool,
    dry_run: bool,
    beam_args: tuple[str, ...],
    **fields: Any,
) -> None:
    """Converts images to pyramids, proxies and sharded records."""
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    try:
        options = from_flags(PrepareOptions, fields)
        source = make_reader(reader, input_path, class_names.split(",") if class_names else None)
        if dry_run:
            manifest = list_only(source)
        else:
            with tqdm(unit="image", desc="prepare", file=sys.stderr, mininterval=0.5) as bar:
                job = Job(
                    reader=source,
                    options=options,
                    records_root=FileSystems.join(output, RECORDS),
                    pyramid_root=pyramid_root or FileSystems.join(output, PYRAMIDS),
                    splits=parse_splits(splits),
                    num_shards=num_shards,
                    max_rejected=max_rejected,
                    progress=_show_on(bar) if files.is_local(input_path) else None,
                )
                manifest = run_job(job, lambda: beam.Pipeline(options=PipelineOptions(list(beam_args))))
        if as_json:
            click.echo(json.dumps(manifest, indent=2, sort_keys=True))
        else:
            _say(manifest)
    except TfvsError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)


def parse_splits(text: str) -> dict[str, int]:
    """Weights of splits.

    >>> parse_splits("train=8,test=2")
    {'train': 8, 'test': 2}

    Raises:
      ConfigError: The text is something else.
    """
    try:
        given = [(name.strip(), int(weight)) for name, weight in (item.split("=") for item in text.split(","))]
    except ValueError as error:
        raise ConfigError("Splits cannot be read", expected="train=8,eval=1,test=1", received=text) from error
    weights = {split_named(name) or name: weight for name, weight in given}
    if len(weights) < len(given):
        raise ConfigError("A split is named twice", expected="train=8,eval=1,test=1", received=text)
    return weights


def list_only(reader: Reader) -> dict[str, Any]:
    """What a job would convert: counts by class, what is passed over, and the first refused lines."""
    labels: dict[int, int] = {}
    rejected: list[Rejected] = []
    listing = Listing()
    for item in reader.read():
        listing.add(item)
        if isinstance(item, Rejected):
            rejected.append(item)
        elif isinstance(item, Source):
            labels[item.label] = labels.get(item.label, 0) + 1
    return {
        **listing.to_dict(),
        "rejected": len(rejected),
        "labels": {str(label): count for label, count in sorted(labels.items())},
        "first_rejected": [item.to_dict() for item in rejected[:10]],
    }


def _say(manifest: dict[str, Any]) -> None:
    """The summary on standard error."""
    names = ("listed", "written", "rejected")
    click.echo(", ".join(f"{manifest[name]} {name}" for name in names if name in manifest), err=True)
    told = [(f"{item['count']} passed over, {item['reason']}", item) for item in manifest["passed_over"]]
    told += [(f"{item['count']} images: {item['reason']}", item) for item in manifest.get("notes", [])]
    for text, item in told:
        more = "" if item["count"] <= len(item["first"]) else ", …"
        click.echo(f"{text}: {', '.join(item['first'])}{more}", err=True)
    if len(kinds := manifest.get("kinds", {})) > 1:
        shares = ", ".join(f"{count} of {kind}" for kind, count in kinds.items())
        click.echo(
            f"Pyramids differ in bands or depth, where a model takes one kind (--bands, --dtype): {shares}", err=True
        )
    identical = manifest.get("identical", {"groups": 0})
    if identical["groups"]:
        click.echo(
            f"{identical['images']} images of the same label are byte for byte one of {identical['groups']}, and are"
            f" all written; {identical['groups_across_splits']} of these lie in several splits."
            f" The first: {', '.join(identical['first'][0])}",
            err=True,
        )


def _show_on(bar: tqdm) -> Any:
    def show(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return show


if __name__ == "__main__":
    main()
