"""Workers and launchers of preparation import no TensorFlow, and what they write is what TensorFlow reads."""

import subprocess
import sys

import pytest
import tensorflow as tf

from tests.data.test_tile_index_fields import INDEX
from tfvs.data.features import serialize
from tfvs.data.records import ImageRecord, TileIndex

SPARSE = TileIndex(
    300_000, 1, 3, 1 << 40, [(300_000, 1, 256, 256, 0)], [1 << 39, 0], [900, 0], False, "jpeg", b"", "uint8"
)


def _python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_worker_and_a_launcher_import_no_tensorflow() -> None:
    code = """
import sys
import apache_beam.runners.worker.sdk_worker
import components.transforms
import components.prepare, components.job
print(sorted(name for name in ("tensorflow", "keras", "tfx") if name in sys.modules))
import tfvs
print(tfvs.VariationalSaccader.__name__, "tensorflow" in sys.modules)
"""
    assert _python(code).splitlines() == ["[]", "VariationalSaccader True"]


@pytest.mark.parametrize(
    "record",
    [
        ImageRecord("a", 3, "00", b"png", "a.tif", INDEX),
        ImageRecord("", -1, "ff" * 32, bytes(range(256)) * 9, "ü/ä.tif", SPARSE, micrometres_per_px=0.2525),
        ImageRecord("none", 1 << 40, "", b"", "", TileIndex(1, 1, 1, 0, [], [], [], True, "none", b"", "uint16")),
    ],
    ids=["plain", "negative, large and not ASCII", "empty"],
)
def test_the_bytes_of_an_example_are_those_of_protocol_buffers(record: ImageRecord) -> None:
    written = serialize(record)
    example = tf.train.Example.FromString(written)
    assert example.SerializeToString(deterministic=True) == written
    feature = example.features.feature
    assert feature["image/label"].int64_list.value == [record.label]
    assert feature["proxy/encoded"].bytes_list.value == [record.proxy]
    assert list(feature["pyramid/tile_offsets"].int64_list.value) == list(record.index.tile_offsets)
