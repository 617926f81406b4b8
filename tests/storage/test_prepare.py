"""Preparation into object storage: the same bytes as on a disk, few requests, and errors in one sentence."""

from __future__ import annotations

import collections
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks.object_server import KEYS
from benchmarks.relay import RunningRelay, running_relay
from tests.preparation.images import write_folder
from tests.preparation.test_local import OPTIONS, contents
from tests.storage.reaching import reach, upload_below
from tests.waiting import wait_until
from tfvs.cli.main import cli
from tfvs.cli.main import main as tfvs_main
from tfvs.cli.place import LocalPath
from tfvs.errors import ConfigError, ResourceError
from tfvs.images.tiff.tile_index import read_index
from tfvs.preparation import files
from tfvs.preparation.decoder import WITHOUT_TENSORFLOW
from tfvs.preparation.job import Job
from tfvs.preparation.local import run_local
from tfvs.preparation.prepared import PreparedSet
from tfvs.preparation.readers import make_reader
from tfvs.storage.tiles import Tile, Wanted, tile_cache

IMAGES = 12


def make_job(data: Path | str, output: Path | str, **fields: Any) -> Job:
    fields = {"options": OPTIONS, "num_shards": 2, **fields}
    return Job(make_reader("folder", str(data)), records_root=f"{output}/r", pyramid_root=f"{output}/p", **fields)


def objects_below(root: str) -> dict[str, bytes]:
    return {"/".join(parts): files.read(uri) for parts, uri in files.below(root)}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("photos"), IMAGES)


def test_bytes_are_those_of_a_disk_and_requests_are_few(photos: Path, tmp_path: Path, reached: RunningRelay) -> None:
    upload_below(photos, "s3://bucket/in [1]")
    on_disk = run_local(make_job(photos, tmp_path / "out"))
    reached.forget()
    manifest = run_local(make_job("s3://bucket/in [1]", "s3://bucket/out [1]"))
    assert manifest == on_disk
    requests = reached.requests()
    assert objects_below("s3://bucket/out [1]") == contents(tmp_path / "out")
    assert len(requests) / IMAGES <= 6
    written = collections.Counter(request["path"] for request in requests if request["method"] == "PUT")
    assert set(written.values()) == {1}, "an object is written once, under its own name"
    assert sum("/p/" in path for path in written) == IMAGES

    reached.forget()
    assert run_local(make_job("s3://bucket/in [1]", "s3://bucket/out [1]")) == on_disk
    again = [request for request in reached.requests() if "/p/" in request["path"]]
    assert {request["method"] for request in again} == {"GET"}, "what is there is neither asked for nor written"


@pytest.mark.parametrize("server", ["moto"], indirect=True)  # no other one here takes requests without a signature
def test_googles_storage_is_written_and_read_likewise(photos: Path, tmp_path: Path, reached: RunningRelay) -> None:
    reach(gs_endpoint_url=reached.url)
    run_local(make_job(photos, "gs://bucket/google"))
    run_local(make_job(photos, tmp_path / "out"))
    assert objects_below("gs://bucket/google") == contents(tmp_path / "out")
    pyramid = next((tmp_path / "out" / "p").rglob("*.tif"))
    index = read_index(pyramid)
    tiles = [Tile(*tile) for tile in zip(index.tile_offsets, index.tile_bytes, strict=True)]
    uri = f"gs://bucket/google/p/{pyramid.relative_to(tmp_path / 'out' / 'p')}"
    (held,) = tile_cache().hold([Wanted(uri, index.file_bytes, tiles)])
    whole = pyramid.read_bytes()
    for tile in tiles:
        assert Path(held).read_bytes()[tile.offset : tile.end] == whole[tile.offset : tile.end]


@pytest.mark.parametrize("place", ["/data/s3://bucket/x", "s3:/bucket", "hdfs://host/x"])
def test_a_place_that_is_half_a_uri_is_refused(place: str, tmp_path: Path) -> None:
    for command in (["train", place, "--output", "m"], ["evaluate", str(tmp_path), place]):
        result = CliRunner().invoke(cli, command)
        assert result.exit_code != 0
        assert "Traceback" not in result.output
    for written in ("/data/s3://bucket/x", "s3://bucket/model"):
        with pytest.raises(ConfigError, match=r"half a URI|on this machine alone"):
            LocalPath().convert(written, None, None)


