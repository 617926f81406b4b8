"""Conversion to a framed pyramid beside libvips' own ``tiffsave`` with the same options: time and peak memory.

Run by ``python -m benchmarks.scale`` in processes of its own: ``python -m benchmarks.scale_conversion tfvs|vips SOURCE
TARGET COMPRESSION``. Where the command ``vips`` is not installed, its ``tiffsave`` is called through pyvips: the same
code on the same number of threads, without the start of a process. The last line is JSON.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import click
import pyvips

from benchmarks.memory import current_memory_mb, peak_memory_mb, reset_peak_memory
from tfvs.images.tiff.pyramid import write_pyramid

OPTIONS: dict[str, Any] = {
    "tile": True, "tile_width": 256, "tile_height": 256, "pyramid": True, "bigtiff": True, "depth": "onepixel",
    "Q": 90, "predictor": "none", "keep": "none",
}  # fmt: skip


def by_vips(source: Path, target: Path, compression: str) -> None:
    """``vips tiffsave``."""
    image = pyvips.Image.new_from_file(str(source), access="sequential")
    image.tiffsave(str(target), compression=compression, **OPTIONS)


def by_command(source: Path, target: Path, compression: str) -> dict[str, float]:
    """The same on the command line."""
    flags = [f"--{key.replace('_', '-')}" + ("" if value is True else f"={value}") for key, value in OPTIONS.items()]
    began = time.perf_counter()
    subprocess.run(["vips", "tiffsave", str(source), str(target), f"--compression={compression}", *flags], check=True)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"seconds": round(seconds, 3), "peak_mb": round(peak)}


@click.command()
@click.argument("way", type=click.Choice(["tfvs", "vips"]))
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.argument("compression")
def main(way: str, source: Path, target: Path, compression: str) -> None:
    """Converts once and prints what it took as JSON; the peak is above what the imports take."""
    if way == "vips" and shutil.which("vips"):
        click.echo(json.dumps({**by_command(source, target, compression), "by": "vips tiffsave"}))
        return
    before = current_memory_mb()
    reset_peak_memory()
    began = time.perf_counter()
    if way == "tfvs":
        write_pyramid(source, target, compression=compression)
    else:
        by_vips(source, target, compression)
    seconds = time.perf_counter() - began
    figures = {
        "seconds": round(seconds, 3),
        "peak_mb": round(peak_memory_mb() - before),
        "by": "write_pyramid" if way == "tfvs" else "pyvips tiffsave",
        "file_mb": round(os.path.getsize(target) / 1e6, 1),
    }
    click.echo(json.dumps(figures))


if __name__ == "__main__":
    main()
