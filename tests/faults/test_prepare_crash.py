"""A native crash inside a decoder costs that image, not the job."""

import json
import shutil
import signal
import sys

import apache_beam as beam
import pytest

from components.job import run_job
from tests.preparation.images import write_folder
from tfvs.errors import ResourceError
from tfvs.images.proxy import ProxyRecipe
from tfvs.preparation.decode import Decoded, Task
from tfvs.preparation.decoder import Decoder
from tfvs.preparation.job import DEAD_LETTERS, Job
from tfvs.preparation.options import PrepareOptions
from tfvs.preparation.readers import make_reader

OPTIONS = PrepareOptions(proxy=ProxyRecipe(height=8, width=8), tile_size=32, compression="none")

# What the decoder finds in place of LibRaw: a true segmentation fault, a death that happens once, or an image.
RAWPY = """
import ctypes, os, pathlib, signal, sys, types
import numpy as np

class LibRawError(Exception):
    pass

class Raw:
    sizes = types.SimpleNamespace(width=50, height=40)
    def __enter__(self):
        return self
    def __exit__(self, *error):
        pass
    def postprocess(self, **options):
        return np.zeros([40, 50, 3], np.uint8)

def imread(path):
    if "segfault" in path:
        ctypes.string_at(0)
    marker = pathlib.Path(path + ".seen")
    if "killed" in path and not marker.exists():
        marker.write_text(str(sorted({"tensorflow", "apache_beam"} & set(sys.modules))))
        os.kill(os.getpid(), signal.SIGKILL)
    return Raw()
"""


@pytest.fixture
def libraw(tmp_path, monkeypatch):
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "rawpy.py").write_text(RAWPY)
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))


@pytest.mark.usefixtures("libraw")
def test_a_segmentation_fault_is_one_dead_letter(tmp_path):
    data = write_folder(tmp_path / "in", 6)
    (data / "class0" / "segfault.dng").write_bytes(b"raw")
    job = Job(make_reader("folder", str(data)), OPTIONS, f"{tmp_path}/r", f"{tmp_path}/p", max_rejected=0.5)
    manifest = run_job(job, beam.Pipeline)
    assert (manifest["written"], manifest["rejected_by_stage"]) == (6, {"crash": 1})
    letter = json.loads((tmp_path / "r" / DEAD_LETTERS).read_text())
    assert letter["uri"].endswith("segfault.dng")
    assert len(letter["sha256"]) == 64
    assert f"signal {int(signal.SIGSEGV)}" in letter["reason"]


@pytest.mark.usefixtures("libraw")
def test_a_decoder_that_is_killed_is_started_again(tmp_path):
    raw = tmp_path / "killed.dng"
    raw.write_bytes(b"raw")
    decoder = Decoder()
    decoded = decoder.decode(Task(str(raw), None, str(tmp_path / "p.tif"), OPTIONS, "00"))
    decoder.close()
    assert isinstance(decoded, Decoded)
    assert (decoded.index.width, decoded.index.height) == (50, 40)
    # Neither is imported where images are decoded: they cost seconds and memory at every start.
    assert (tmp_path / "killed.dng.seen").read_text() == "[]"


def test_a_decoder_that_cannot_run_is_no_images_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    decoder = Decoder()
    with pytest.raises(ResourceError, match="exit status 1"):
        decoder.decode(Task("a.png", None, str(tmp_path / "p.tif"), OPTIONS, "00"))
