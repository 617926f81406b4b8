"""What the embedded server can be told; the names are TensorFlow Serving's flags where it has them."""

from __future__ import annotations

import os
from dataclasses import dataclass

from tfvs.config import Config, require
from tfvs.errors import ConfigError
from tfvs.server.batching import BatchingParameters
from tfvs.server.manager import ModelConfig
from tfvs.server.text_configs import read_batching, read_models

MIB = 2**20
MAX_PORT = 65535


@dataclass(frozen=True)
class ServerOptions(Config):
    """Options of :class:`tfvs.server.model_server.ModelServer`.

    Attributes:
      model_base_path: Folder of numbered versions.
      model_name: What requests call the model.
      model_config_file: Several models, in TensorFlow Serving's format; instead of the two above.
      host: Address to listen on.
      port: Of gRPC; 0: any free one.
      rest_api_port: Of REST; 0: no REST.
      enable_batching: Whether requests that wait at the same time run together.
      batching_parameters_file: TensorFlow Serving's format; empty: the defaults of BatchingParameters.
      ssl_config_file: TensorFlow Serving's format; empty: no TLS on gRPC.
      file_system_poll_wait_seconds: Between two looks for new versions; 0: never.
      grpc_max_threads: Requests handled at a time; 0: four a core, or what fills two batches.
      tensorflow_intra_op_parallelism: Threads that share one operation; 0: as many as cores. Requests side by side use
        the cores better than the parts of one operation do.
      tensorflow_inter_op_parallelism: Threads that operations of all requests run on; 0: as many as cores.
      max_queued_requests: Requests waiting for a thread; above it they are answered RESOURCE_EXHAUSTED.
      max_message_bytes: Of a request, gRPC or REST; larger ones are answered RESOURCE_EXHAUSTED or 413.
      enable_signature_method_name_check: Whether a signature's method name must be that of the call; exports of
        TensorFlow 2 have none of Classify and Regress.
      enable_serialization_as_tensor_content: Whether answers of Predict are packed into ``tensor_content``, not into
        the field of their type.
      shutdown_grace_seconds: How long requests in flight may take after SIGTERM.
      image_roots: Narrows the folders images may be read from; empty: those of the export.
    """

    model_base_path: str = ""
    model_name: str = "default"
    model_config_file: str = ""
    host: str = "127.0.0.1"
    port: int = 8500
    rest_api_port: int = 0
    enable_batching: bool = False
    batching_parameters_file: str = ""
    ssl_config_file: str = ""
    file_system_poll_wait_seconds: float = 1.0
    grpc_max_threads: int = 0
    tensorflow_intra_op_parallelism: int = 1
    tensorflow_inter_op_parallelism: int = 0
    max_queued_requests: int = 128
    max_message_bytes: int = 64 * MIB
    enable_signature_method_name_check: bool = False
    enable_serialization_as_tensor_content: bool = False
    shutdown_grace_seconds: float = 30.0
    image_roots: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("port", "rest_api_port"):
            value = getattr(self, name)
            require(0 <= value <= MAX_PORT, f"--{name} is no port", expected=f"0 to {MAX_PORT}", received=value)
        parallelism = ("tensorflow_intra_op_parallelism", "tensorflow_inter_op_parallelism")
        for name in ("grpc_max_threads", "max_queued_requests", "shutdown_grace_seconds", *parallelism):
            value = getattr(self, name)
            require(value >= 0, f"--{name} is negative", expected="0 or more", received=value)
        limit = self.max_message_bytes
        require(0 < limit < 2**31, "--max_message_bytes is no size", expected="1 to 2147483647", received=limit)
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
        if self.model_config_file:
            return read_models(self.model_config_file)
        return [ModelConfig(self.model_name, self.model_base_path)]

    def batching(self) -> BatchingParameters | None:
        """How to batch, None: not at all."""
        if not self.enable_batching:
            return None
        return read_batching(self.batching_parameters_file) if self.batching_parameters_file else BatchingParameters()

    def threads(self) -> int:
        """Requests handled at a time; a batch can only be as large as the requests that wait for it together."""
        batching = self.batching()
        fitting = 4 * (os.cpu_count() or 1)
        return self.grpc_max_threads or max(fitting, 2 * batching.max_batch_size if batching else 0)
