"""A relay in front of an HTTP server: it adds a delay to every round trip, injects faults, and notes each request.

    python -m benchmarks.relay --to HOST:PORT --port PORT --log requests.jsonl --delay-ms 10 --fail 0.05

A request is passed on as it is, the host it names included, so signatures stay whole. Which requests fail is drawn
from a seed. One line of JSON per request goes to the log: its times, method, path, range, status, bytes and fault.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from benchmarks.object_server import started

HEAD_BYTES = 1 << 16


@dataclass(frozen=True)
class Faults:
    """What the relay does to requests, as fractions of them, and to every round trip.

    Attributes:
      delay_ms: Added before each answer, and before a connection is of use.
      fail: Fraction answered with status 503.
      stall: Fraction of requests that get no answer for ``stall_s``.
      cut: Fraction whose connection is cut in the middle of the answer's body.
      stall_s: Seconds.
      status: Answers every request so, where it is not 0.
      code: The error's code in that answer.
      seed: Seed of what is drawn.
    """

    delay_ms: float = 0.0
    fail: float = 0.0
    stall: float = 0.0
    cut: float = 0.0
    stall_s: float = 30.0
    status: int = 0
    code: str = "AccessDenied"
    seed: int = 0


class Relay:
    """The relay, to be run in an event loop of its own.

    Args:
      host: Host of the server behind it.
      port: Port of the server behind it.
      faults: What to do to requests.
      log: File that gets one line per request.
    """

    def __init__(self, host: str, port: int, faults: Faults, log: Path) -> None:
        self._host, self._port, self._faults = host, port, faults
        self._log = log.open("a", buffering=1)
        self._random = random.Random(faults.seed)

    async def serve(self, port: int) -> None:
        """Serves until it is cancelled."""
        server = await asyncio.start_server(self._connection, "127.0.0.1", port, limit=HEAD_BYTES, backlog=1024)
        async with server:
            await server.serve_forever()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(self._faults.delay_ms / 1000)  # the handshake is a round trip too
        behind: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                began = time.time()
                if _header(head, b"expect"):  # a client that asks whether to send the body
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                body = await _body(head, reader)
                fault = self._draw()
                if fault == "stall":
                    await asyncio.sleep(self._faults.stall_s)
                await asyncio.sleep(self._faults.delay_ms / 1000)
                if fault == "fail" or self._faults.status:
                    answer = _refusal(
                        self._faults.status or 503, self._faults.code if self._faults.status else "SlowDown"
                    )
                else:
                    behind = behind or await asyncio.open_connection(self._host, self._port, limit=HEAD_BYTES)
                    # Google's XML interface is Amazon's but for the name of this header, which the server may not know.
                    head = head.replace(b"x-goog-copy-source", b"x-amz-copy-source")
                    answer = await _exchange(head + body, *behind)
                split = answer.index(b"\r\n\r\n") + 4
                self._note(head, answer, began, len(answer) - split, fault)
                if fault == "cut":
                    writer.write(answer[: split + (len(answer) - split) // 2])
                    await writer.drain()
                    break
                writer.write(answer)
                await writer.drain()
                if b"connection: close" in answer[:split].lower():
                    break
        for open_writer in (writer, behind[1] if behind else None):
            if open_writer is not None:
                open_writer.close()

    def _draw(self) -> str | None:
        drawn, edge = self._random.random(), 0.0
        for name in ("fail", "stall", "cut"):
            edge += getattr(self._faults, name)
            if drawn < edge:
                return name
        return None

    def _note(self, head: bytes, answer: bytes, began: float, body_bytes: int, fault: str | None) -> None:
        method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
        noted = {
            "began": began,
            "ended": time.time(),
            "method": method,
            "path": path,
            "range": (_header(head, b"range") or b"").decode(),
            "status": int(answer.split(b" ", 2)[1]),
            "bytes": body_bytes,
            "fault": fault,
        }
        self._log.write(json.dumps(noted) + "\n")


async def _exchange(request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(request)
    status = 100
    while status == 100:  # the body is sent already, whatever the server says of it
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
    if request.startswith(b"HEAD") or status in (204, 304):
        return head
    return head + await _body(head, reader)


async def _body(head: bytes, reader: asyncio.StreamReader) -> bytes:
    if b"chunked" in (_header(head, b"transfer-encoding") or b""):
        parts = []
        while True:
            line = await reader.readuntil(b"\r\n")
            parts += [line, await reader.readexactly(int(line.split(b";")[0], 16) + 2)]
            if int(line.split(b";")[0], 16) == 0:
                return b"".join(parts)
    return await reader.readexactly(int(_header(head, b"content-length") or 0))


def _header(head: bytes, name: bytes) -> bytes | None:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return None


def _refusal(status: int, code: str) -> bytes:
    body = f"<Error><Code>{code}</Code><Message>The relay refuses this.</Message></Error>".encode()
    return f"HTTP/1.1 {status} Refused\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@dataclass(frozen=True)
class RunningRelay:
    """A relay in a process of its own.

    Attributes:
      url: Where it answers.
      log: Its log.
    """

    url: str
    log: Path

    def requests(self) -> list[dict[str, Any]]:
        """What it noted, in the order in which it ended."""
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def forget(self) -> None:
        """Empties the log."""
        if self.log.exists():
            self.log.write_text("")


@contextlib.contextmanager
def running_relay(to: str, log: Path, **faults: Any) -> Iterator[RunningRelay]:
    """Runs a relay for as long as the context lasts.

    Args:
      to: ``HOST:PORT`` of the server.
      log: File for its notes.
      **faults: Fields of :class:`Faults`.
    """
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in faults.items()]
    command = [sys.executable, "-m", "benchmarks.relay", f"--to={to}", f"--log={log}", *flags]
    with started(lambda port: [*command, f"--port={port}"]) as address:
        yield RunningRelay(f"http://{address}", log)


def round_trips(requests: list[dict[str, Any]]) -> int:
    """How many of the requests came one after another: the longest chain in which each began after the last ended."""
    count, ended = 0, 0.0
    for request in sorted(requests, key=lambda request: request["ended"]):
        if request["began"] >= ended:
            count, ended = count + 1, request["ended"]
    return count


@click.command(context_settings={"show_default": True})
@click.option("--to", required=True, help="HOST:PORT of the server.")
@click.option("--port", required=True, type=int, help="Port to listen on, at 127.0.0.1.")
@click.option("--log", required=True, type=click.Path(path_type=Path), help="File that gets one line per request.")
@click.option("--delay-ms", default=0.0, help="Added to every round trip.")
@click.option("--fail", default=0.0, help="Fraction of the requests answered with status 503.")
@click.option("--stall", default=0.0, help="Fraction of the requests that get no answer for a while.")
@click.option("--cut", default=0.0, help="Fraction of the requests whose answer is cut.")
@click.option("--stall-s", default=30.0, help="That while, seconds.")
@click.option("--status", default=0, help="Answers every request with this status.")
@click.option("--code", default="AccessDenied", help="The error's code in that answer.")
@click.option("--seed", default=0, help="Seed of what is drawn.")
def main(to: str, port: int, log: Path, **faults: Any) -> None:
    """Passes requests on, with delays and faults."""
    host, _, number = to.rpartition(":")
    asyncio.run(Relay(host, int(number), Faults(**faults), log).serve(port))


if __name__ == "__main__":
    main()
