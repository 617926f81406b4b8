"""The command ``tfvs prepare``, and what it shares with ``python -m components.prepare``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click
from tqdm import tqdm

from tfvs.cli.next_command import say_next
from tfvs.data.layout import PYRAMIDS, RECORDS
from tfvs.flags import flags_of, from_flags
from tfvs.paths import require_whole
from tfvs.preparation import files
from tfvs.preparation.job import Job
from tfvs.preparation.listing import list_only
from tfvs.preparation.options import NOT_FLAGS, PrepareOptions
from tfvs.preparation.readers import AUTO, READERS, Reader, make_reader

F = TypeVar("F", bound=Callable[..., Any])


def job_flags(command: F) -> F:
    """A decorator with the flags of a job; :func:`run_from_flags` takes them."""
    decorators = (
        click.option("--pyramid-root", help=f"Where pyramids lie, by content.  [default: OUTPUT/{PYRAMIDS}]"),
        click.option("--class-names", help="Names of the classes, separated by commas, in the order of the indices."),
        flags_of(Job, skip=("options",)),
        flags_of(PrepareOptions, skip=NOT_FLAGS),
        click.option("--json", "as_json", is_flag=True, help="Print the manifest to standard output."),
        click.option("--dry-run", is_flag=True, help="List only; convert and write nothing."),
    )
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


def run_from_flags(
    reader: str,
    input_path: str,
    output: str,
    run: Callable[[Job], dict[str, Any]],
    *,
    pyramid_root: str | None,
    class_names: str | None,
    splits: dict[str, int],
    num_shards: int,
    max_rejected: float,
    as_json: bool,
    dry_run: bool,
    **fields: Any,
) -> None:
    """Makes a job of the flags, runs it and prints a summary.

    Args:
      reader: Name of the reader.
      input_path: The data set.
      output: Folder for records and pyramids.
      run: Runs a job and returns its manifest.
      pyramid_root: See :func:`job_flags`, as all that follow.
      class_names: Names of the classes, separated by commas.
      splits: See :class:`tfvs.preparation.job.Job`, as the next two.
      num_shards: See there.
      max_rejected: See there.
      as_json: Whether the manifest is printed.
      dry_run: Whether to list only.
      **fields: Fields of :class:`PrepareOptions`.
    """
    for path in (input_path, output, pyramid_root):
        require_whole(path or "")
    options = from_flags(PrepareOptions, fields)
    source: Reader = make_reader(reader, input_path, class_names.split(",") if class_names else None)
    if dry_run:
        manifest = list_only(source)
    else:
        with tqdm(unit="image", desc="prepare", file=sys.stderr, mininterval=0.5) as bar:

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            job = Job(
                reader=source,
                options=options,
                records_root=files.join(output, RECORDS),
                pyramid_root=pyramid_root or files.join(output, PYRAMIDS),
                splits=splits,
                num_shards=num_shards,
                max_rejected=max_rejected,
                progress=show,
            )
            manifest = run(job)
    if as_json:
        click.echo(json.dumps(manifest, indent=2, sort_keys=True))
    else:
        _say(manifest)


def _say(manifest: dict[str, Any]) -> None:
    """The summary on standard error."""
    names = ("listed", "written", "rejected")
    click.echo(", ".join(f"{manifest[name]} {name}" for name in names if name in manifest), err=True)
    if manifest["class_names"]:
        click.echo(f"{len(manifest['class_names'])} classes: {', '.join(manifest['class_names'][:20])}", err=True)
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


@click.command()
@click.argument("input_path", metavar="INPUT")
@click.argument("output", metavar="OUTPUT")
@click.option(
    "--reader",
    type=click.Choice(READERS),
    default=AUTO,
    show_default=True,
    help="Layout of INPUT; auto: a manifest where there is one, else a folder per class.",
)
@click.option(
    "--workers", type=click.IntRange(1), help="Number of images at a time.  [default: the number of cores, at most 8]"
)
@job_flags
def prepare(input_path: str, output: str, reader: str, workers: int | None, **flags: Any) -> None:
    """Convert the images of INPUT to pyramids, proxies and records in OUTPUT.

    INPUT is a folder per class, or a manifest (CSV or JSON lines) that names images and labels. A command that was
    stopped goes on when it is given again. Each may be a path, or s3:// or gs:// (tfvs[s3], tfvs[gcs]). On clusters:
    python -m components.prepare, which gives the same bytes with Apache Beam.
    """
    from tfvs.preparation.local import run_local

    run_from_flags(reader, input_path, output, lambda job: run_local(job, workers=workers), **flags)
    if not flags["as_json"] and not flags["dry_run"]:
        say_next("tfvs", "train", output, "--output", "model", why="trains a model; tfvs inspect shows the data first")
