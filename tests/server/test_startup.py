"""Flags and configuration files that TensorFlow Serving has: those with an effect, those without, those refused."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner

from tests.server.calls import factor
from tests.server.toy import write_toy
from tests.waiting import wait_until
from tfvs.cli.ignored_flags import ONLY_VALUE, WITHOUT_EFFECT
from tfvs.cli.main import cli
from tfvs.errors import ConfigError, DataError
from tfvs.server.batching import BatchingParameters
from tfvs.server.model_server import ModelServer
from tfvs.server.options import ServerOptions
from tfvs.server.protos import server_configs_pb2
from tfvs.server.startup import models_to_serve
from tfvs.server.text_configs import read_batching, read_credentials, read_metrics_path, read_models

MODELS = """model_config_list {{ config {{ name: "{name}" base_path: "{path}" model_platform: "tensorflow" }} }}"""


def started(monkeypatch, *arguments: str) -> tuple[int, ServerOptions | None, str]:
    """Runs ``tfvs serve`` up to the server: exit code, the options it was given, and what was printed."""
    found: list[ServerOptions] = []

    class Recorder:
        def __init__(self, options: ServerOptions) -> None:
            found.append(options)

        def run_until_signal(self) -> None:
            pass

    monkeypatch.setattr("tfvs.server.model_server.ModelServer", Recorder)
    result = CliRunner().invoke(cli, ["serve", *arguments])
    return result.exit_code, found[0] if found else None, result.output


def test_flags_are_tensorflow_servings(monkeypatch):
    code, options, _ = started(
        monkeypatch,
        "--model_base_path=/m",
        "--model_name=a",
        "--port=1",
        "--rest_api_port=2",
        "--enable_batching",
        "--rest_api_enable_cors_support=true",
        "--model_config_file_poll_wait_seconds=3",
        "--grpc_socket_path=/tmp/s",
        "--grpc_channel_arguments=grpc.max_connection_age_ms=2000,grpc.lb_policy_name=grpclb",
        "--image_root=/a",
        "--image_root=/b",
    )
    assert code == 0
    assert options is not None
    assert (options.port, options.rest_api_port, options.enable_batching) == (1, 2, True)
    assert (options.rest_api_enable_cors_support, options.model_config_file_poll_wait_seconds) == (True, 3.0)
    assert options.image_roots == ("/a", "/b")
    assert options.channel_arguments() == [("grpc.max_connection_age_ms", 2000), ("grpc.lb_policy_name", "grpclb")]


def test_flags_without_effect_are_one_warning(monkeypatch, caplog):
    values = {name: "true" if "enable" in name else "1" for name in WITHOUT_EFFECT}
    arguments = [f"--{name}={value}" for name, value in values.items()]
    with caplog.at_level(logging.WARNING, "tfvs.server"):
        code, options, _ = started(monkeypatch, "--model_base_path=/m", *arguments, "--saved_model_tags=serve")
    assert code == 0
    assert options is not None
    (record,) = caplog.records
    assert all(f"--{name}" in record.getMessage() for name in WITHOUT_EFFECT)
    caplog.clear()
    assert started(monkeypatch, "--model_base_path=/m", "--enable_model_warmup")[0] == 0
    assert len(caplog.records) == 1
    caplog.clear()
    assert started(monkeypatch, "--model_base_path=/m")[0] == 0
    assert not caplog.records


@pytest.mark.parametrize(
    "argument",
    [
        "--no_such_flag=1",
        "--use_alts_credentials=true",
        "--use_alts_credentials",
        "--saved_model_tags=train",
        "--platform_config_file=/x",
        "--port=x",
        "--grpc_channel_arguments=grpc.x",
    ],
)
def test_what_cannot_be_done_is_refused(monkeypatch, argument):
    with pytest.MonkeyPatch.context():
        result = CliRunner().invoke(cli, ["serve", "--model_base_path=/m", argument])
    assert result.exit_code == 2 or isinstance(result.exception, ConfigError)
    assert set(ONLY_VALUE) == {"platform_config_file", "saved_model_tags", "use_alts_credentials"}


def test_a_configuration_file_beside_a_name_wins_with_a_warning(tmp_path, caplog):
    config = tmp_path / "models.txt"
    config.write_text(MODELS.format(name="a", path="/a"))
    options = ServerOptions(model_config_file=str(config), model_base_path="/b", model_name="b")
    with caplog.at_level(logging.WARNING, "tfvs.server"):
        (model,) = models_to_serve(options)
    assert (model.name, model.base_path) == ("a", "/a")
    assert len(caplog.records) == 1


def test_every_field_of_the_configuration_files_is_read(tmp_path, caplog):
    models = tmp_path / "models.txt"
    models.write_text(
        """# comment
        model_config_list: { config: { name: "a", base_path: "/a", model_platform: "tensorflow"
          model_version_policy { latest { num_versions: 3 } } version_labels { key: "x" value: 2 }
          logging_config { sampling_config { sampling_rate: 0.5 } } } }"""
    )
    batching = tmp_path / "batching.txt"
    batching.write_text(
        """max_batch_size { value: 128 } batch_timeout_micros { value: 0 } max_enqueued_batches { value: 1000000 }
        num_batch_threads { value: 8 } thread_pool_name { value: "x" } allowed_batch_sizes: 8 allowed_batch_sizes: 128
        pad_variable_length_inputs: true enable_large_batch_splitting { value: true }
        max_execution_batch_size { value: 64 }"""
    )
    with caplog.at_level(logging.WARNING, "tfvs.server"):
        (model,) = read_models(str(models))
        parameters = read_batching(str(batching))
    assert (model.latest, model.labels) == (3, (("x", 2),))
    assert parameters == BatchingParameters(128, 0, 1000000, 8)
    first, second = (record.getMessage() for record in caplog.records)
    assert "logging_config" in first
    assert "allowed_batch_sizes, enable_large_batch_splitting, max_execution_batch_size" in second
    monitoring = tmp_path / "monitoring.txt"
    for text, wanted in (
        ("", ""),
        ("prometheus_config { }", ""),
        ("prometheus_config { enable: true }", "/monitoring/prometheus/metrics"),
        ('prometheus_config: { enable: true, path: "/x" }', "/x"),
    ):
        monitoring.write_text(text)
        assert read_metrics_path(str(monitoring)) == wanted


def test_a_file_that_cannot_be_parsed_says_where_and_keeps_secrets(tmp_path):
    path = tmp_path / "config.txt"
    path.write_text("model_config_list {\n  nonsense: 1\n}")
    with pytest.raises(ConfigError, match="text-format tensorflow\\.serving\\.ModelServerConfig") as caught:
        read_models(str(path))
    assert "line 2" in str(caught.value)
    assert "nonsense" in str(caught.value)
    path.write_text("server_key: 'very' secret_text")
    with pytest.raises(ConfigError, match="text-format tensorflow\\.serving\\.SSLConfig") as caught:
        read_credentials(str(path))
    assert "secret_text" not in str(caught.value)
    assert caught.value.__cause__ is None
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_batching(str(path))
    with pytest.raises(DataError):
        read_metrics_path(str(tmp_path / "none"))
    path.write_text('prometheus_config { enable: true path: "x" }')
    with pytest.raises(ConfigError, match="no path"):
        read_metrics_path(str(path))


def test_the_generated_code_is_that_of_the_proto():
    source = Path(server_configs_pb2.__file__).with_name("server_configs.proto").read_text()
    for name, message in server_configs_pb2.DESCRIPTOR.message_types_by_name.items():
        body = re.search(rf"message {name} {{(.*?)\n}}", source, re.DOTALL)
        assert body is not None
        written = {field: int(number) for field, number in re.findall(r"(\w+) = (\d+);", body.group(1))}
        assert written == {field.name: field.number for field in message.fields}


def test_the_model_configuration_file_is_read_again(stub, tmp_path, caplog):
    for name, value in (("first", 1.0), ("second", 2.0)):
        write_toy(tmp_path / name / "1", value)
    config = tmp_path / "models.txt"
    config.write_text(MODELS.format(name="toy", path=tmp_path / "first"))
    options = ServerOptions(model_config_file=str(config), port=0, model_config_file_poll_wait_seconds=0.1)
    with ModelServer(options) as server:
        client = stub(server)
        assert factor(client) == 1.0
        with caplog.at_level(logging.ERROR, "tfvs.server"):
            config.write_text("nonsense")
            wait_until(lambda: any("nonsense" in record.getMessage() for record in caplog.records))
        assert factor(client) == 1.0
        config.write_text(MODELS.format(name="toy", path=tmp_path / "second"))
        wait_until(lambda: factor(client) == 2.0)


def test_grpc_listens_on_a_unix_socket_too(serve, stub, toy_model, tmp_path):
    path = tmp_path / "socket"
    server = serve(toy_model, grpc_socket_path=str(path))
    with grpc.insecure_channel(f"unix:{path}") as channel:
        from tensorflow_serving.apis import prediction_service_pb2_grpc

        assert factor(prediction_service_pb2_grpc.PredictionServiceStub(channel)) == 2.0
    assert factor(stub(server)) == 2.0


def test_specific_versions_that_are_missing_are_named(tmp_path, caplog):
    from tfvs.server.manager import ModelConfig, ModelManager

    write_toy(tmp_path / "toy" / "1", 1.0)
    manager = ModelManager([ModelConfig("toy", str(tmp_path / "toy"), specific=(1, 7))], poll_seconds=0)
    with caplog.at_level(logging.WARNING, "tfvs.server"):
        manager.start()
        assert manager.wait_until_settled(60)
    manager.stop()
    assert manager.find("toy") is not None
    assert [record.getMessage() for record in caplog.records if "Versions 7 of servable toy" in record.getMessage()]
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1
