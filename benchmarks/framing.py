"""What the parser of libvips' own TIFF directories saves, beside the general one: ``python -m benchmarks.framing``.

Prints, per side of the image, the processor's milliseconds that writing a pyramid takes, and those that framing
it takes with either parser. The last line is JSON.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import numpy as np
import pyvips

from tfvs.images.tiff.framing import frame, frame_own


def milliseconds(action: Callable[[], object], repeats: int) -> float:
    """Processor time per call."""
    start = time.process_time()
    for _ in range(repeats):
        action()
    return 1e3 * (time.process_time() - start) / repeats


@click.command()
@click.option("--repeats", default=20, show_default=True, help="Number of calls that each figure is the mean of.")
def main(repeats: int) -> None:
    """Measures and prints."""
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        plain, framed = Path(folder, "plain.tif"), Path(folder, "framed.tif")
        for side in (100, 800, 2500):
            noise = np.random.default_rng(0).integers(0, 40, (side, side, 3), np.uint8)
            image = pyvips.Image.new_from_array(noise).copy(interpretation="srgb")
            write = partial(image.tiffsave, str(plain), tile=True, pyramid=True, bigtiff=True, compression="jpeg")
            write = partial(write, tile_width=256, tile_height=256)
            actions: dict[str, Callable[[], object]] = {
                "write_ms": write,
                "frame_own_ms": lambda: frame_own(plain, framed),
                "frame_ms": lambda: frame(plain, framed),
            }
            figures[side] = {name: round(milliseconds(action, repeats), 2) for name, action in actions.items()}
            click.echo(f"{side} x {side}: {figures[side]}")
    click.echo(json.dumps(figures))


if __name__ == "__main__":
    main()
