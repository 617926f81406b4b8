"""The command ``tfvs inspect``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from tfvs.cli.next_command import say_next


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--object-px",
    type=click.FloatRange(min=1),
    help="For a prepared set: side of the things looked for, as for tfvs train.",
)
@click.option(
    "-o", "--output", default="", help="For a prepared set: write a contact sheet (.png), looks drawn to scale."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def inspect(path: Path, object_px: float | None, output: str, as_json: bool) -> None:
    """Say what PATH is: an image or pyramid, a prepared data set, or an exported model."""
    from tfvs.data.layout import RECORDS
    from tfvs.errors import DataError
    from tfvs.export.versions import SAVED_MODEL_FILE, newest_version

    if path.is_file():
        from tfvs.inspection.image import inspect_image

        _say(inspect_image(path), as_json)
        if not as_json:
            say_next("tfvs", "prepare", "PHOTOS", "PREPARED", why="makes a data set of a folder of such images")
        return
    if Path(newest_version(path), SAVED_MODEL_FILE).is_file():
        from tfvs.inspection.model import inspect_model

        _say(inspect_model(path), as_json)
        if not as_json:
            say_next("tfvs", "view", path, "IMAGE", why="classifies an image and shows where the model looked")
        return
    if not (path / RECORDS).is_dir():
        raise DataError(
            "There is nothing to inspect",
            expected=f"an image, a folder with {RECORDS}/ (of tfvs prepare) or a model that tfvs exported",
            received=path,
            mend="Prepare a folder of images first: tfvs prepare PHOTOS PREPARED",
        )
    from tfvs.inspection.data_set import inspect_prepared, write_contact_sheet
    from tfvs.preparation.prepared import PreparedSet

    prepared = PreparedSet(path)
    told = inspect_prepared(prepared, object_px)
    _say(told, as_json)
    if output:
        click.echo(f"sheet: {write_contact_sheet(output, prepared, object_px)}", err=as_json)
    if "obstacle" not in told and not as_json:
        say_next("tfvs", "train", path, "--output", "model", why="trains a model with these choices")


def _say(found: dict[str, Any], as_json: bool) -> None:
    """A line per fact; choices and warnings as they would be said before training."""
    if as_json:
        click.echo(json.dumps(found))
        return
    plan = found.pop("plan", None)
    for name, value in found.items():
        click.echo(f"{name + ':':20s}{_words(value)}")
    if plan:
        from tfvs.training.plan import in_words

        click.echo(in_words(plan))


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name} {_words(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return (
            ", ".join(" × ".join(map(str, item)) if isinstance(item, list) else _words(item) for item in value) or "–"
        )
    return "–" if value is None else str(value)
