"""Jobs that write into one output: what a dead or a late one leaves changes no record that a later one verified."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.components.other_file_system import SCHEME
from tests.preparation.images import write_folder
from tfvs.data.dataset import read_labels, split_files
from tfvs.errors import DataError, ResourceError
from tfvs.images.proxy import ProxyRecipe
from tfvs.preparation import files
from tfvs.preparation.decoder import WITHOUT_TENSORFLOW
from tfvs.preparation.job import MANIFEST, Job, finish
from tfvs.preparation.job_folder import own_folder
from tfvs.preparation.local import _run, run_local
from tfvs.preparation.options import PrepareOptions
from tfvs.preparation.readers import make_reader

OPTIONS = PrepareOptions(proxy=ProxyRecipe(height=8, width=8), tile_size=32, compression="none", decoder="direct")

# A launcher that is killed when it holds the output.
HOLDS = f"""{WITHOUT_TENSORFLOW}
import sys
from tfvs.preparation.job_folder import own_folder
with own_folder(sys.argv[1], sys.argv[2]) as folder:
    print(folder.path, flush=True)
    sys.stdin.read()
"""


def make_job(data: Path, output: str | Path, **fields) -> Job:
    fields.setdefault("num_shards", 2)
    return Job(make_reader("folder", str(data)), OPTIONS, f"{output}/r", f"{output}/p", **fields)


@pytest.fixture(scope="module")
def two_inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("inputs")
    return write_folder(root / "many", 12), write_folder(root / "few", 4)


@pytest.mark.parametrize("remote", [False, True], ids=["here", "without renaming or folders"])
def test_a_job_that_ends_late_changes_nothing(two_inputs: tuple[Path, Path], tmp_path: Path, remote: bool) -> None:
    many, few = two_inputs
    output = f"{SCHEME}://{tmp_path}/out" if remote else f"{tmp_path}/out"
    first = make_job(many, output)
    with own_folder(first.records_root, first.pyramid_root) as folder:
        files.delete([folder.owner])  # what a later launcher does to a job whose launcher is gone
        manifest = run_local(make_job(few, output), workers=1)
        shards = {path: path.read_bytes() for path in (tmp_path / "out" / "r").glob("Split-*/*")}
        summary = _run(first, folder, 1)  # the orphan goes on
        with pytest.raises(ResourceError, match="Another job was started into the same output"):
            finish(first, folder, summary)
    assert {path: path.read_bytes() for path in (tmp_path / "out" / "r").glob("Split-*/*")} == shards
    assert json.loads((tmp_path / "out" / "r" / MANIFEST).read_text()) == manifest
    assert len(shards) == len(manifest["shards"])
    assert not [path for path in (tmp_path / "out" / "r").rglob("*") if path.is_file() and ".job-" in str(path)]


def test_a_dead_launchers_folder_is_cleared_and_a_living_ones_output_is_refused(
    two_inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    job = make_job(two_inputs[1], f"{tmp_path}/out")
    command = [sys.executable, "-c", HOLDS, job.records_root, job.pyramid_root]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as launcher:
        folder = Path(launcher.stdout.readline().strip())
        with pytest.raises(ResourceError, match="Another job is writing into the same output"):
            run_local(job, workers=1)
        assert folder.is_dir()
        launcher.kill()
    assert folder.is_dir()
    run_local(job, workers=1)
    assert sorted(path.name for path in (tmp_path / "out" / "r").iterdir() if path.name.startswith(".")) == []


def test_readers_take_what_the_manifest_names_alone(two_inputs: tuple[Path, Path], tmp_path: Path) -> None:
    run_local(make_job(two_inputs[0], f"{tmp_path}/out"), workers=1)
    records = tmp_path / "out" / "r"
    names = split_files(records, "train")
    assert len(read_labels(names)) == sum(len(read_labels([name])) for name in names)
    shard = Path(names[0])
    whole = shard.read_bytes()
    for broken, why in (
        (whole[:-1], "bytes"),
        (whole[:9] + bytes([whole[9] ^ 1]) + whole[10:], "sha256"),  # of the same size
    ):
        shard.write_bytes(broken)
        with pytest.raises(DataError, match=rf"not the one that the manifest names.*{why}"):
            read_labels(names)
    shard.write_bytes(whole)
    other = shard.with_name("data_tfrecord-00000-of-00009.gz")
    other.write_bytes(whole)
    with pytest.raises(DataError, match="names no such record file"):
        read_labels(split_files(records, "train"))
    other.unlink()
    shard.unlink()
    with pytest.raises(DataError, match="are missing"):
        split_files(records, "train")
