"""The command ``tfvs train``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import click

from tfvs.cli.next_command import say_next
from tfvs.cli.place import LocalPath, Place

ENCODERS = ("auto", "pretrained", "small")


@click.command(context_settings={"show_default": True})
@click.argument("prepared", type=Place())
@click.option(
    "--output",
    required=True,
    type=LocalPath(),
    help="The model's folder: versions as servers want them, and the training.",
)
@click.option(
    "--object-px",
    type=click.FloatRange(min=1),
    help="Longer side of what tells the classes apart, in pixels of the images, if it is known.",
)
@click.option(
    "--encoder",
    type=click.Choice(ENCODERS),
    default="auto",
    help="What reads the crops; auto: a pretrained network for photographs where tfvs[imagenet] is installed.",
)
@click.option(
    "--set", "changes", multiple=True, metavar="FIELD=VALUE", help="Of model, train or proxy: train.epochs=5."
)
@click.option("--seed", default=0, help="Seed of weights, order and samples.")
@click.option("--threads", default=0, help="Of TensorFlow; 0: as many as there are cores.")
@click.option("--dry-run", is_flag=True, help="Say what would be chosen, and why; train nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print plan and result as one JSON object.")
def train(
    prepared: str,
    output: str,
    object_px: float | None,
    encoder: str,
    changes: tuple[str, ...],
    seed: int,
    threads: int,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train a model on the PREPARED data set and export it; what is not given is derived from the data.

    The same command goes on where it was stopped. Every choice is said with its reason, and any can be set.
    """
    from tfvs.export.saving import export_saved_model
    from tfvs.export.versions import next_version
    from tfvs.preparation.prepared import PreparedSet
    from tfvs.training.facts import EVAL, gather_facts
    from tfvs.training.own_images import CURVES_FILE, PLAN_FILE, fit_plan, mark_exported
    from tfvs.training.plan import make_plan
    from tfvs.training.strategy import limit_threads

    limit_threads(threads)

    def say(line: str) -> None:
        click.echo(line, err=as_json)

    data = PreparedSet.at(prepared)
    facts = gather_facts(data, object_px)
    given = {"train.seed": seed, **parse_changes(changes)} if seed else parse_changes(changes)
    plan = make_plan(facts, given, pretrained={"auto": None, "pretrained": True, "small": False}[encoder])
    counts = ", ".join(f"{name} {count}" for name, count in zip(facts.class_names, facts.counts, strict=True))
    say(f"{facts.images} training images ({counts}), {facts.eval_images} to evaluate, {facts.test_images} to test")
    say(str(plan))
    if dry_run:
        if as_json:
            click.echo(json.dumps(plan.to_dict()))
        return
    trained = fit_plan(data, plan, output, write=say)
    if trained.model is None:
        say(f"This was trained and exported before: {trained.version}")
        version = str(trained.version)
    else:
        manifest = data.manifest
        version = export_saved_model(
            trained.model,
            next_version(output),
            class_names=facts.class_names,
            proxy=plan.proxy,
            dtype=manifest.dtype,
            max_side_px=manifest.max_side_px,
            conversion=manifest.conversion,
            image_roots=[data.pyramids],
            temperature=_temperature(trained.model, data, plan, say),
        )
        mark_exported(trained, version)
    if as_json:
        click.echo(json.dumps({"model": version, "training": str(trained.folder), **plan.to_dict()}))
        return
    say(f"model     {version}")
    say(f"plan      {trained.folder / PLAN_FILE}")
    say(f"curves    {trained.folder / CURVES_FILE}")
    if not facts.test_images and not facts.eval_images:
        say_next("tfvs", "view", output, "IMAGE", "-o", "page.html", why="shows where it looked in one image")
        return
    split = () if facts.test_images else ("--split", EVAL)
    page = ("-o", "evaluation.html")
    say_next("tfvs", "evaluate", output, prepared, *split, *page, why="scores it on images it has not been trained on")


def _temperature(model: Any, data: Any, plan: Any, say: Callable[[str], None]) -> float:
    """What the logits are divided by, from the images that it was not trained on; 1 where there are none."""
    from tfvs.data.dataset import evaluation_dataset
    from tfvs.evaluation.temperature import temperature_of
    from tfvs.training.facts import EVAL

    if EVAL not in data.splits:
        say("Probabilities are not calibrated: the data set has no images to evaluate on")
        return 1.0
    files = data.files(EVAL, plan.proxy)
    found = temperature_of(model, evaluation_dataset(files, plan.proxy, batch_size=plan.train.batch_size))
    say(str(found))
    return found.value


def parse_changes(texts: Sequence[str]) -> dict[str, Any]:
    """Fields and values of ``--set``; a value is JSON, else text.

    >>> parse_changes(["train.epochs=5", "model.state=lstm"])
    {'train.epochs': 5, 'model.state': 'lstm'}

    Raises:
      UsageError: There is no equals sign.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.UsageError(f"--set takes FIELD=VALUE, such as train.epochs=5; received: {text!r}")
        try:
            found[name.strip()] = json.loads(value)
        except json.JSONDecodeError:
            found[name.strip()] = value
    return found
