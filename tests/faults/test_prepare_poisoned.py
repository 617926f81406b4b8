"""A thousand files, a hundred of them poisoned in many ways: nine hundred records, a hundred reasons."""

import io
import json
import struct
import zlib
from pathlib import Path

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tifffile

from components.job import run_job
from tests.preparation.images import write_png
from tfvs.datasets.writing import encode_png
from tfvs.images.proxy import ProxyRecipe
from tfvs.preparation.job import DEAD_LETTERS, Job
from tfvs.preparation.options import PrepareOptions
from tfvs.preparation.readers import make_reader


def _bomb(side: int) -> bytes:
    """A PNG that claims ``side`` × ``side`` pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    png = encode_png(np.zeros([4, 4], np.uint8))
    return png[:8] + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + png[33:]


def _deflated_tiff(damaged: bool) -> bytes:
    """Tiles of noise behind their directory; of the middle one the second half is zeros, as after a crash."""
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(256, size=(96, 96), dtype=np.uint8)
    tifffile.imwrite(file, noise, tile=(32, 32), compression="deflate")
    with tifffile.TiffFile(io.BytesIO(file.getvalue())) as tiff:
        start, length = tiff.pages[0].dataoffsets[4], tiff.pages[0].databytecounts[4]
    data = file.getvalue()
    if not damaged:
        return data[: start + length // 2]
    return data[: start + length // 2] + bytes(length // 2) + data[start + length // 2 * 2 :]


POISONS = {
    "empty": b"",
    "text": b"this is no image",
    "truncated": encode_png(np.random.default_rng(0).integers(256, size=(64, 64), dtype=np.uint8))[:2000],
    "bomb": _bomb(60_000),
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
    "gif": b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;",
    "zero_size": _bomb(0),
    "broken_jpeg": b"\xff\xd8\xff\xe0" + bytes(200),
    "truncated_tiff": _deflated_tiff(damaged=False),
    "damaged_tiff": _deflated_tiff(damaged=True),
    "broken_tiff": b"II*\x00\x08\x00\x00\x00\xff\xff" + bytes(100),
}


def test_nine_hundred_records_and_a_hundred_reasons(tmp_path):
    rows, expected_bad = [], set()
    for index in range(1000):
        row = {"path": f"{index:04d}.png", "label": index % 7}
        path = tmp_path / "in" / row["path"]
        kind = (*POISONS, "missing")[index // 10 % (len(POISONS) + 1)] if index % 10 == 3 else None
        if kind in POISONS:
            path.write_bytes(POISONS[kind])
        elif kind is None:
            write_png(path, seed=index, height=16, width=16)
        if kind is not None:
            expected_bad.add(str(path))
        rows.append(row)
    (tmp_path / "in" / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    job = Job(
        make_reader("manifest", str(tmp_path / "in")),
        PrepareOptions(proxy=ProxyRecipe(height=4, width=4), tile_size=16, compression="none"),
        records_root=str(tmp_path / "r"),
        pyramid_root=str(tmp_path / "p"),
        max_rejected=0.1,
    )
    manifest = run_job(job, beam.Pipeline)
    letters = [json.loads(line) for line in (tmp_path / "r" / DEAD_LETTERS).read_text().splitlines()]
    files = [str(path) for path in Path(job.records_root).glob("Split-*/*.gz")]
    assert sum(1 for _ in tf.data.TFRecordDataset(files, compression_type="GZIP")) == 900
    assert (manifest["written"], manifest["rejected"]) == (900, 100)
    assert {letter["uri"] for letter in letters} == expected_bad
    assert all(letter["reason"] and letter["stage"] in ("read", "pyramid") for letter in letters)
