"""What a tile index costs: reading it from the TIFF, carrying it in an Example, parsing it there.

Run by ``python -m benchmarks.scale``: ``python -m benchmarks.scale_index PYRAMID``. It leaves the Example beside the
pyramid, where the other measurements take their index from, as training does. The last line is JSON.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import tensorflow as tf

from tfvs.data import example as contract
from tfvs.images.tiff.tile_index import read_index

PROXY = (64, 64, 3)
PARSES = 20


def stored_record(path: Path) -> contract.ImageRecord:
    """The pyramid's record, as this module left it."""
    return contract.from_example(tf.train.Example.FromString(path.with_suffix(".example").read_bytes()))


def stored_index(path: Path) -> contract.TileIndex:
    """The pyramid's tile index, as this module left it."""
    return stored_record(path).index


def stored_features(path: Path, names: Sequence[str] = ()) -> dict[str, tf.Tensor]:
    """Features of a batch of images that share the pyramid's index, by default of the pyramid alone."""
    names = names or [path.name]
    parsed = contract.parse_examples(tf.constant([path.with_suffix(".example").read_bytes()] * len(names)))
    return {name: parsed[name] for name in contract.PYRAMID_FEATURES} | {contract.PYRAMID_URI: tf.constant(names)}


@click.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
def main(path: Path) -> None:
    """Reads the index, writes the Example and prints what both take as JSON."""
    began = time.perf_counter()
    index = read_index(path)
    read_ms = (time.perf_counter() - began) * 1e3
    proxy = tf.io.encode_png(np.random.default_rng(0).integers(0, 256, PROXY, np.uint8)).numpy()
    record = contract.to_example(contract.ImageRecord(path.stem, 0, "", proxy, path.name, index)).SerializeToString()
    path.with_suffix(".example").write_bytes(record)
    parse = tf.function(lambda serialized: contract.parse_examples(serialized))
    serialized, spent = tf.constant([record]), []
    for _ in range(PARSES + 1):
        began = time.perf_counter()
        parse(serialized)
        spent.append((time.perf_counter() - began) * 1e3)
    figures = {
        "tiles": len(index.tile_bytes),
        "read_ms": round(read_ms, 1),
        "example_kb": round(len(record) / 1e3, 1),
        "parse_p50_ms": round(float(np.median(spent[1:])), 3),
    }
    click.echo(json.dumps(figures))


if __name__ == "__main__":
    main()
