from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfvs.data.example import PYRAMID_URI
from tfvs.server.path_guard import IMAGE_ROOTS_FILE, PATH_FEATURE, REFUSED, PathGuard


class Folder:
    """What the guard reads of a servable: where it lies."""

    def __init__(self, path: Path, roots: list[Path]) -> None:
        self.path = str(path)
        (path / IMAGE_ROOTS_FILE).parent.mkdir(parents=True)
        (path / IMAGE_ROOTS_FILE).write_text("".join(f"{root}\n" for root in roots))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for folder in ("a/inner", "b", "outside"):
        (tmp_path / "images" / folder).mkdir(parents=True)
    root = tmp_path / "images"
    (root / "a" / "link").symlink_to(root / "outside")
    (root / "a" / "inner_link").symlink_to(root / "a" / "inner")
    return root


def allowed(guard: PathGuard, tree: Path, path: str) -> bool:
    return guard.allows(path.encode(), [str(tree / "a"), str(tree / "b")])


def test_links_are_followed_before_they_are_judged(tree):
    guard = PathGuard()
    assert allowed(guard, tree, "x.tif")
    assert allowed(guard, tree, "inner_link/x.tif")
    assert allowed(guard, tree, f"{tree}/b/x.tif")
    for path in ("link/x.tif", "../outside/x.tif", f"{tree}/outside/x.tif", f"{tree}/ab/x.tif", "/etc/passwd", "x\0"):
        assert not allowed(guard, tree, path), path


def test_image_root_narrows_further(tree):
    guard = PathGuard([str(tree / "a" / "inner")])
    assert allowed(guard, tree, "inner/x.tif")
    for path in ("x.tif", f"{tree}/b/x.tif", "gs://bucket/x.tif"):
        assert not allowed(guard, tree, path), path


def test_only_bad_paths_are_replaced(tree, tmp_path):
    servable = Folder(tmp_path / "1", [tree / "a"])
    paths = np.array([b"x.tif", b"link/x.tif", b"\xff\xfe"], object)
    narrowed = PathGuard().narrow(servable, "predict_pyramids", {"path": paths, "proxy": np.zeros([3, 1])})
    assert narrowed["path"].tolist() == [b"x.tif", REFUSED, b"\xff\xfe"]
    assert narrowed["proxy"].shape == (3, 1)


def test_examples_are_narrowed_and_what_is_none_is_left_to_the_graph(tree, tmp_path):
    servable = Folder(tmp_path / "1", [tree / "a"])

    def example(uri: bytes) -> bytes:
        feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[uri]))
        return tf.train.Example(features=tf.train.Features(feature={PYRAMID_URI: feature})).SerializeToString()

    examples = np.array([example(b"x.tif"), example(b"link/x.tif"), b"no example"], object)
    narrowed = PathGuard().narrow(servable, "serving_default", {"examples": examples})["examples"].tolist()
    assert narrowed == [examples[0], example(REFUSED), b"no example"]
    assert PATH_FEATURE == PYRAMID_URI


def test_a_model_that_is_not_ours_passes_unchanged(tmp_path):
    (tmp_path / "1").mkdir()
    servable = Folder(tmp_path / "1", [])
    inputs = {"path": np.array([b"/etc/passwd"], object)}
    assert PathGuard(["/nowhere"]).narrow(servable, "serving_default", inputs) is inputs