@pytest.mark.tfx
def test_beams_options_reach_launcher_and_workers(
    photos: Path, tmp_path: Path, reached: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("apache_beam")
    from components.prepare import main

    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    flags = [f"--s3_endpoint_url={reached.url}", f"--s3_access_key_id={KEYS['AWS_ACCESS_KEY_ID']}"]
    flags += [f"--s3_secret_access_key={KEYS['AWS_SECRET_ACCESS_KEY']}"]
    sizes = ["--proxy-height=8", "--proxy-width=8", "--tile-size=32", "--compression=none", "--num-shards=2"]
    command = [f"--input={photos}", "--output=s3://bucket/beam", "--decoder=direct", *sizes, "--", *flags]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    run_local(make_job(photos, tmp_path / "out"))
    shards = {name: data for name, data in contents(tmp_path / "out").items() if name.endswith((".gz", ".tif"))}
    found = objects_below("s3://bucket/beam")
    assert {
        name.replace("records/", "r/").replace("pyramids/", "p/"): data for name, data in found.items()
    }.items() >= (shards.items())


@pytest.mark.parametrize(
    ("output", "error", "sentence"),
    [
        ("s3://nowhere/out", ResourceError, "There is no such bucket. Received: s3://nowhere."),
        ("s4://bucket/out", ConfigError, "Files by s4:// cannot be read"),
        ("s3://", ConfigError, "names no bucket"),
        ("s3://AKIA:TOPSECRET@bucket/out", ConfigError, "must not hold credentials"),
    ],
)
def test_what_cannot_be_reached_ends_in_one_sentence(
    photos: Path, reached: RunningRelay, output: str, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error) as raised:
        run_local(make_job(photos, output))
    assert sentence in str(raised.value)
    assert "TOPSECRET" not in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        (403, "AccessDenied", "refuses the request"),
        (400, "ExpiredToken", "credentials have expired"),
        (301, "PermanentRedirect", "another region"),
    ],
)
def test_a_refusal_is_not_tried_again(
    server: str, photos: Path, tmp_path: Path, status: int, code: str, sentence: str, reached: RunningRelay
) -> None:
    with running_relay(server, tmp_path / "log", status=status, code=code) as refusing:
        reach(s3_endpoint_url=refusing.url)
        with pytest.raises(ResourceError, match=sentence) as raised:
            run_local(make_job(photos, "s3://bucket/refused"))
        assert len(refusing.requests()) == 1
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in str(raised.value)
    assert KEYS["AWS_ACCESS_KEY_ID"] not in str(raised.value)


def test_requests_that_fail_are_tried_again(server: str, photos: Path, tmp_path: Path, reached: RunningRelay) -> None:
    with running_relay(server, tmp_path / "log", fail=0.2, cut=0.05, seed=3) as faulty:
        reach(s3_endpoint_url=faulty.url, timeout_s=2.0)
        manifest = run_local(make_job(photos, "s3://bucket/faulty"))
        assert any(request["fault"] for request in faulty.requests())
    assert (manifest["written"], manifest["rejected"]) == (IMAGES, 0)
    reach()
    run_local(make_job(photos, tmp_path / "out"))
    assert objects_below("s3://bucket/faulty") == contents(tmp_path / "out")


def test_records_that_cannot_be_kept_here_are_one_sentence(photos: Path, tmp_path: Path, reached: RunningRelay) -> None:
    root = "s3://bucket/whole set"
    reader = make_reader("folder", str(photos))
    run_local(Job(reader, OPTIONS, f"{root}/records", f"{root}/pyramids", num_shards=2))
    assert sum(len(PreparedSet.at(root).labels(split)) for split in PreparedSet.at(root).splits) == IMAGES
    (tmp_path / "file").write_text("where the cache's folder should be")
    reach(cache_folder=str(tmp_path / "file"))
    with pytest.raises(ResourceError, match=r"cannot be kept on this machine.*Free space there"):
        PreparedSet.at(root)


UPLOAD = f"""{WITHOUT_TENSORFLOW}
import sys
from tfvs.preparation import files
from tfvs.storage import objects
objects.PART_BYTES = 5 << 20
files.upload(sys.argv[1], sys.argv[2])
"""


def test_an_upload_in_parts_that_is_killed_leaves_nothing(server: str, tmp_path: Path, reached: RunningRelay) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(12 << 20)
    with running_relay(server, tmp_path / "log", delay_ms=200) as slow:
        environment = {**os.environ, "AWS_ENDPOINT_URL": slow.url}
        command = [sys.executable, "-c", UPLOAD, str(large), "s3://bucket/killed/large.tif"]
        with subprocess.Popen(command, env=environment) as process:

            def second_part() -> bool:
                assert process.poll() is None, "the upload ended before it could be killed"
                return any("partNumber=2" in request["path"] for request in slow.requests())

            wait_until(second_part)
            process.kill()
    assert not files.exists("s3://bucket/killed/large.tif")
    assert objects_below("s3://bucket/killed") == {}
    files.upload(str(large), "s3://bucket/killed/large.tif")
    assert files.state("s3://bucket/killed/large.tif")[0] == 12 << 20


@pytest.mark.parametrize(
    ("output", "answer", "code", "sentence"),
    [
        ("s3://nowhere/out", {}, 5, "There is no such bucket"),
        ("s4://bucket/out", {}, 2, "Files by s4:// cannot be read"),
        ("/data/s3://bucket/out", {}, 2, "half a URI"),
        ("s3://bucket/out", {"status": 301, "code": "PermanentRedirect"}, 5, "another region"),
        ("s3://bucket/out", {"status": 400, "code": "ExpiredToken"}, 5, "credentials have expired"),
        ("s3://bucket/out", {"status": 403}, 5, "refuses the request"),
    ],
)
def test_the_command_ends_with_one_sentence_and_its_code(
    server: str,
    photos: Path,
    tmp_path: Path,
    reached: RunningRelay,
    output: str,
    answer: dict[str, Any],
    code: int,
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with running_relay(server, tmp_path / "log", **answer) as relay:
        reach(s3_endpoint_url=relay.url)
        with pytest.raises(SystemExit) as ended:
            tfvs_main(["prepare", str(photos), output, "--decoder", "direct"])
    said = capsys.readouterr().err
    assert ended.value.code == code, said
    assert sentence in said.splitlines()[-1]
    assert sum(line.startswith("tfvs: ") for line in said.splitlines()) == 1
