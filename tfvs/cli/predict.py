"""The command ``tfvs predict``."""

from __future__ import annotations

import json
import sys

import click

from tfvs.cli.extras import need_serving


@click.command(context_settings={"show_default": True})
@click.argument("images", nargs=-1, required=True, type=click.Path())
@click.option("--server", default="", help="HOST:PORT of TensorFlow Serving or of tfvs serve.")
@click.option("--model", "model_dir", default="", help="Folder of a SavedModel, to predict in this process.")
@click.option("--model_name", default="default", help="What the server calls the model.")
@click.option("--way", type=click.Choice(["auto", "pyramids", "crops", "images"]), default="auto", help="What to send.")
@click.option("--pyramid_root", default="", help="Local folder that is the first image root of the model.")
@click.option("--timeout_s", default=30.0, help="Deadline of one request.")
@click.option("--tls_ca", default="", help="PEM of the authority to trust; turns TLS on.")
@click.option("--tls_key", default="", help="PEM of this client's key, where the server verifies clients.")
@click.option("--tls_certificate", default="", help="PEM of this client's certificate.")
@click.option("--metadata", multiple=True, help="KEY=VALUE sent with each request; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def predict(images: tuple[str, ...], as_json: bool, **options: object) -> None:
    """Classify images, and say where the model looked."""
    need_serving()
    from tfvs.client.client import ClientOptions, connect, predict_paths

    with connect(ClientOptions.from_dict(options)) as client:
        failed = 0
        for path, prediction in predict_paths(client, images, progress=sys.stderr.isatty()):
            failed += not prediction.valid
            click.echo(json.dumps({"image": path, **prediction.to_dict()}) if as_json else f"{path}: {prediction}")
    if failed:
        sys.exit(4)
