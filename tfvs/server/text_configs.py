"""TensorFlow Serving's configuration files in protobuf's text format: models, batching, TLS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory, text_format
from tensorflow_serving.config import model_server_config_pb2

from tfvs.errors import ConfigError, DataError
from tfvs.server.batching import BatchingParameters
from tfvs.server.manager import ModelConfig

_STRING = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
_BOOL = descriptor_pb2.FieldDescriptorProto.TYPE_BOOL
_INT64 = descriptor_pb2.FieldDescriptorProto.TYPE_INT64
_MESSAGE = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE

# These two messages of TensorFlow Serving are not in the package of its protos; the numbers are theirs.
_SSL_FIELDS = {
    "server_key": (1, _STRING),
    "server_cert": (2, _STRING),
    "custom_ca": (3, _STRING),
    "client_verify": (4, _BOOL),
}
_BATCHING_FIELDS = {"max_batch_size": 1, "batch_timeout_micros": 2, "max_enqueued_batches": 3, "num_batch_threads": 4}


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
    models = []
    for config in proto.model_config_list.config:
        if config.model_platform not in ("", "tensorflow"):
            raise ConfigError(
                f"Model {config.name} has another platform", expected="tensorflow", received=config.model_platform
            )
        policy = config.model_version_policy
        choice = policy.WhichOneof("policy_choice")
        latest = 0 if choice == "all" else max(policy.latest.num_versions, 1)
        specific = tuple(policy.specific.versions) if choice == "specific" else ()
        labels = tuple(sorted(config.version_labels.items()))
        models.append(ModelConfig(config.name, config.base_path, latest, specific, labels))
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
    parsed = _parse(path, _message_class("BatchingParameters", dict.fromkeys(_BATCHING_FIELDS), _BATCHING_FIELDS)())
    return BatchingParameters(**{field.name: value.value for field, value in parsed.ListFields()})


def read_credentials(path: str) -> grpc.ServerCredentials:
    """The file of ``--ssl_config_file``: ``server_key``, ``server_cert``, ``custom_ca``, ``client_verify``, PEM.

    Raises:
      DataError: It cannot be read.
      ConfigError: Key or certificate is missing.
    """
    numbers = {name: number for name, (number, _) in _SSL_FIELDS.items()}
    parsed = _parse(
        path, _message_class("SSLConfig", {name: kind for name, (_, kind) in _SSL_FIELDS.items()}, numbers)()
    )
    if not parsed.server_key or not parsed.server_cert:
        raise ConfigError(
            "The TLS configuration is not complete", expected="server_key and server_cert, PEM", received=path
        )
    return grpc.ssl_server_credentials(
        [(parsed.server_key.encode(), parsed.server_cert.encode())],
        root_certificates=parsed.custom_ca.encode() or None,
        require_client_auth=parsed.client_verify,
    )


def _parse(path: str, target: Any) -> Any:
    try:
        return text_format.Parse(Path(path).read_text(), target)
    except OSError as error:
        raise DataError("Cannot read the configuration file", received=f"{path}: {error.strerror}") from error
    except text_format.ParseError as error:
        raise ConfigError(
            f"Cannot parse {path}", received=error, expected=f"text format of {target.DESCRIPTOR.name}"
        ) from error


def _message_class(name: str, types: dict[str, Any], numbers: dict[str, int]) -> type[message.Message]:
    """A message class with optional fields; a type of None stands for a wrapped int64, ``{ value: n }``."""
    file = descriptor_pb2.FileDescriptorProto(
        name=f"tfvs/{name}.proto", package=f"tfvs.{name.lower()}", syntax="proto3"
    )
    file.message_type.add(name="Int64Value").field.add(name="value", number=1, type=_INT64, label=1)
    fields = file.message_type.add(name=name).field
    for field, kind in types.items():
        wrapped = {"type": _MESSAGE, "type_name": f".{file.package}.Int64Value"} if kind is None else {"type": kind}
        fields.add(name=field, number=numbers[field], label=1, **wrapped)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    descriptor = pool.FindMessageTypeByName(f"{file.package}.{name}")
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    older: Any = message_factory.MessageFactory(pool)  # protobuf before 4.22
    return older.GetPrototype(descriptor)
