"""The command ``tfvs``: argument parsing only."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from typing import Any

import click

from tfvs.errors import ResourceError, TfvsError
from tfvs.version import __version__

# As TensorFlow Serving's flags: --enable_batching, --enable_batching=true, --enable_batching=false.
BOOLEAN: dict[str, Any] = {"type": click.BOOL, "is_flag": False, "flag_value": "true", "default": False}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tfvs")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Classify images far too large to classify whole."""
    del debug  # read by main, which sees errors that come before a command runs, too


@cli.command(context_settings={"show_default": True})
@click.option("--model_base_path", default="", help="Folder of numbered versions.")
@click.option("--model_name", default="default", help="What requests call the model.")
@click.option("--model_config_file", default="", help="Several models, text format of ModelServerConfig.")
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", default=8500, help="Of gRPC; 0: any free one.")
@click.option("--rest_api_port", default=0, help="Of REST; 0: no REST.")
@click.option("--enable_batching", **BOOLEAN, help="Run requests that wait at the same time together.")
@click.option("--batching_parameters_file", default="", help="Text format of BatchingParameters.")
@click.option("--ssl_config_file", default="", help="TLS on gRPC, text format of SSLConfig.")
@click.option("--file_system_poll_wait_seconds", default=1.0, help="Between looks for versions; 0: never.")
@click.option("--grpc_max_threads", default=0, help="Requests at a time; 0: chosen from cores and batch size.")
@click.option("--tensorflow_intra_op_parallelism", default=1, help="Threads that share one operation; 0: one a core.")
@click.option("--tensorflow_inter_op_parallelism", default=0, help="Threads that operations run on; 0: one a core.")
@click.option("--max_queued_requests", default=128, help="Waiting for a thread; above it RESOURCE_EXHAUSTED.")
@click.option("--max_message_bytes", default=64 * 2**20, help="Of one request.")
@click.option("--shutdown_grace_seconds", default=30.0, help="For requests in flight, after SIGTERM.")
@click.option("--image_root", "image_roots", multiple=True, help="Narrow the folders images are read from; repeatable.")
def serve(**options: object) -> None:
    """Serve SavedModels over TensorFlow Serving's gRPC and REST APIs."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname).1s %(message)s")
    _need_serving()
    from tfvs.serving.options import ServerOptions
    from tfvs.serving.server import ModelServer

    ModelServer(ServerOptions.from_dict(options)).run_until_signal()


@cli.command(context_settings={"show_default": True})
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
    _need_serving()
    from tfvs.serving.client import ClientOptions, connect, predict_paths

    with connect(ClientOptions.from_dict(options)) as client:
        failed = 0
        for path, prediction in predict_paths(client, images, progress=sys.stderr.isatty()):
            failed += not prediction.valid
            click.echo(json.dumps({"image": path, **prediction.to_dict()}) if as_json else f"{path}: {prediction}")
    if failed:
        sys.exit(4)


def _need_serving() -> None:
    try:
        import tensorflow_serving.apis  # noqa: F401
    except ImportError as error:
        raise ResourceError("Serving is not installed", mend="pip install 'tfvs[serving]'") from error


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command; an error is one sentence on stderr and the error's exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        cli.main(args=given, prog_name="tfvs")
    except TfvsError as error:
        _fail(str(error), error.exit_code, given)
    except Exception as error:
        _fail(f"{type(error).__name__}: {error}. Run it again with --debug before the command.", 1, given)


def _fail(message: str, code: int, given: list[str]) -> None:
    if "--debug" in given:
        raise
    click.echo(f"tfvs: {' '.join(message.split())}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
