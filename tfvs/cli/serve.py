"""The command ``tfvs serve``."""

from __future__ import annotations

import logging
from typing import Any

import click

from tfvs.cli.extras import need_serving
from tfvs.cli.ignored_flags import ignored_flags, warn_of_ignored_flags
from tfvs.flags import flags_of
from tfvs.server.options import ServerOptions
from tfvs.version import __version__


@click.command()
@flags_of(ServerOptions, separator="_")
@ignored_flags
@click.version_option(__version__, prog_name="tfvs serve")
def serve(**options: Any) -> None:
    """Serve SavedModels over TensorFlow Serving's gRPC and REST APIs."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname).1s %(message)s")
    need_serving()
    warn_of_ignored_flags()
    from tfvs.server.model_server import ModelServer

    ModelServer(ServerOptions.from_dict(options)).run_until_signal()
