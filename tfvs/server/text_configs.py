"""TensorFlow Serving's configuration files in protobuf's text format: models, batching, TLS, monitoring."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from tfvs.errors import ConfigError, DataError
from tfvs.server.batching import BatchingParameters
from tfvs.server.manager import ModelConfig
from tfvs.server.protos import server_configs_pb2
from tfvs.server.status import LOGGER
from tfvs.server.tls import check_tls

METRICS_PATH = "/monitoring/prometheus/metrics"


def read_models(path: str) -> list[ModelConfig]:
    """The file of ``--model_config_file``.

    Raises:
      DataError: It cannot be read.
      ConfigError: It says what cannot be served.
    """
    return models_from_proto(_parse(path, model_server_config_pb2.ModelServerConfig()))


def models_from_proto(proto: Any) -> list[ModelConfig]:
    """The models of a ModelServerConfig.

    Raises:
      ConfigError: It says what cannot be served.
    """
    if proto.WhichOneof("config") != "model_config_list" or not proto.model_config_list.config:
        raise ConfigError("The model configuration names no model", expected="model_config_list { config { … } }")
    models = [_model(config) for config in proto.model_config_list.config]
    names = [model.name for model in models]
    if len(set(names)) < len(names):
        raise ConfigError("Two models have one name", received=sorted(names))
    return models


def read_batching(path: str) -> BatchingParameters:
    """The file of ``--batching_parameters_file``, for example ``max_batch_size { value: 32 }``.

    Raises:
      DataError: It cannot be read.
      ConfigError: A value that cannot work.
    """
    parsed = _parse(path, server_configs_pb2.BatchingParameters())
    known = {field.name for field in dataclasses.fields(BatchingParameters)}
    given = {descriptor.name: value for descriptor, value in parsed.ListFields()}
    without_effect = sorted(given.keys() - known)
    if without_effect:
        LOGGER.warning("%s: %s has no effect in this server.", path, ", ".join(without_effect))
    return BatchingParameters(**{name: given[name].value for name in given.keys() & known})


def read_credentials(path: str) -> grpc.ServerCredentials:
    """The file of ``--ssl_config_file``: ``server_key``, ``server_cert``, ``custom_ca``, ``client_verify``, PEM.

    Raises:
      DataError: It cannot be read.
      ConfigError: The material cannot be used.
    """
    parsed = _parse(path, server_configs_pb2.SSLConfig(), is_secret=True)
    check_tls(
        parsed.server_key, parsed.server_cert, parsed.custom_ca, verifies_clients=parsed.client_verify, source=path
    )
    return grpc.ssl_server_credentials(
        [(parsed.server_key.encode(), parsed.server_cert.encode())],
        root_certificates=parsed.custom_ca.encode() or None,
        require_client_auth=parsed.client_verify,
    )


def read_metrics_path(path: str) -> str:
    """The file of ``--monitoring_config_file``: where the metrics are; empty: they are not enabled.

    Raises:
      DataError: It cannot be read.
      ConfigError: The place is no path.
    """
    config = _parse(path, server_configs_pb2.MonitoringConfig()).prometheus_config
    place = config.path or METRICS_PATH
    if not place.startswith("/"):
        raise ConfigError("The path of the metrics is no path", expected=f"{METRICS_PATH}, or another", received=place)
    return place if config.enable else ""


def _model(config: Any) -> ModelConfig:
    if config.model_platform not in ("", "tensorflow"):
        raise ConfigError(
            f"Model {config.name} has another platform", expected="tensorflow", received=config.model_platform
        )
    if config.HasField("logging_config"):
        LOGGER.warning(
            "Model %s: logging_config has no effect in this server; --request_log_file logs requests.", config.name
        )
    policy = config.model_version_policy
    choice = policy.WhichOneof("policy_choice")
    latest = 0 if choice == "all" else max(policy.latest.num_versions, 1)
    specific = tuple(policy.specific.versions) if choice == "specific" else ()
    labels = tuple(sorted(config.version_labels.items()))
    return ModelConfig(config.name, config.base_path, latest, specific, labels)


def _parse(path: str, target: Any, *, is_secret: bool = False) -> Any:
    """Reads a file into a message; for a file with secrets, errors show the place but no text."""
    name = target.DESCRIPTOR.full_name.replace("tfvs.server", "tensorflow.serving")
    try:
        return text_format.Parse(Path(path).read_text("utf-8"), target)
    except OSError as error:
        raise DataError("Cannot read the configuration file", received=f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"Error parsing text-format {name}", expected="UTF-8", received=path) from error
    except text_format.ParseError as error:
        place = f"{path}, line {error.GetLine()}, column {error.GetColumn()}"
        received = place if is_secret else f"{place}: {error}"
        raise ConfigError(f"Error parsing text-format {name}", received=received) from None
