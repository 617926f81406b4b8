"""Training on one host and on two, here processes of one machine: images per second, and what an image costs them.

``python -m benchmarks.hosts --work /tmp/hosts`` trains on the same tiles with the same batch, once as one process and
once as two, each on one core, and writes ``docs/results/hosts.json``; the last line printed is JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.machine import describe_machine, free_port
from benchmarks.scale import REPOSITORY

IMAGES, SIDE, EPOCHS = 192, 512, 4
BATCHES = (32, 96)
PROXY_PX, CROP_PX, LOOKS = 64, 64, 4
RESULTS = REPOSITORY / "docs" / "results" / "hosts.json"


def start_hosts(module: str, *arguments: object, count: int = 2) -> list[subprocess.Popen[str]]:
    """Starts a module on so many hosts that train together, here processes; the first one leads."""
    cluster = {"worker": [f"localhost:{free_port()}" for _ in range(count)]}
    processes = []
    for index in range(count):
        config = {"cluster": cluster, "task": {"type": "worker", "index": index}} if count > 1 else {}
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", module, *map(str, arguments)],
                env={**os.environ, "TF_CONFIG": json.dumps(config)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return processes


def write_images(folder: Path, count: int, height: int, width: int) -> None:
    """Grey noise of two classes, dark and light, in a folder per class."""
    from tfvs.datasets.writing import encode_png

    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 100, (height, width), np.uint8)
        path = folder / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(noise + np.uint8(100 * (number % 2))))


def prepare(work: Path) -> Path:
    """Images of two classes, prepared; those of an earlier run are kept."""
    from tfvs.images.proxy import ProxyRecipe
    from tfvs.preparation.job import Job
    from tfvs.preparation.local import run_local
    from tfvs.preparation.options import PrepareOptions
    from tfvs.preparation.readers import make_reader

    write_images(work / "images", IMAGES, SIDE, SIDE)
    options = PrepareOptions(proxy=ProxyRecipe(height=PROXY_PX, width=PROXY_PX), decoder="direct")
    reader, splits = make_reader("folder", str(work / "images")), {"train": 1}
    run_local(Job(reader, options, f"{work}/r", f"{work}/p", splits=splits, num_shards=4))
    return work


def train(prepared: Path, folder: str, batch: int) -> dict[str, Any]:
    """Trains on this host, with the others that TF_CONFIG names; seconds of the clock and of this process per epoch."""
    from tfvs.training.hosts import host_index

    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[host_index() % len(cores) :][:1])  # TensorFlow then takes one thread of each kind
    import tfvs
    from tfvs.data.dataset import read_manifest, split_files
    from tfvs.training.records import fit_records
    from tfvs.training.trainer import TrainConfig

    files = split_files(prepared / "r", "train")
    proxy = read_manifest(files).proxy
    ends: list[tuple[float, float]] = []

    def make(dtype: str | None) -> tfvs.VariationalSaccader:
        model = tfvs.VariationalSaccader(
            num_classes=2, num_steps=LOOKS, crop_size=CROP_PX, min_scale=CROP_PX / SIDE, max_scale=0.5,
            pyramid_roots=(str(prepared / "p"),), dtype=dtype,
        )  # fmt: skip
        model.build({"proxy": (None, *proxy.shape), "image": (None, None, None, 1)})
        return model

    def write(line: str) -> None:
        if line.startswith("epoch"):
            ends.append((time.perf_counter(), time.process_time()))

    config = TrainConfig(epochs=EPOCHS, batch_size=batch)
    _, history = fit_records(make, files, [], proxy, 2, config, folder=folder, write=write)
    wall, cpu = np.diff(np.array(ends), axis=0).T if ends else (np.zeros(1), np.zeros(1))
    return {
        "loss": [round(epoch["loss"], 4) for epoch in history],
        "epoch_s": round(float(np.median(wall)), 2),
        "epoch_cpu_s": round(float(np.median(cpu)), 2),
    }


def measure(work: Path, hosts: int, batch: int) -> dict[str, Any]:
    """Trains on so many hosts, here processes."""
    folder = work / f"trained-{hosts}-{batch}-{time.time_ns()}"
    started = start_hosts("benchmarks.hosts", f"--work={work}", f"--worker={folder}", f"--batch={batch}", count=hosts)
    outputs = [process.communicate() for process in started]
    if any(process.returncode for process in started):
        raise click.ClickException(outputs[0][1][-2000:])
    leads = json.loads(outputs[0][0].splitlines()[-1])
    images = IMAGES // batch * batch
    return {
        "images_per_s": round(images / leads["epoch_s"], 2),
        "cpu_ms_per_image": round(1e3 * leads["epoch_cpu_s"] / images * hosts, 1),
        "loss": leads["loss"],
    }


@click.command(context_settings={"show_default": True})
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder for images and trainings.")
@click.option(
    "--worker", type=click.Path(path_type=Path), hidden=True, help="The folder of a training to take part in."
)
@click.option("--batch", default=BATCHES[0], hidden=True, help="Images per batch of that training.")
@click.option("--output", default=RESULTS, type=click.Path(path_type=Path), help="File for the figures.")
def main(work: Path, worker: Path | None, batch: int, output: Path) -> None:
    """Trains on one host, then on two, with each size of batch, writes the figures and prints them."""
    work = work.absolute()
    if worker is not None:
        click.echo(json.dumps(train(work, str(worker), batch)))
        return
    prepare(work)
    found: dict[str, Any] = {"machine": describe_machine(), "load": round(os.getloadavg()[0], 1), "batches": {}}
    for size in BATCHES:
        found["batches"][size] = {f"hosts: {hosts}": measure(work, hosts, size) for hosts in (1, 2)}
        click.echo(json.dumps(found))
    output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
