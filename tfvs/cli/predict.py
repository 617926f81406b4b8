"""The command ``tfvs predict``."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from tfvs.cli.extras import need_serving
from tfvs.cli.next_command import say_next
from tfvs.client.options import ClientOptions
from tfvs.flags import flags_of


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path())
@flags_of(ClientOptions, separator="_")
@click.option(
    "--proxy",
    "proxies",
    multiple=True,
    type=click.Path(),
    help="Image that serves as the proxy, such as a minimap, where images alone give none; one per image, in order.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def predict(images: tuple[str, ...], proxies: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Classify images, and say where the model looked."""
    need_serving()
    from tfvs.client.client import connect, predict_paths

    with connect(ClientOptions.from_dict(options)) as client:
        failed = 0
        for path, prediction in predict_paths(client, images, proxies=proxies, progress=sys.stderr.isatty()):
            failed += not prediction.valid
            click.echo(json.dumps({"image": path, **prediction.to_dict()}) if as_json else f"{path}: {prediction}")
    if not as_json:
        say_next("tfvs", "view", "MODEL", images[0], why="shows where a model looked")
    if failed:
        sys.exit(4)
