"""The embedded model server: TensorFlow Serving's gRPC and REST APIs over any SavedModel."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NoReturn

import grpc
import tensorflow as tf
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from tfvs.errors import ResourceError
from tfvs.server.addresses import for_url
from tfvs.server.batching import BatchingRunner, DirectRunner, Runner
from tfvs.server.config_watch import ConfigWatch
from tfvs.server.counting_executor import CountingExecutor
from tfvs.server.grpc.model_service import ModelService
from tfvs.server.grpc.prediction_service import PredictionService
from tfvs.server.grpc.profiler import add_profiler
from tfvs.server.grpc.reflection import add_reflection
from tfvs.server.health import Health
from tfvs.server.lifecycle import run_until_signal
from tfvs.server.manager import ModelManager, require_folders
from tfvs.server.metrics import CONTENT_TYPE, Metrics
from tfvs.server.observation import Observer, ObservingInterceptor
from tfvs.server.options import ServerOptions
from tfvs.server.path_guard import PathGuard
from tfvs.server.predictor import Predictor
from tfvs.server.request_log import RequestLog
from tfvs.server.rest.app import RestServer
from tfvs.server.rest.handlers import Gate, Surroundings
from tfvs.server.startup import batching_of, models_to_serve, request_threads
from tfvs.server.status import LOGGER
from tfvs.server.text_configs import read_credentials, read_metrics_path

STOPPING_SECONDS = 0.5


class ModelServer:
    """Serves models until it is stopped.

    >>> with ModelServer(ServerOptions(model_base_path="/models/digits", port=0)) as server:  # doctest: +SKIP
    ...     print(server.port)

    Args:
      options: What to serve and how.

    Attributes:
      port: Port of the gRPC server, also where the options leave the choice to the system.

    Raises:
      ConfigError: Options or files that contradict themselves.
      DataError: A base path or a file does not exist.
      ResourceError: A port is taken.
    """

    def __init__(self, options: ServerOptions) -> None:
        self._options, self._stopped = options, False
        models, batching = models_to_serve(options), batching_of(options)
        self._threads = request_threads(options, batching)
        credentials = read_credentials(options.ssl_config_file) if options.ssl_config_file else None
        require_folders({model.name: model.base_path for model in models})
        self._health = Health()
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
        self._grpc_executor = CountingExecutor(self._threads, "grpc")
        self._rest_executor = CountingExecutor(self._threads, "rest") if options.rest_api_port else None
        self._observe()
        self._server = self._grpc_server()
        self.port = self._bind(credentials)
        self._config_watch: ConfigWatch | None = None
        if options.model_config_file and options.model_config_file_poll_wait_seconds > 0:
            wait = options.model_config_file_poll_wait_seconds
            self._config_watch = ConfigWatch(options.model_config_file, wait, models, self.manager.reconfigure)
        self._rest: RestServer | None = None
        if self._rest_executor is not None:
            surroundings = Surroundings(
                self._predictor,
                self._rest_executor,
                Gate(self._threads + options.max_queued_requests),
                options.max_message_bytes,
                options.rest_api_enable_cors_support,
                self._observers,
                max_connections=options.rest_api_max_connections,
                timeout_s=options.rest_api_timeout_in_ms / 1000,
                is_ready=lambda: self._health.ready,
            )
            self._rest = RestServer(surroundings, options.host, options.rest_api_port, self._metrics_page)

    def start(self) -> None:
        """Answers at once, and returns when what is there has been loaded.

        Until then health checks say NOT_SERVING, and requests get UNAVAILABLE.
        """
        self._server.start()
        if self._rest is not None:
            self._rest.start()
        self.manager.start()
        self.manager.wait_until_settled()
        host = for_url(self._options.host)
        LOGGER.info("Running gRPC ModelServer at %s:%d ...", host, self.port)
        if self._rest is not None:
            LOGGER.info("Exporting HTTP/REST API at:%s:%d ...", host, self._options.rest_api_port)
        if self._config_watch is not None:
            self._config_watch.start()

    def stop(self) -> bool:
        """Says that it is not ready, goes on for a while, then finishes the requests in flight and closes the ports.

        Returns:
          Whether all requests in flight were finished within the grace.
        """
        if self._stopped:
            return True
        self._stopped = True
        end = time.monotonic() + self._options.grace_for_requests()
        self._health.end()
        if self._rest is not None:
            self._rest.close_after_each_answer()
        if self._config_watch is not None:
            self._config_watch.stop()
        time.sleep(self._options.shutdown_delay_seconds)
        left = max(end - time.monotonic(), 0.0)
        self.manager.stop()
        stopped = self._server.stop(left)  # tells clients to go elsewhere, refuses new calls
        finished = self._rest is None or self._rest.stop(left)
        finished &= stopped.wait(max(end - time.monotonic(), 0.0))
        if self._rest_executor is not None:
            self._rest_executor.shutdown(wait=False, cancel_futures=True)
        self._runner.close(max(end - time.monotonic(), 0.0))
        stopped.wait(STOPPING_SECONDS)  # calls that were cut off are told so
        if self._request_log is not None:
            self._request_log.close()
        return finished

    def run_until_signal(self) -> NoReturn:
        """Serves until SIGTERM or SIGINT, then finishes what is in flight, and ends the process."""
        self._limit_threads()
        run_until_signal(self, self._options.shutdown_grace_seconds)

    def __enter__(self) -> ModelServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _limit_threads(self) -> None:
        """Sets TensorFlow's threads, which works only in a process that has not used TensorFlow yet."""
        tf.config.threading.set_intra_op_parallelism_threads(self._options.tensorflow_intra_op_parallelism)
        tf.config.threading.set_inter_op_parallelism_threads(self._options.tensorflow_inter_op_parallelism)

    def _grpc_server(self) -> grpc.Server:
        options = self._options
        server = grpc.server(
            self._grpc_executor,
            interceptors=[ObservingInterceptor(self._observers)] if self._observers else [],
            options=[
                ("grpc.max_receive_message_length", options.max_message_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),  # a port that is taken is an error, not a second server on it
                *options.channel_arguments(),
            ],
            maximum_concurrent_rpcs=self._threads + options.max_queued_requests,
        )
        service = PredictionService(self._predictor, as_content=options.enable_serialization_as_tensor_content)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(self._predictor), server)
        self._health.add_to(server)
        add_reflection(server)
        if options.enable_profiler:
            add_profiler(server)
        return server

    def _bind(self, credentials: grpc.ServerCredentials | None) -> int:
        address = f"{for_url(self._options.host)}:{self._options.port}"
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
        if self._options.grpc_socket_path:
            self._bind_socket(f"unix:{self._options.grpc_socket_path}", credentials)
        return port

    def _bind_socket(self, address: str, credentials: grpc.ServerCredentials | None) -> None:
        try:
            if credentials is not None:
                self._server.add_secure_port(address, credentials)
            else:
                self._server.add_insecure_port(address)
        except RuntimeError as error:
            mend = "Choose another --grpc_socket_path"
            raise ResourceError(f"Cannot listen on {address}", received=str(error), mend=mend) from error

    def _observe(self) -> None:
        """The metrics and the request log, where the options ask for them."""
        options = self._options
        self._observers: list[Observer] = []
        self._request_log: RequestLog | None = None
        self._metrics_page: tuple[str, Callable[[], bytes], str] | None = None
        if options.request_log_file:
            self._request_log = RequestLog(options.request_log_file, options.request_log_sampling_rate)
            self._observers.append(self._request_log)
        path = read_metrics_path(options.monitoring_config_file) if options.monitoring_config_file else ""
        if not path:
            return
        if not options.rest_api_port:
            LOGGER.warning("There are no metrics: --monitoring_config_file wants --rest_api_port.")
            return
        runner = self._runner
        executors = [executor for executor in (self._grpc_executor, self._rest_executor) if executor is not None]
        metrics = Metrics(
            self.manager,
            requests_waiting=lambda: sum(executor.waiting for executor in executors),
            batches_waiting=runner.waiting if isinstance(runner, BatchingRunner) else lambda: 0,
        )
        if isinstance(runner, BatchingRunner):
            runner.on_batch = metrics.batched
        self._predictor.on_answer = metrics.answered
        self._observers.append(metrics)
        self._metrics_page = path, metrics.page, CONTENT_TYPE

    def _set_health(self) -> None:
        self._health.update(self.manager.ready())
