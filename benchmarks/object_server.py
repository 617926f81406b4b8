"""Servers that speak S3 on this machine, for tests and benchmarks."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.machine import free_port

BUCKET = "bucket"
KEYS = {"AWS_ACCESS_KEY_ID": "testing-key-id", "AWS_SECRET_ACCESS_KEY": "testing-secret", "AWS_REGION": "us-east-1"}
START_S = 30.0


@contextlib.contextmanager
def started(command: Callable[[int], list[str]]) -> Iterator[str]:
    """A server in a process of its own, for as long as the context lasts.

    Args:
      command: From the port that it shall listen on to its command.

    Yields:
      ``HOST:PORT``.

    Raises:
      RuntimeError: It ends, or does not listen in time.
    """
    port = free_port()
    process = subprocess.Popen(command(port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + START_S
        while socket.socket().connect_ex(("127.0.0.1", port)):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"The server does not start: {' '.join(command(port))}")
            time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _moto(program: str, port: int, folder: str) -> list[str]:
    return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]


def _gofakes3(program: str, port: int, folder: str) -> list[str]:
    return [program, "-backend", "memory", "-host", f"127.0.0.1:{port}"]


def _versitygw(program: str, port: int, folder: str) -> list[str]:
    keys = f"--access={KEYS['AWS_ACCESS_KEY_ID']}", f"--secret={KEYS['AWS_SECRET_ACCESS_KEY']}"
    return [program, *keys, f"--port=127.0.0.1:{port}", "--quiet", "--keep-alive", "posix", folder]


SERVERS = {"moto": _moto, "gofakes3": _gofakes3, "versitygw": _versitygw}  # name of the program → its command


@contextlib.contextmanager
def s3_server(program: str = "moto") -> Iterator[str]:
    """A server that speaks S3, with one bucket, :data:`BUCKET`, and nothing in it.

    Args:
      program: ``moto``, or the path of one of the other :data:`SERVERS`: gofakes3, which is quick, or versitygw, which
        keeps objects in a folder and is used beyond tests.

    Yields:
      ``HOST:PORT``.
    """
    import boto3

    name = Path(program).name
    with tempfile.TemporaryDirectory() as folder, started(lambda port: SERVERS[name](program, port, folder)) as address:
        client = boto3.client(
            "s3",
            endpoint_url=f"http://{address}",
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
            region_name=KEYS["AWS_REGION"],
        )
        client.create_bucket(Bucket=BUCKET)
        if name == "moto":  # Google's API by XML is the same but for its signatures, which moto's server does not know
            anyone = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
            client.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Statement": [anyone]}))
        yield address
