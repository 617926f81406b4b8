"""nginx before the server: what the size of its body buffer costs, with the configuration of ``docs/deployment.md``.

``python -m benchmarks.nginx`` starts a small model and nginx on this machine, and sends REST requests of 1 MB through
nginx, one at a time, once with nginx's own ``client_body_buffer_size`` (16 kB) and once with the documented one. The
last line printed is JSON.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import tensorflow as tf

from benchmarks.machine import describe_machine, free_port
from tfvs.server.model_server import ModelServer
from tfvs.server.options import ServerOptions

PAGE = Path(__file__).resolve().parents[1] / "docs" / "deployment.md"
START_S = 10
PROGRAM = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


def documented() -> str:
    """The configuration as the page on deployment shows it."""
    found = re.search(r"```nginx\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert found is not None, f"{PAGE} shows no configuration of nginx"
    return found.group(1)


def command(folder: Path, text: str) -> list[str]:
    """Writes a configuration, and says how nginx is started with it in the foreground.

    Args:
      folder: Where nginx keeps its files.
      text: What stands within ``http { }``.

    Raises:
      UsageError: nginx is not installed.
    """
    if PROGRAM is None:
        raise click.UsageError("nginx is not installed")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"daemon off; pid {folder}/pid; error_log stderr;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}\n{text}\n}}\n"
    )
    return [PROGRAM, "-p", str(folder), "-c", str(configuration)]


@contextlib.contextmanager
def nginx(folder: Path, rest: int, grpc: int, *, buffers_bodies: bool = True) -> Iterator[tuple[int, int]]:
    """nginx before a server on this machine.

    Args:
      folder: where nginx keeps its files.
      rest, grpc: ports of the server.
      buffers_bodies: False takes the documented ``client_body_buffer_size`` away.

    Yields:
      nginx's ports for REST and for gRPC, both without TLS: older versions cannot tell HTTP/1 from HTTP/2 on one.
    """
    ports = free_port(), free_port()
    listening = f"listen 127.0.0.1:{ports[0]};\n  listen 127.0.0.1:{ports[1]} http2;"
    text = re.sub(r"listen 443 ssl;\s*http2 on;", listening, documented())
    text = text.replace("127.0.0.1:8501", f"127.0.0.1:{rest}").replace("127.0.0.1:8500", f"127.0.0.1:{grpc}")
    if not buffers_bodies:
        text = re.sub(r"client_body_buffer_size[^;]*;", "", text)
    process = subprocess.Popen(command(folder, text), stderr=subprocess.PIPE, text=True)
    try:
        for port in ports:
            end = time.monotonic() + START_S
            while socket.socket().connect_ex(("127.0.0.1", port)):
                if process.poll() is not None or time.monotonic() > end:
                    process.kill()
                    raise RuntimeError(f"nginx does not start: {process.communicate()[1]}")
                time.sleep(0.05)
        yield ports
    finally:
        process.terminate()
        process.wait()


def requests_per_second(port: int, body: bytes, seconds: float) -> float:
    """What one client on one connection gets answered."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    begun, answered = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        connection.request("POST", "/v1/models/length:predict", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read()
        assert response.status == 200, text[:500]
        answered += 1
    return answered / (time.perf_counter() - begun)


def save_model(folder: Path) -> None:
    """A model that answers the length of its string: what is measured is the way to it."""
    module = tf.Module()
    module.answer = tf.function(
        lambda text: {"length": tf.strings.length(text)}, input_signature=[tf.TensorSpec([None], tf.string, "text")]
    )
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.answer})


@click.command()
@click.option("--kilobytes", default=1000, show_default=True, help="Size of one request's image, kB.")
@click.option("--seconds", default=10.0, show_default=True, help="How long each measurement takes.")
def main(kilobytes: int, seconds: float) -> None:
    """Measures requests per second through nginx."""
    image = np.random.default_rng(0).integers(0, 256, kilobytes * 750, np.uint8).tobytes()
    text = tf.io.encode_base64(image).numpy().decode().replace("-", "+").replace("_", "/")
    body = json.dumps({"instances": [{"b64": text}]}).encode()
    figures: dict[str, object] = {"machine": describe_machine(), "body_bytes": len(body)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_model(folder / "length" / "1")
        options = ServerOptions(
            model_base_path=str(folder / "length"), model_name="length", port=0, rest_api_port=free_port()
        )
        with ModelServer(options) as server:
            figures["direct"] = requests_per_second(options.rest_api_port, body, seconds)
            for key, buffers in (("nginx", False), ("nginx, bodies buffered", True)):
                (folder / key).mkdir()
                with nginx(folder / key, options.rest_api_port, server.port, buffers_bodies=buffers) as (port, _):
                    figures[key] = requests_per_second(port, body, seconds)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
