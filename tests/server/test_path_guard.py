"""What a client asks for and what the graph opens: one value, whatever the client sends."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.server.mutations import mutated
from tfvs.data.example import PYRAMID_URI
from tfvs.server.path_guard import NO_EXAMPLE, REFUSED, PathGuard
from tfvs.server.safe_open import DESCRIPTORS, PATH_MAX
from tfvs.server.status import RequestError

SECRET = b"secret"


class Model:
    """What the guard asks of a servable."""

    def __init__(self, *roots: Path | str) -> None:
        self.image_roots = [str(root) for root in roots]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "images"
    for folder in ("a/inner", "b", "ab", "outside"):
        (root / folder).mkdir(parents=True)
        (root / folder / "x.tif").write_bytes(folder.encode())
    (root / "a" / "x.tif").write_bytes(b"a")
    (root / "outside" / "x.tif").write_bytes(SECRET)
    (root / "a" / "link").symlink_to(root / "outside")
    (root / "a" / "x:").symlink_to(root / "outside")
    (root / "a" / "file.tif").symlink_to(root / "outside" / "x.tif")
    (root / "a" / "inner_link").symlink_to(root / "a" / "inner")
    return root


def read(guard: PathGuard, tree: Path, path: str | bytes) -> bytes | None:
    """What the graph would read, None: the path is refused."""
    paths = np.array([path if isinstance(path, bytes) else path.encode()], object)
    with guard.opened(Model(tree / "a", tree / "b"), {"path": paths}) as inputs:
        opened = inputs["path"][0]
        if opened == REFUSED:
            return None
        assert opened.startswith(DESCRIPTORS.encode())
        return Path(os.fsdecode(opened)).read_bytes()


def test_links_are_followed_before_they_are_judged(tree):
    guard = PathGuard()
    assert read(guard, tree, "x.tif") == b"a"
    assert read(guard, tree, "./x.tif") == b"a"
    assert read(guard, tree, "inner_link/x.tif") == b"a/inner"
    assert read(guard, tree, f"{tree}/b/x.tif") == b"b"
    refused = ["link/x.tif", "file.tif", "../outside/x.tif", f"{tree}/outside/x.tif", f"{tree}/ab/x.tif", "", ".", "/"]
    refused += ["/etc/passwd", "x.tif\0", "x\0", "inner", "missing.tif", "x.tif/", f"{tree}/a/../outside/x.tif"]
    for path in refused:
        assert read(guard, tree, path) is None, path


@pytest.mark.parametrize(
    "path",
    [
        "./x://x.tif",
        "x://x.tif",
        "file:///etc/passwd",
        "gs://bucket/x.tif",
        "http://x/y",
        "ram://x",
        "inner://../x.tif",
    ],
)
def test_two_slashes_do_not_make_a_path_remote(tree, path):
    assert read(PathGuard(), tree, path) is None


def test_a_scheme_is_that_of_a_root_and_climbs_nowhere():
    guard, model = PathGuard(), Model("gs://bucket/images", "/data")
    narrow = PathGuard(["gs://bucket/images/public"])
    asked = ["gs://bucket/images/x.tif", "x.tif", "public/x.tif", "gs://bucket/images2/x", "gs://bucket/images/../x"]
    asked += ["s3://bucket/images/x", "GS://bucket/images/x"]
    with guard.opened(model, {"path": np.array([path.encode() for path in asked], object)}) as inputs:
        images = b"gs://bucket/images/"
        assert inputs["path"].tolist() == [
            images + b"x.tif",
            images + b"x.tif",
            images + b"public/x.tif",
            *[REFUSED] * 4,
        ]
    with narrow.opened(model, {"path": np.array([path.encode() for path in asked[:3]], object)}) as inputs:
        assert inputs["path"].tolist() == [REFUSED, REFUSED, images + b"public/x.tif"]


def test_the_server_s_own_descriptors_cannot_be_asked_for(tree):
    with open(tree / "outside" / "x.tif", "rb") as file:
        for path in (f"{DESCRIPTORS}/{file.fileno()}", f"/dev/fd/{file.fileno()}", f"/proc/{os.getpid()}/environ"):
            assert read(PathGuard(), tree, path) is None, path
        (tree / "a" / "descriptor").symlink_to(f"{DESCRIPTORS}/{file.fileno()}")
        assert read(PathGuard(), tree, "descriptor") is None


def test_image_root_narrows_further(tree):
    guard = PathGuard([str(tree / "a" / "inner")])
    assert read(guard, tree, "inner/x.tif") == b"a/inner"
    for path in ("x.tif", f"{tree}/b/x.tif", "gs://bucket/x.tif"):
        assert read(guard, tree, path) is None, path


def test_a_root_may_be_a_link_that_is_swapped(tree):
    (tree / "current").symlink_to(tree / "a")
    model, guard = Model(tree / "current"), PathGuard()

    def contents() -> bytes:
        with guard.opened(model, {"path": np.array([b"x.tif"], object)}) as inputs:
            return Path(os.fsdecode(inputs["path"][0])).read_bytes()

    assert contents() == b"a"
    (tree / "current").unlink()
    (tree / "current").symlink_to(tree / "b")
    assert contents() == b"b"


def test_what_was_checked_is_what_is_read_although_the_name_is_swapped(tree):
    with PathGuard().opened(Model(tree / "a"), {"path": np.array([b"x.tif"], object)}) as inputs:
        (tree / "a" / "x.tif").unlink()
        (tree / "a" / "x.tif").symlink_to(tree / "outside" / "x.tif")
        assert Path(os.fsdecode(inputs["path"][0])).read_bytes() == b"a"


def test_only_regular_files_and_none_blocks(tree):
    os.mkfifo(tree / "a" / "pipe")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tree / "a" / "socket"))
    (tree / "a" / "tty").symlink_to("/dev/tty")
    start = time.monotonic()
    for path in ("pipe", "socket", "tty", "inner"):
        assert read(PathGuard(), tree, path) is None, path
    for device in ("/dev/zero", "/dev/stdin"):
        with PathGuard().opened(Model("/dev"), {"path": np.array([device.encode()], object)}) as inputs:
            assert inputs["path"].tolist() == [REFUSED], device
    assert time.monotonic() - start < 1.0
    listening.close()


def test_long_paths_cost_nothing(tree):
    guard = PathGuard()
    assert read(guard, tree, "./" * ((PATH_MAX - len(str(tree)) - 20) // 2) + "x.tif") == b"a"
    start = time.monotonic()
    for path in (b"./" * 100_000 + b"x.tif", b"x" * 300, b"/" * 200_000, (b"inner/../" * 22_000) + b"x.tif"):
        assert read(guard, tree, path) is None
    assert time.monotonic() - start < 0.1


def test_only_bad_paths_are_replaced(tree):
    paths = np.array([[b"x.tif", b"link/x.tif"], [b"\xff\xfe", b"x.tif"]], object)
    with PathGuard().opened(Model(tree / "a"), {"path": paths, "proxy": np.zeros([2, 1])}) as inputs:
        assert inputs["path"].shape == (2, 2)
        assert inputs["path"][0, 0] == inputs["path"][1, 1] != REFUSED
        assert inputs["path"][0, 1] == inputs["path"][1, 0] == REFUSED
        assert inputs["proxy"].shape == (2, 1)


def test_descriptors_are_closed_and_bounded(tree, monkeypatch):
    before = len(os.listdir(DESCRIPTORS))
    guard, model = PathGuard(), Model(tree / "a")
    for number in range(40):
        (tree / "a" / f"{number}.tif").write_bytes(b"")
    paths = np.array([b"%d.tif" % number for number in range(40)], object)
    with guard.opened(model, {"path": paths}):
        assert len(os.listdir(DESCRIPTORS)) == before + 40
    assert len(os.listdir(DESCRIPTORS)) == before
    monkeypatch.setattr("resource.getrlimit", lambda kind: (60, 60))
    with pytest.raises(RequestError, match="More images"), guard.opened(model, {"path": paths}):
        pass
    assert len(os.listdir(DESCRIPTORS)) == before
    with guard.opened(model, {"path": paths[:30]}):
        pass


def example(uri: bytes) -> bytes:
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[uri]))
    return tf.train.Example(features=tf.train.Features(feature={PYRAMID_URI: feature})).SerializeToString()


@contextmanager
def opened_examples(tree: Path, *examples: bytes) -> Iterator[list[bytes]]:
    with PathGuard().opened(Model(tree / "a"), {"examples": np.array([*examples, b""], object)[:-1]}) as inputs:
        yield inputs["examples"].tolist()


def paths_in_the_graph(examples: list[bytes]) -> list[bytes]:
    """What TensorFlow reads as the path of each, b"" where there is none, NO_EXAMPLE where it cannot parse."""

    def parse(serialized: tf.Tensor) -> tf.Tensor:
        return tf.io.parse_example([serialized], {PYRAMID_URI: tf.io.FixedLenFeature([], tf.string, "")})[PYRAMID_URI][
            0
        ]

    numbered = tf.data.Dataset.from_tensor_slices((tf.range(len(examples)), tf.constant(examples, tf.string)))
    parsed = numbered.map(lambda number, one: (number, parse(one)), num_parallel_calls=2).ignore_errors()
    paths = [NO_EXAMPLE] * len(examples)
    for numbers, values in parsed.batch(4096).as_numpy_iterator():
        for number, value in zip(numbers, values, strict=True):
            paths[number] = value
    return paths


def test_examples_are_written_anew(tree):
    with opened_examples(tree, example(b"x.tif"), example(b"link/x.tif"), b"no example", b"", example(b"")) as written:
        first, *others = paths_in_the_graph(written)
        assert Path(os.fsdecode(first)).read_bytes() == b"a"
        assert others == [REFUSED, NO_EXAMPLE, b"", REFUSED]


def test_two_readings_of_the_same_bytes(tree):
    """Bytes that TensorFlow and Python's protobuf read differently, each with a secret path for one of them."""
    bad, good = example(b"file.tif"), example(b"x.tif")
    entry_bad, entry_good = bad[2:], good[2:]  # one map entry each
    entries = b"\x0a" + bytes([len(entry_bad) + len(entry_good)]) + entry_bad + entry_good
    features_twice = bad + good
    for crafted in (entries, features_twice, good + bad, bad + b"\x7a\x01x", b"\x0b" + bad + b"\x0c"):
        with opened_examples(tree, crafted) as written:
            (path,) = paths_in_the_graph(written)
            assert path in (b"", REFUSED, NO_EXAMPLE) or Path(os.fsdecode(path)).read_bytes() == b"a", crafted


