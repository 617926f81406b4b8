"""Serving figures: latency and throughput, the server's overhead, what batching gains, bytes sent, cold start.

``python -m benchmarks.serving`` exports a saccader with random weights, writes a large pyramid, starts servers on this
machine, and prints a table; the last line is JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import click
import grpc
import numpy as np
import pyvips
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from benchmarks.machine import describe_machine
from tfvs.client.transport import predict_request
from tfvs.export.description import DESCRIPTION_OUTPUT, ModelDescription
from tfvs.export.pyramid_inputs import pyramid_inputs, without_unused_levels
from tfvs.export.saving import export_saved_model
from tfvs.images.crops.vips_reader import VipsReader
from tfvs.images.proxy import ProxyRecipe, proxy_from_pyramid
from tfvs.images.tiff.pyramid import write_pyramid
from tfvs.images.tiff.tile_index import read_index
from tfvs.models.saccader import VariationalSaccader
from tfvs.server.options import ServerOptions
from tfvs.server.servable import Arrays, Servable

RECIPE = ProxyRecipe(height=64, width=64, channels=3)
CLASSES = 10
WARM_UP_CALLS, TURN_CALLS = 5, 25
Call = Callable[[], object]


def make_model(folder: Path, images: Path) -> Path:
    """Exports a saccader of the default size with random weights."""
    model = VariationalSaccader(num_classes=CLASSES)
    model.build({"proxy": (None, *RECIPE.shape), "image": (None, None, None, 3)})
    names = [f"class {i}" for i in range(CLASSES)]
    path = export_saved_model(model, folder / "1", class_names=names, proxy=RECIPE, image_roots=[images])
    return Path(path)


def make_image(path: Path, side: int) -> None:
    """A square image with detail at every scale, as a JPEG pyramid; streamed, never whole in memory."""
    coarse = pyvips.Image.gaussnoise(side // 64, side // 64, mean=128, sigma=60).resize(64, kernel="linear")
    fine = pyvips.Image.gaussnoise(side, side, mean=0, sigma=4)
    planes = (coarse.crop(0, 0, side, side) if coarse.width >= side else coarse.gravity("centre", side, side)) + fine
    image = planes.bandjoin([planes * 0.8, 255 - planes]).cast("uchar").copy(interpretation="srgb")
    write_pyramid(image, path)


def in_process(model: Path, inputs: Arrays) -> Call:
    """The signature called as TensorFlow 2 documents it: tensors in, NumPy out."""
    function = tf.saved_model.load(str(model)).signatures["predict_pyramids"]

    def call() -> Arrays:
        outputs = function(**{key: tf.constant(value) for key, value in inputs.items()})
        return {key: value.numpy() for key, value in outputs.items()}

    return call


def overhead(inside: Call, session: Call, served: Call, seconds: float) -> dict[str, float]:
    """The served call against the same in this process: the signature, and the server's own session.

    In turns of some calls each, so that whatever else runs slows all alike, and each finds its caches as a client that
    keeps calling does; the first calls of a turn are not counted.
    """
    calls = {"in_process": inside, "session": session, "served": served}
    times: dict[str, list[float]] = {name: [] for name in calls}
    end = time.perf_counter() + 3 * seconds
    while time.perf_counter() < end:
        for name, call in calls.items():
            for number in range(WARM_UP_CALLS + TURN_CALLS):
                start = time.perf_counter()
                call()
                if number >= WARM_UP_CALLS:
                    times[name].append((time.perf_counter() - start) * 1e3)
    medians = {name: float(np.median(spent)) for name, spent in times.items()}
    return {
        **{f"{name}_p50_ms": _rounded(median) for name, median in medians.items()},
        "overhead": _rounded(medians["served"] / medians["in_process"] - 1.0),
        "overhead_over_session": _rounded(medians["served"] / medians["session"] - 1.0),
    }


def load(call: Call, clients: int, seconds: float) -> dict[str, float]:
    """Latency and throughput of many callers, each with one request at a time."""
    times: list[float] = []
    failures = [0]
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            start = time.perf_counter()
            try:
                call()
                times.append((time.perf_counter() - start) * 1e3)
            except grpc.RpcError:
                failures[0] += 1

    with ThreadPoolExecutor(clients) as pool:
        for _ in range(clients):
            pool.submit(work)
        time.sleep(seconds)
        ended.set()
    return {
        "p50_ms": _rounded(np.percentile(times, 50)),
        "p99_ms": _rounded(np.percentile(times, 99)),
        "requests_per_s": _rounded(len(times) / seconds),
        "failures": failures[0],
    }


class ServerProcess:
    """``python -m tfvs serve`` in a process of its own.

    Attributes:
      stub: Stub of its PredictionService.
      cold_start_s: From the command to the first answer.
    """

    def __init__(self, base: Path, first: predict_pb2.PredictRequest, *arguments: str) -> None:
        start = time.perf_counter()
        command = [
            sys.executable,
            "-m",
            "tfvs",
            "serve",
            "--port=0",
            f"--model_base_path={base}",
            *arguments,
        ]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        port = self._port()
        limits = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=limits)
        self.stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self.stub.Predict(first, timeout=60)
        self.cold_start_s = _rounded(time.perf_counter() - start)

    def _port(self) -> int:
        for line in self._process.stderr or ():
            if "Running gRPC ModelServer at" in line:
                threading.Thread(target=self._drain, daemon=True).start()
                return int(line.split(" at ")[1].split()[0].rsplit(":", 1)[1])
        raise RuntimeError(f"The server ended with {self._process.wait()}")

    def _drain(self) -> None:
        for _ in self._process.stderr or ():
            continue

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()
        self._process.terminate()
        self._process.wait()


def what_the_client_sends(servable: Servable, path: Path) -> Arrays:
    """Inputs of ``predict_pyramids`` as :class:`tfvs.client.client.SaccadeClient` makes them."""
    index = read_index(path)
    proxy = proxy_from_pyramid(path, index, RECIPE)[np.newaxis] / np.float32(255)
    located = servable.run("locate", {"proxy": proxy, "image_size": np.array([[index.height, index.width]], np.int32)})
    description = ModelDescription.from_json(located[DESCRIPTION_OUTPUT][0].decode())
    short = without_unused_levels(index, description.min_scale, description.crop_size, description.max_level)
    return {"proxy": proxy, **pyramid_inputs(path.name, short)}


def wire_bytes(servable: Servable, path: Path, inputs: Arrays) -> dict[str, Any]:
    """Bytes of requests and answers for one image, by each input mode."""
    index = read_index(path)
    file_bytes = path.stat().st_size
    located = {"proxy": inputs["proxy"], "image_size": np.array([[index.height, index.width]], np.int32)}
    answer = servable.run("locate", located)
    description = ModelDescription.from_json(answer[DESCRIPTION_OUTPUT][0].decode())
    reader = VipsReader(description.crop_size, margin_px=description.margin_px, max_level=description.max_level)
    crops = reader.read_crops(path, answer["boxes"][0])[np.newaxis]
    by_crops = sum(_exchange(servable, "locate", located)) + sum(
        _exchange(servable, "classify_crops", {**located, "crops": crops})
    )
    by_path = sum(_exchange(servable, "predict_pyramids", inputs))
    return {
        "file": file_bytes,
        "predict_images (the file itself)": file_bytes,
        "predict_pyramids": by_path,
        "locate + classify_crops": by_crops,
        "file / (locate + classify_crops)": _rounded(file_bytes / by_crops),
    }


def _exchange(servable: Servable, signature: str, inputs: Arrays) -> tuple[int, int]:
    request = predict_request("default", signature, inputs)
    answer = predict_request("default", signature, servable.run(signature, inputs))
    return request.ByteSize(), answer.ByteSize()


def _rounded(value: Any) -> float:
    return float(f"{value:.4g}")


def measure(folder: Path, side: int, seconds: float, clients: list[int]) -> dict[str, Any]:
    """All figures of one run."""
    images, base = folder / "images", folder / "model"
    images.mkdir()
    make_image(images / "image.tif", side)
    model_path = make_model(base, images)
    servable = Servable("default", 1, str(model_path))
    inputs = what_the_client_sends(servable, images / "image.tif")
    request = predict_request("default", "predict_pyramids", inputs)
    results: dict[str, Any] = {
        "machine": describe_machine(),
        "image_side_px": side,
        "wire_bytes": wire_bytes(servable, images / "image.tif", inputs),
    }
    for name, arguments in (("plain", ()), ("batching", ("--enable_batching",))):
        with ServerProcess(base, request, *arguments) as server:
            figures: dict[str, Any] = {"cold_start_s": server.cold_start_s}

            def call(stub: Any = server.stub) -> object:
                return stub.Predict(request, timeout=60)

            if name == "plain":
                session = partial(servable.run, "predict_pyramids", inputs)
                results["one_client"] = overhead(in_process(model_path, inputs), session, call, seconds)
            for count in clients:
                figures[f"{count} clients"] = load(call, count, seconds)
            results[name] = figures
    most = f"{clients[-1]} clients"
    results["batching_gain"] = _rounded(
        results["batching"][most]["requests_per_s"] / results["plain"][most]["requests_per_s"]
    )
    return results


@click.command(context_settings={"show_default": True})
@click.option("--side", default=30_000, help="Side of the image, pixels.")
@click.option("--seconds", default=10.0, help="Seconds of each measurement.")
@click.option("--clients", default="1,8,64", help="Number of clients at a time.")
@click.option("--output", type=click.Path(path_type=Path), help="JSON file for the figures; a plot goes beside it.")
def main(side: int, seconds: float, clients: str, output: Path | None) -> None:
    """Measures serving on this machine."""
    # As the server does, so that the same work is compared.
    tf.config.threading.set_intra_op_parallelism_threads(ServerOptions.tensorflow_intra_op_parallelism)
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder), side, seconds, [int(count) for count in clients.split(",")])
    for key, value in results.items():
        click.echo(f"{key}:" if isinstance(value, dict) else f"{key}: {value}")
        for name, figures in value.items() if isinstance(value, dict) else ():
            click.echo(f"  {name}: {figures}")
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(results, indent=2) + "\n")
        draw(results, output.with_suffix(".png"))
    click.echo(json.dumps(results))


def draw(results: dict[str, Any], path: Path) -> None:
    """Requests per second and median latency over the number of clients, with and without batching."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 2.8), layout="constrained")
    for axes, key, label in zip(
        figure.subplots(1, 2), ("requests_per_s", "p50_ms"), ("requests per second", "median latency, ms"), strict=True
    ):
        for name in ("plain", "batching"):
            loads = {int(k.split()[0]): v[key] for k, v in results[name].items() if k.endswith(" clients")}
            axes.plot(list(loads), list(loads.values()), marker="o", label=name)
        axes.set(xscale="log", ylim=(0, None), xlabel="clients", ylabel=label)
        axes.set_xticks(list(loads), map(str, loads))
        axes.spines[["top", "right"]].set_visible(False)
        axes.minorticks_off()
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
