"""The command ``tfvs serve``."""

from __future__ import annotations

import logging
from typing import Any

import click

from tfvs.cli.extras import need_serving

# As TensorFlow Serving's flags: --enable_batching, --enable_batching=true, --enable_batching=false.
BOOLEAN: dict[str, Any] = {"type": click.BOOL, "is_flag": False, "flag_value": "true", "default": False}


@click.command(context_settings={"show_default": True})
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
@click.option("--enable_signature_method_name_check", **BOOLEAN, help="Want Classify's or Regress' method name.")
@click.option("--enable_serialization_as_tensor_content", **BOOLEAN, help="Pack answers of Predict.")
@click.option("--shutdown_grace_seconds", default=30.0, help="For requests in flight, after SIGTERM.")
@click.option("--image_root", "image_roots", multiple=True, help="Narrow the folders images are read from; repeatable.")
def serve(**options: object) -> None:
    """Serve SavedModels over TensorFlow Serving's gRPC and REST APIs."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname).1s %(message)s")
    need_serving()
    from tfvs.server.model_server import ModelServer
    from tfvs.server.options import ServerOptions

    ModelServer(ServerOptions.from_dict(options)).run_until_signal()
