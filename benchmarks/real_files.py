"""Time and memory of preparing images that are large and costly to read: turned, progressive, and a whole slide.

python -m benchmarks.real_files --output docs/results/real_files.json
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyvips
import tifffile

from benchmarks.machine import describe_machine
from tfvs.preparation.decoder import WITHOUT_TENSORFLOW

REPOSITORY = Path(__file__).resolve().parent.parent
_DECODE = (
    f"{WITHOUT_TENSORFLOW}import time; from tfvs.preparation.decode import Task, decode, limit_libvips; "
    "from tfvs.preparation.options import PrepareOptions; "
    "limit_libvips(); "
    "field = lambda name: int(next(l.split()[1] for l in open('/proc/self/status') if l.startswith(name))); "
    "base = field('VmHWM'); start = time.perf_counter(); "
    "done = decode(Task(sys.argv[1], None, sys.argv[2], PrepareOptions(), '00')); "
    "print(getattr(done, 'reason', '') or 'read', base, field('VmHWM'), time.perf_counter() - start, sep='|')"
)


def _noise(width: int, height: int) -> pyvips.Image:
    tile = pyvips.Image.perlin(1024, 1024, seed=1, uchar=True).copy_memory()
    image = tile.bandjoin([tile.rot180(), tile.invert()]).copy(interpretation="srgb")
    return image.replicate(-(-width // 1024), -(-height // 1024)).crop(0, 0, width, height)


def write_turned(path: Path, side: int) -> None:
    """A photograph on its side, as JPEG."""
    image = _noise(side, side).copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", 6)
    image.jpegsave(str(path))


def write_progressive(path: Path, side: int) -> None:
    """A progressive JPEG, whose coefficients a decoder holds whole."""
    _noise(side, side).jpegsave(str(path), interlace=True)


def write_slide(path: Path, width: int, height: int) -> None:
    """A slide as Aperio writes them, levels in steps of 4 down to 1 560 pixels; all tiles of a level are the same."""
    tile = _noise(256, 256).numpy()
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for step in (1, 4, 16, 64):
            shape = (height // step, width // step, 3)
            count = -(-shape[0] // 256) * -(-shape[1] // 256)
            text = "Aperio Image Library v11\r\n1x1 |AppMag = 40|MPP = 0.25" if step == 1 else None
            writer.write(
                (tile for _ in range(count)), shape=shape, dtype=np.uint8, tile=(256, 256), compression="jpeg",
                photometric="rgb", metadata=None, description=text, maxworkers=1,
            )  # fmt: skip


def measure(path: Path, target: Path) -> dict[str, Any]:
    """Prepares a file in a process of its own: the outcome, seconds and peak memory."""
    output = subprocess.run(
        [sys.executable, "-c", _DECODE, str(path), str(target)],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
    ).stdout
    said, base, peak, seconds = output.strip().split("|")
    return {
        "result": said,
        "seconds": round(float(seconds), 1),
        "imports_mb": int(base) // 1024,
        "peak_mb": int(peak) // 1024,
        "file_mb": path.stat().st_size >> 20,
    }


@click.command()
@click.option("--turned", default=12_000, show_default=True, help="Side of the turned JPEG, pixels; 0: none.")
@click.option("--progressive", default=20_000, show_default=True, help="Side of the progressive JPEG; 0: none.")
@click.option("--slide", default=100_000, show_default=True, help="Width of the slide, four fifths as high; 0: none.")
@click.option("--output", type=click.Path(path_type=Path), help="JSON file for the figures.")
def main(turned: int, progressive: int, slide: int, output: Path | None) -> None:
    """Measures preparation of images that are costly to read."""
    figures: dict[str, Any] = {"machine": describe_machine()}
    writers: dict[str, tuple[int, Callable[[Path], None], str]] = {
        "turned": (turned, lambda path: write_turned(path, turned), "jpg"),
        "progressive": (progressive, lambda path: write_progressive(path, progressive), "jpg"),
        "slide": (slide, lambda path: write_slide(path, slide, slide * 4 // 5), "svs"),
    }
    for name, (size, write, suffix) in writers.items():
        if size:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"a.{suffix}"
                write(path)
                figures[f"{name} {size}"] = measure(path, Path(folder) / "out" / "p.tif")
            click.echo(f"{name} {size}: {figures[f'{name} {size}']}")
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
