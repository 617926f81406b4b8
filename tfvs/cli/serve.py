"""The command ``tfvs serve``."""

from __future__ import annotations

import logging
from typing import Any

import click

from tfvs.cli.extras import need_serving
from tfvs.flags import flags_of
from tfvs.server.options import ServerOptions


@click.command()
@flags_of(ServerOptions, separator="_")
def serve(**options: Any) -> None:
    """Serve SavedModels over TensorFlow Serving's gRPC and REST APIs."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname).1s %(message)s")
    need_serving()
    from tfvs.server.model_server import ModelServer

    ModelServer(ServerOptions.from_dict(options)).run_until_signal()
