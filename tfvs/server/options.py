"""Options of the embedded server, declared once for flags and Python; TensorFlow Serving's names where it has them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfvs.config import Config, option, require
from tfvs.errors import ConfigError

if TYPE_CHECKING:
    from tfvs.server.batching import BatchingParameters
    from tfvs.server.manager import ModelConfig

MIB = 2**20
MAX_PORT = 65535


@dataclass(frozen=True)
class ServerOptions(Config):
    """Options of :class:`tfvs.server.model_server.ModelServer`."""

    model_base_path: str = option("", "Folder of numbered versions.")
    model_name: str = option("default", "What requests call the model.")
    model_config_file: str = option(
        "", "Several models, in TensorFlow Serving's text format of ModelServerConfig; instead of a base path."
    )
    host: str = option("127.0.0.1", "Address to listen on.")
    port: int = option(8500, "Port of gRPC; 0: any free one.", at_least=0, at_most=MAX_PORT)
    rest_api_port: int = option(0, "Port of REST; 0: no REST.", at_least=0, at_most=MAX_PORT)
    enable_batching: bool = option(False, "Run requests that wait at the same time together.")
    batching_parameters_file: str = option(
        "", "TensorFlow Serving's text format of BatchingParameters; wants --enable_batching."
    )
    ssl_config_file: str = option("", "TLS on gRPC, in TensorFlow Serving's text format of SSLConfig.")
    file_system_poll_wait_seconds: float = option(
        1.0, "Seconds between two looks for new versions; 0: never.", at_least=0
    )
    grpc_max_threads: int = option(
        0, "Requests handled at a time; 0: four per core, or what fills two batches.", at_least=0
    )
    tensorflow_intra_op_parallelism: int = option(
        1,
        "Threads that share one operation; 0: one per core. Requests side by side use the cores better than the parts "
        "of one operation do.",
        at_least=0,
    )
    tensorflow_inter_op_parallelism: int = option(
        0, "Threads that operations of all requests run on; 0: one per core.", at_least=0
    )
    max_queued_requests: int = option(
        128, "Requests waiting for a thread; above it they are answered RESOURCE_EXHAUSTED.", at_least=0
    )
    max_message_bytes: int = option(
        64 * MIB,
        "Of a request; larger ones are answered RESOURCE_EXHAUSTED, or 413 by REST.",
        at_least=1,
        at_most=2**31 - 1,
    )
    enable_signature_method_name_check: bool = option(
        False,
        "Whether a signature's method name must be that of the call; exports of TensorFlow 2 have none of Classify and "
        "Regress.",
    )
    enable_serialization_as_tensor_content: bool = option(
        False, "Pack answers of Predict into tensor_content, not into the field of their type."
    )
    max_request_pixels: int = option(
        2**27, "Width times height of all JPEG and PNG images of one request; more is INVALID_ARGUMENT.", at_least=1
    )
    shutdown_grace_seconds: float = option(30.0, "How long requests in flight may take after SIGTERM.", at_least=0)
    image_roots: tuple[str, ...] = option(
        (),
        "Narrow the folders images may be read from; repeatable. Without it: those of the export.",
        flag="image_root",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            bool(self.model_base_path) != bool(self.model_config_file),
            "What to serve is not clear",
            expected="either --model_base_path or --model_config_file",
            received=f"--model_base_path={self.model_base_path} --model_config_file={self.model_config_file}",
        )
        if self.batching_parameters_file and not self.enable_batching:
            raise ConfigError(
                "--batching_parameters_file is given without --enable_batching", mend="Add --enable_batching"
            )

    def models(self) -> list[ModelConfig]:
        """The models to serve."""
        from tfvs.server.manager import ModelConfig  # needs tfvs[serving], which the flags alone do not
        from tfvs.server.text_configs import read_models

        if self.model_config_file:
            return read_models(self.model_config_file)
        return [ModelConfig(self.model_name, self.model_base_path)]

    def batching(self) -> BatchingParameters | None:
        """How to batch, None: not at all."""
        from tfvs.server.batching import BatchingParameters
        from tfvs.server.text_configs import read_batching

        if not self.enable_batching:
            return None
        return read_batching(self.batching_parameters_file) if self.batching_parameters_file else BatchingParameters()

    def threads(self) -> int:
        """Requests handled at a time; a batch can only be as large as the requests that wait for it together."""
        batching = self.batching()
        fitting = 4 * (os.cpu_count() or 1)
        return self.grpc_max_threads or max(fitting, 2 * batching.max_batch_size if batching else 0)
