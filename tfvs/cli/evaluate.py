"""The command ``tfvs evaluate``."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from tfvs.cli.next_command import say_next
from tfvs.cli.place import Place


@click.command(context_settings={"show_default": True})
@click.argument("model", type=click.Path(exists=True, file_okay=False))
@click.argument("prepared", type=Place())
@click.option("--split", default="test", help="The split to evaluate.")
@click.option("-o", "--output", default="", help="Also write a page with scores and looks (.html).")
@click.option("--json", "as_json", is_flag=True, help="Print the scores as one JSON object.")
def evaluate(model: str, prepared: str, split: str, output: str, as_json: bool) -> None:
    """Score the exported MODEL on a split of the PREPARED data set, with 95 % intervals."""
    from tfvs.evaluation.page import write_page
    from tfvs.evaluation.prepared import evaluate_prepared
    from tfvs.export.description import read_description
    from tfvs.export.versions import newest_version
    from tfvs.preparation.prepared import PreparedSet

    folder = newest_version(model)
    names = list(read_description(folder).class_names)
    result = evaluate_prepared(folder, PreparedSet.at(prepared), names, split=split)
    scores = result.scores
    if as_json:
        click.echo(json.dumps({"split": split, **scores.to_dict(names)}))
    else:
        click.echo(f"accuracy           {scores.accuracy}")
        click.echo(f"balanced accuracy  {scores.balanced_accuracy}")
        click.echo(f"most frequent class always named: {100 * scores.majority:.1f} %")
        for name, value in zip(names, scores.recall, strict=True):
            click.echo(f"  {name}: {value}")
        click.echo(
            f"expected calibration error {scores.calibration.error:.4f}; {scores.unreadable} images not readable"
        )
    if output:
        title = f"{Path(folder).resolve().name} on {os.path.basename(prepared.rstrip('/'))}, split {split}"
        page = write_page(output, scores, names, title=title, right=result.right, wrong=result.wrong)
        click.echo(f"page  {page}", err=as_json)
    if not as_json:
        say_next("tfvs", "view", model, "IMAGE", "-o", "page.html", why="shows where it looked in one image")
