"""The embedded model server: TensorFlow Serving's gRPC and REST APIs over any SavedModel."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import tensorflow as tf
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from tfvs.errors import ResourceError
from tfvs.server.batching import BatchingRunner, DirectRunner, Runner
from tfvs.server.grpc.model_service import ModelService
from tfvs.server.grpc.prediction_service import PredictionService
from tfvs.server.grpc.reflection import PREDICTION_SERVICE, add_reflection
from tfvs.server.manager import ModelManager, require_folders
from tfvs.server.options import ServerOptions
from tfvs.server.path_guard import PathGuard
from tfvs.server.predictor import Predictor
from tfvs.server.rest.app import RestServer
from tfvs.server.status import LOGGER
from tfvs.server.text_configs import read_credentials


class ModelServer:
    """Serves models until it is stopped.

    >>> with ModelServer(ServerOptions(model_base_path="/models/digits", port=0)) as server:  # doctest: +SKIP
    ...     print(server.port)

    Args:
      options: What to serve and how.

    Attributes:
      port: Of gRPC; of use where the options left the choice to the system.

    Raises:
      ConfigError: Options or files that contradict themselves.
      DataError: A base path or a file does not exist.
      ResourceError: A port is taken.
    """

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        models, batching = options.models(), options.batching()
        credentials = read_credentials(options.ssl_config_file) if options.ssl_config_file else None
        require_folders({model.name: model.base_path for model in models})
        self._health = health.HealthServicer()
        self._runner: Runner = BatchingRunner(batching) if batching else DirectRunner()
        self.manager = ModelManager(
            models, poll_seconds=options.file_system_poll_wait_seconds, on_change=self._set_health
        )
        self._predictor = Predictor(
            self.manager,
            self._runner,
            PathGuard(options.image_roots),
            max_request_pixels=options.max_request_pixels,
            check_method_names=options.enable_signature_method_name_check,
        )
        self._server = self._grpc_server()
        self.port = self._bind(credentials)
        self._rest: RestServer | None = None
        self._rest_executor: ThreadPoolExecutor | None = None
        if options.rest_api_port:
            self._rest_executor = ThreadPoolExecutor(options.threads(), thread_name_prefix="rest")
            self._rest = RestServer(
                self._predictor,
                options.host,
                options.rest_api_port,
                self._rest_executor,
                max_body_bytes=options.max_message_bytes,
                max_requests=options.threads() + options.max_queued_requests,
            )

    def start(self) -> None:
        """Loads what is there, then begins to answer."""
        self.manager.start()
        self._server.start()
        LOGGER.info("Running gRPC ModelServer at %s:%d ...", self._options.host, self.port)
        if self._rest is not None:
            self._rest.start()
            LOGGER.info("Exporting HTTP/REST API at:%s:%d ...", self._options.host, self._options.rest_api_port)

    def stop(self) -> None:
        """Takes no more requests, finishes those in flight, lets go of the port."""
        self._health.enter_graceful_shutdown()
        grace = self._options.shutdown_grace_seconds
        stopped = self._server.stop(grace)
        if self._rest is not None and self._rest_executor is not None:
            self._rest.stop(grace)
            self._rest_executor.shutdown()
        stopped.wait()
        self.manager.stop()
        self._runner.close()

    def run_until_signal(self) -> None:
        """Serves until SIGTERM or SIGINT, then finishes what is in flight."""
        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        self._limit_threads()
        self.start()
        ended.wait()
        LOGGER.info("Finishing what is in flight ...")
        self.stop()

    def __enter__(self) -> ModelServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _limit_threads(self) -> None:
        """Of TensorFlow; possible only in a process that has not used it yet, hence not for a server within another."""
        tf.config.threading.set_intra_op_parallelism_threads(self._options.tensorflow_intra_op_parallelism)
        tf.config.threading.set_inter_op_parallelism_threads(self._options.tensorflow_inter_op_parallelism)

    def _grpc_server(self) -> grpc.Server:
        options = self._options
        threads = options.threads()
        server = grpc.server(
            ThreadPoolExecutor(threads, thread_name_prefix="grpc"),
            options=[
                ("grpc.max_receive_message_length", options.max_message_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),  # a port that is taken is an error, not a second server on it
            ],
            maximum_concurrent_rpcs=threads + options.max_queued_requests,
        )
        service = PredictionService(self._predictor, as_content=options.enable_serialization_as_tensor_content)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(self._predictor), server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        add_reflection(server)
        return server

    def _bind(self, credentials: grpc.ServerCredentials | None) -> int:
        address = f"{self._options.host}:{self._options.port}"
        try:
            if credentials is not None:
                port = self._server.add_secure_port(address, credentials)
            else:
                port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            port, reason = 0, str(error)
        else:
            reason = "the port is taken, or the address is not this machine's"
        if not port:
            raise ResourceError(f"Cannot listen on {address}", received=reason, mend="Choose another --port or --host")
        return port

    def _set_health(self, name: str, serves: bool) -> None:
        state = health_pb2.HealthCheckResponse.SERVING if serves else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in ("", PREDICTION_SERVICE, name):
            self._health.set(service, state)
