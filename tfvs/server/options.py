"""Options of the embedded server, declared once for flags and Python; TensorFlow Serving's names where it has them."""

from __future__ import annotations

from dataclasses import dataclass

from tfvs.config import Config, option, require

MIB = 2**20
MAX_PORT = 65535


@dataclass(frozen=True)
class ServerOptions(Config):
    """Options of :class:`tfvs.server.model_server.ModelServer`."""

    model_base_path: str = option("", "Folder of numbered versions.")
    model_name: str = option("default", "What requests call the model.")
    model_config_file: str = option(
        "",
        "File that names several models, in the text format of ModelServerConfig; the two options above are ignored.",
    )
    model_config_file_poll_wait_seconds: float = option(
        0.0, "Seconds between two looks at the model configuration file; 0: it is read once.", at_least=0
    )
    host: str = option("127.0.0.1", "Address to listen on.")
    port: int = option(8500, "Port of gRPC; 0: any free one.", at_least=0, at_most=MAX_PORT)
    grpc_socket_path: str = option("", "Path of a UNIX socket on which gRPC listens as well.")
    grpc_channel_arguments: str = option(
        "",
        "Arguments of the gRPC server: name=value, separated by commas, for example grpc.max_connection_age_ms=2000.",
    )
    rest_api_port: int = option(0, "Port of REST; 0: no REST.", at_least=0, at_most=MAX_PORT)
    rest_api_enable_cors_support: bool = option(False, "Whether web pages of other origins may use REST.")
    enable_batching: bool = option(False, "Whether requests that wait at the same time run together.")
    batching_parameters_file: str = option(
        "", "File in the text format of BatchingParameters; without it, batches have at most 32 rows."
    )
    ssl_config_file: str = option("", "File that turns TLS on for gRPC, in the text format of SSLConfig.")
    monitoring_config_file: str = option(
        "", "File that turns metrics for Prometheus on, on the port of REST, in the text format of MonitoringConfig."
    )
    request_log_file: str = option("", "File to which a line of JSON per request is added; -: standard error.")
    request_log_sampling_rate: float = option(
        1.0, "Fraction of the requests that are logged, drawn by chance.", at_least=0, at_most=1
    )
    file_system_poll_wait_seconds: float = option(
        1.0, "Seconds between two looks for new versions; 0 or less: versions are looked for once."
    )
    grpc_max_threads: int = option(
        0, "Number of requests handled at a time; 0: four per core, or what fills two batches.", at_least=0
    )
    tensorflow_intra_op_parallelism: int = option(
        1,
        "Number of threads that share one operation; 0: one per core. Requests side by side use the cores better than "
        "the parts of one operation do.",
        at_least=0,
    )
    tensorflow_inter_op_parallelism: int = option(
        0, "Number of threads that the operations of all requests run on; 0: one per core.", at_least=0
    )
    max_queued_requests: int = option(
        128, "Most requests that wait for a thread; above it they are answered RESOURCE_EXHAUSTED or 429.", at_least=0
    )
    max_message_bytes: int = option(
        64 * MIB, "Most bytes of a request, unpacked; larger ones are refused.", at_least=1, at_most=2**31 - 1
    )
    enable_signature_method_name_check: bool = option(
        False,
        "Whether a signature must have the method name of the call; exports of TensorFlow 2 classify without one.",
    )
    enable_serialization_as_tensor_content: bool = option(
        False, "Whether answers of Predict are packed into tensor_content, not into the field of their type."
    )
    enable_profiler: bool = option(
        False, "Whether clients may record a TensorFlow profile, into a folder of this machine that they choose."
    )
    max_request_pixels: int = option(
        2**27, "Most pixels of all JPEG and PNG images of one request together; more is INVALID_ARGUMENT.", at_least=1
    )
    rest_api_timeout_in_ms: int = option(
        30_000, "Milliseconds that a REST request may take to arrive, and to be answered.", at_least=1
    )
    rest_api_max_connections: int = option(
        1024,
        "Most REST connections at a time, or a quarter of the files that may be open; more are closed.",
        at_least=1,
    )
    shutdown_grace_seconds: float = option(
        25.0,
        "Seconds from SIGTERM to the end of the process, whatever it is doing; Kubernetes kills after 30.",
        at_least=0,
    )
    shutdown_delay_seconds: float = option(
        0.0,
        "Seconds at the beginning of these in which requests are still answered, until clients send no more.",
        at_least=0,
    )
    image_roots: tuple[str, ...] = option(
        (),
        "Folder that images may be read from, within those of the export; may be given several times.",
        flag="image_root",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            bool(self.model_base_path or self.model_config_file),
            "There is nothing to serve",
            expected="--model_base_path or --model_config_file",
            received="neither",
        )
        require(
            self.enable_batching or not self.batching_parameters_file,
            "--batching_parameters_file is given without --enable_batching",
            expected="both or none",
            received=self.batching_parameters_file,
            mend="Add --enable_batching",
        )
        require(
            self.rest_api_port != self.port or not self.port,
            "gRPC and REST want the same port",
            expected="two ports",
            received=self.port,
        )
        require(
            self.shutdown_delay_seconds <= self.shutdown_grace_seconds,
            "--shutdown_delay_seconds leaves no time for what is in flight",
            expected=f"at most --shutdown_grace_seconds, {self.shutdown_grace_seconds:g}",
            received=self.shutdown_delay_seconds,
        )
        self.channel_arguments()

    def grace_for_requests(self) -> float:
        """Seconds that requests in flight may take: the rest of the grace tells clients that theirs were cut off."""
        return self.shutdown_grace_seconds - min(1.0, 0.2 * self.shutdown_grace_seconds)

    def channel_arguments(self) -> list[tuple[str, int | str]]:
        """Names and values of ``grpc_channel_arguments``; whole numbers are numbers.

        Raises:
          ConfigError: A part is not ``name=value``.
        """
        arguments: list[tuple[str, int | str]] = []
        for part in filter(None, self.grpc_channel_arguments.split(",")):
            name, separator, value = part.partition("=")
            require(
                bool(name.strip() and separator),
                "--grpc_channel_arguments cannot be read",
                expected="name=value,name=value",
                received=part,
            )
            is_number = value.strip().lstrip("-").isdecimal()
            arguments.append((name.strip(), int(value) if is_number else value.strip()))
        return arguments