@pytest.mark.parametrize("mutations", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore:Unexpected end-group tag")
def test_guard_and_graph_agree_on_every_mutation(tree, mutations):
    """The graph's path is one that the guard opened below the root, refused, or none: never the client's own text."""
    seeds = [
        b"x.tif",
        b"link/x.tif",
        b"file.tif",
        b"../outside/x.tif",
        b"inner/x.tif",
        f"{tree}/outside/x.tif".encode(),
    ]
    seeds.append(DESCRIPTORS.encode() + b"/0")
    random = np.random.default_rng(20261126)
    below, differs = os.fsencode(tree / "a") + b"/", 0
    raw = [mutated(random, seeds[number % len(seeds)], seeds) for number in range(mutations)]
    for begin in range(0, mutations, 5_000):
        part = raw[begin : begin + 5_000]
        with opened_examples(tree, *part) as written:
            targets: dict[bytes, bytes] = {}
            for given, path in zip(part, paths_in_the_graph(written), strict=True):
                if path in (b"", REFUSED, NO_EXAMPLE):
                    continue
                assert path.startswith(DESCRIPTORS.encode() + b"/"), given
                if path not in targets:
                    targets[path] = os.readlink(path)
                assert targets[path].startswith(below), given
        differs += sum(one != given for one, given in zip(written, part, strict=True))
    assert differs > mutations // 2


@pytest.mark.filterwarnings("ignore:Unexpected end-group tag")
def test_the_mutations_do_find_the_difference(tree):
    """Without the guard, Python and TensorFlow read different paths from some of them."""
    random = np.random.default_rng(1)
    raw = [mutated(random, b"x.tif", [b"file.tif"]) for _ in range(2_000)]
    in_graph, disagree = paths_in_the_graph(raw), 0
    for given, path in zip(raw, in_graph, strict=True):
        try:
            feature = tf.train.Example.FromString(given).features.feature
        except Exception:
            disagree += path == b"file.tif"
            continue
        values = feature[PYRAMID_URI].bytes_list.value if PYRAMID_URI in feature else []
        disagree += path == b"file.tif" and list(values) != [b"file.tif"]
    assert disagree > 0


def test_a_model_that_is_not_ours_passes_unchanged():
    inputs = {"path": np.array([b"/etc/passwd"], object)}
    with PathGuard(["/nowhere"]).opened(Model(), inputs) as same:
        assert same is inputs


def test_faults_of_the_deployment_are_logged_once_and_refusals_at_a_limited_rate(tree, caplog):
    guard, model = PathGuard(), Model(tree / "gone")
    paths = {"path": np.array([b"x.tif"], object)}
    for _ in range(50):
        with guard.opened(model, paths) as inputs:
            assert inputs["path"].tolist() == [REFUSED]
    faults = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(faults) == 1
    assert f"{tree}/gone" in faults[0].getMessage()
    assert 1 <= len(caplog.records) - 1 <= 10
