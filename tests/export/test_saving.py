from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.export.saccaders import (
    CLASS_NAMES,
    CROP_SIZE,
    MAX_IMAGE_PX,
    NUM_STEPS,
    RECIPE,
    adapt,
    picture,
    pyramid_request,
    small_saccader,
    write_picture_pyramid,
)
from tfvs.data import example as contract
from tfvs.errors import ConfigError, DataError, InputError
from tfvs.export import saving as export
from tfvs.export import versions
from tfvs.export.description import DESCRIPTION_FILE, DESCRIPTION_OUTPUT, ModelDescription
from tfvs.export.signatures import SaccaderSignatures
from tfvs.images.proxy import encode_png, proxy_from_pyramid
from tfvs.images.tiff.tile_index import read_index
from tfvs.models.saccader import VariationalSaccader
from tfvs.server.servable import Servable

OUTPUTS = {"probabilities", "classes", "labels", "boxes", "boxes_px", "kl", "entropy", "valid", "reason"}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    write_picture_pyramid(folder / "a.tif", picture(700, 900, seed=1))
    write_picture_pyramid(folder / "b.tif", picture(520, 400, seed=2))
    return folder


@pytest.fixture(scope="module")
def servable(root, exported, tmp_path_factory) -> Servable:
    path = adapt(exported, tmp_path_factory.mktemp("saccader"), [root])
    return Servable("saccader", 1, str(path))


def stack(requests: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Joins requests, lists padded with zeros."""

    def padded(key: str) -> np.ndarray:
        arrays = [request[key] for request in requests]
        if arrays[0].ndim != 2:
            return np.concatenate(arrays)
        width = max(array.shape[1] for array in arrays)
        return np.concatenate([np.pad(array, [(0, 0), (0, width - array.shape[1])]) for array in arrays])

    return {key: padded(key) for key in requests[0]}


def example(root: Path, name: str, uri: str | None = None, proxy: bytes | None = None) -> bytes:
    index = read_index(root / name)
    encoded = encode_png(proxy_from_pyramid(root / name, index, RECIPE))
    record = contract.ImageRecord(name, 0, "", proxy or encoded, uri or name, index)
    return contract.to_example(record).SerializeToString()


def test_signatures_names_and_shapes(servable):
    assert set(servable.signatures) == {
        "serving_default",
        "predict_pyramids",
        "predict_images",
        "locate",
        "classify_crops",
    }
    for name, signature in servable.signatures.items():
        wanted = OUTPUTS - {"probabilities", "classes", "labels", "entropy"} if name == "locate" else OUTPUTS
        assert wanted <= set(signature.outputs)
        for info in [*signature.inputs.values(), *signature.outputs.values()]:
            assert info.tensor_shape.dim[0].size == -1  # batch first: what batching servers and TFMA split
    assert set(servable.signatures["serving_default"].inputs) == {"examples"}


def test_it_loads_and_runs_without_tfvs_and_with_stock_operations_only(servable, root):
    code = """
import json, sys
import tensorflow as tf
assert not any(name == "tfvs" or name.startswith("tfvs.") for name in sys.modules)
loaded = tf.saved_model.load(sys.argv[1])
graph = loaded.signatures["serving_default"].graph.as_graph_def()
answers = loaded.signatures["serving_default"](examples=tf.constant([open(sys.argv[2], "rb").read()]))
from tensorflow.python.framework import op_def_registry
from tensorflow.core.protobuf import saved_model_pb2
definition = saved_model_pb2.SavedModel.FromString(open(sys.argv[1] + "/saved_model.pb", "rb").read()).meta_graphs[0]
functions = {f.signature.name for f in definition.graph_def.library.function}
nodes = list(definition.graph_def.node) + [n for f in definition.graph_def.library.function for n in f.node_def]
ops = {node.op for node in nodes}
print(json.dumps({
    "unknown": sorted(op for op in ops - functions if op_def_registry.get(op) is None),
    "python": sorted(op for op in ops if "PyFunc" in op),
    "valid": bool(answers["valid"][0]),
    "tfvs": sorted(name for name in sys.modules if name.startswith("tfvs")),
}))
"""
    record = root / "record"
    record.write_bytes(example(root, "a.tif"))
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run(
        [sys.executable, "-I", "-c", code, servable.path, str(record)],
        capture_output=True,
        env=environment,
        check=False,
    )
    assert result.returncode == 0, result.stderr.decode()[-2000:]
    assert json.loads(result.stdout.splitlines()[-1]) == {"unknown": [], "python": [], "valid": True, "tfvs": []}


def test_examples_and_pyramids_give_the_same_and_what_the_model_gives(servable, root):
    from_pyramids = servable.run("predict_pyramids", stack([pyramid_request(root, n) for n in ("a.tif", "b.tif")]))
    examples = np.array([example(root, "a.tif"), example(root, "b.tif")], object)
    from_examples = servable.run("serving_default", {"examples": examples})
    assert from_pyramids["valid"].all()
    for key in ("probabilities", "boxes", "kl"):
        np.testing.assert_allclose(from_pyramids[key], from_examples[key], atol=1e-5)
    model = small_saccader()
    proxy = pyramid_request(root, "a.tif")["proxy"]
    looked = model({"proxy": proxy, "image": picture(700, 900, seed=1)[np.newaxis] / np.float32(255)})
    np.testing.assert_allclose(from_pyramids["boxes"][0], looked.boxes[0], atol=1e-5)
    np.testing.assert_allclose(from_pyramids["probabilities"][0], tf.nn.softmax(looked.logits[0]), atol=2e-3)
    boxes_px = from_pyramids["boxes"][0] * [700, 900, 700, 900]
    np.testing.assert_allclose(from_pyramids["boxes_px"][0], boxes_px, rtol=1e-5)
    assert from_pyramids["labels"][0].decode() == CLASS_NAMES[from_pyramids["classes"][0]]
    assert (from_pyramids["tiles_read"] > 0).all()


def test_one_bad_example_fails_alone(servable, root):
    good = example(root, "a.tif")
    alone = servable.run("serving_default", {"examples": np.array([good], object)})
    bad = [
        b"no example",
        b"",
        example(root, "a.tif", proxy=b"no png"),
        example(root, "a.tif", proxy=tf.io.encode_png(np.zeros([3, 3, 3], np.uint8)).numpy()),
        example(root, "a.tif", uri="missing.tif"),
        example(root, "a.tif", uri="b.tif"),
    ]
    answers = servable.run("serving_default", {"examples": np.array([*bad[:3], good, *bad[3:]], object)})
    assert answers["valid"].tolist() == [False] * 3 + [True] + [False] * 3
    np.testing.assert_allclose(answers["probabilities"][3], alone["probabilities"][0], atol=1e-6)
    assert all(answers["reason"][i] for i in (0, 1, 2, 4, 5, 6))
    assert (answers["probabilities"][[0, 4]] == 0).all()
    assert answers["classes"].tolist()[0] == -1


@pytest.mark.parametrize(
    "path",
    ["../a.tif", "x/../../a.tif", "/etc/passwd", "file:///etc/passwd", "gs://bucket/a.tif", "", "a.tif\0", b"\xff\xfe"],
)
def test_paths_outside_the_roots_are_refused_in_the_graph(servable, root, path):
    shutil.copy(root / "a.tif", root.parent / "a.tif")
    request = pyramid_request(root, "a.tif")
    bad = {**request, "path": np.array([path if isinstance(path, bytes) else path.encode()], object)}
    answers = servable.run("predict_pyramids", stack([request, bad, request]))
    assert answers["valid"].tolist() == [True, False, True]
    assert b"image roots" in answers["reason"][1]


def test_a_link_that_the_graph_cannot_tell_gives_no_file_that_is_no_framed_pyramid(servable, root):
    """Without the embedded server a link is followed; what it leads to must still hold its checksums."""
    request = pyramid_request(root, "a.tif")
    other = root.parent / "other"
    other.write_bytes(np.random.default_rng(0).bytes((root / "a.tif").stat().st_size))
    (root / "link.tif").unlink(missing_ok=True)
    (root / "link.tif").symlink_to(other)
    answer = servable.run("predict_pyramids", {**request, "path": np.array([b"link.tif"], object)})
    assert not answer["valid"].any()


def test_an_absolute_path_under_a_root_is_read(servable, root):
    assert servable.run("predict_pyramids", pyramid_request(root, "a.tif", str(root / "a.tif")))["valid"].all()


def test_a_moved_model_is_adapted_by_its_roots_file(servable, root, tmp_path):
    moved, images = tmp_path / "1", tmp_path / "elsewhere"
    shutil.copytree(servable.path, moved)
    images.mkdir()
    shutil.copy(root / "a.tif", images / "only_here.tif")
    (moved / "assets" / export.ROOTS_FILE).write_text(f"{images}\n")
    request = {**pyramid_request(root, "a.tif"), "path": np.array([b"only_here.tif"], object)}
    assert Servable("moved", 1, str(moved)).run("predict_pyramids", request)["valid"].all()


def test_one_bad_image_fails_alone(servable):
    jpeg = tf.io.encode_jpeg(picture(300, 400)).numpy()
    png = tf.io.encode_png(picture(300, 400)).numpy()
    deep = tf.io.encode_png(picture(300, 400).astype(np.uint16) * 257).numpy()
    large = tf.io.encode_png(np.zeros([1501, MAX_IMAGE_PX // 1500, 1], np.uint8)).numpy()
    bomb = png[:16] + (60000).to_bytes(4, "big") * 2 + png[24:]
    cases = {
        "jpeg": (jpeg, b""),
        "empty": (b"", b"no JPEG or PNG"),
        "short": (jpeg[:3], b"no JPEG or PNG"),
        "half a jpeg": (jpeg[: len(jpeg) // 2], b"no JPEG or PNG"),
        "png": (png, b""),
        "half a png": (png[: len(png) // 2], b"no JPEG or PNG"),
        "gif": (b"GIF89a" + bytes(40), b"no JPEG or PNG"),
        "text": (b"hello, I am a text file", b"no JPEG or PNG"),
        "large": (large, b"more pixels"),
        "60 000 squared": (bomb, b"more pixels"),
        "16 bits": (deep, b""),
        "tiny": (tf.io.encode_png(np.zeros([1, 1, 3], np.uint8)).numpy(), b""),
    }
    answers = servable.run("predict_images", {"image_bytes": np.array([case[0] for case in cases.values()], object)})
    for row, (name, (_, reason)) in enumerate(cases.items()):
        assert answers["valid"][row] == (not reason), name
        assert reason in answers["reason"][row], name
    rows = list(cases)
    np.testing.assert_allclose(
        answers["probabilities"][rows.index("png")], answers["probabilities"][rows.index("16 bits")], atol=1e-3
    )
    alone = servable.run("predict_images", {"image_bytes": np.array([jpeg], object)})
    np.testing.assert_allclose(alone["probabilities"][0], answers["probabilities"][0], atol=1e-6)


def test_too_large_a_batch_is_refused(servable):
    with pytest.raises(tf.errors.InvalidArgumentError, match="more than 128 images"):
        servable.run("predict_images", {"image_bytes": np.array([b""] * 129, object)})


def test_locate_and_classify_give_what_the_pyramid_gives(servable, root):
    request = pyramid_request(root, "a.tif")
    size = np.array([[700, 900]], np.int32)
    located = servable.run("locate", {"proxy": request["proxy"], "image_size": size})
    whole = servable.run("predict_pyramids", request)
    np.testing.assert_allclose(located["boxes"], whole["boxes"], atol=1e-6)
    crops = np.zeros([1, NUM_STEPS, CROP_SIZE, CROP_SIZE, 3], np.float32)
    inputs = {"proxy": request["proxy"], "image_size": size, "crops": crops}
    np.testing.assert_allclose(servable.run("classify_crops", inputs)["boxes"], whole["boxes"], atol=1e-6)
    inputs["image_size"] = np.array([[0, 5]], np.int32)
    assert not servable.run("classify_crops", inputs)["valid"].any()


def test_warm_up_covers_every_signature(servable):
    assert servable.warm_up() == 5


def test_several_samples_average_and_show_uncertainty(servable, root):
    assets = Path(servable.path) / "assets"
    description = ModelDescription.from_json((assets / DESCRIPTION_FILE).read_text()).replace(num_samples=3)
    files = {name: str(assets / name) for name in (export.ROOTS_FILE, DESCRIPTION_FILE)}
    # The signature alone: saving all five takes half a minute.
    signatures = SaccaderSignatures(small_saccader(num_samples=3), description, files)
    request = pyramid_request(root, "a.tif")
    fields = [tf.constant(request[field.name]) for field in contract.INDEX_FIELDS]
    answers = {
        name: value.numpy()
        for name, value in signatures.predict_pyramids(
            tf.constant(request["proxy"]), tf.constant(request["path"]), *fields
        ).items()
    }
    assert answers["boxes"].shape == (1, 3 * NUM_STEPS, 4)
    assert answers["kl"].shape == (1, 3 * NUM_STEPS)
    assert len({tuple(box) for box in answers["boxes"][0].round(4)}) == 3 * NUM_STEPS
    np.testing.assert_allclose(answers["probabilities"].sum(), 1.0, atol=1e-5)


def test_an_older_export_is_replaced_and_anything_else_is_kept(tmp_path):
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "thesis.txt").write_text("all of it")
    with pytest.raises(DataError, match="holds something else"):
        export._check_target(str(other))
    assert (other / "thesis.txt").exists()


class Broken(VariationalSaccader):
    """A model whose signatures cannot be traced."""

    def answer_crops(self, crops, hidden_states, *, training=False):
        raise RuntimeError("no classifier")


def test_a_save_that_fails_leaves_the_earlier_export(exported, tmp_path):
    path = adapt(exported, tmp_path, [tmp_path])
    before = {file: file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}
    broken = Broken(config=small_saccader().config)
    broken.build({"proxy": (None, *RECIPE.shape), "image": (None, None, None, 3)})
    with pytest.raises(RuntimeError, match="no classifier"):
        export.export_saved_model(broken, path, class_names=CLASS_NAMES, proxy=RECIPE, image_roots=[tmp_path])
    assert {file: file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()} == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_the_asset_is_the_description_that_locate_answers(servable):
    inputs = {"proxy": np.zeros([2, *RECIPE.shape], np.float32), "image_size": np.ones([2, 2], np.int32)}
    answered = servable.run("locate", inputs)[DESCRIPTION_OUTPUT]
    description = ModelDescription.from_json((Path(servable.path) / "assets" / DESCRIPTION_FILE).read_text())
    assert [ModelDescription.from_json(text.decode()) for text in answered] == [description] * 2
    assert description.proxy == RECIPE
    assert (description.class_names, description.crop_size, description.bands) == (CLASS_NAMES, CROP_SIZE, 3)


def test_next_version_counts_up(tmp_path):
    assert versions.next_version(tmp_path / "none") == str(tmp_path / "none" / "1")
    for name in ("9", "10", "x", ".partial"):
        (tmp_path / name).mkdir()
    assert versions.next_version(tmp_path) == str(tmp_path / "11")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": ["a", "b"]}, "class names do not fit"),
        ({"class_names": ["a", "b", "b"]}, "class names do not fit"),
        ({"class_names": ["a", "b", "c\n"]}, "line break"),
        ({"proxy": RECIPE.replace(channels=1)}, "other proxies"),
        ({"image_roots": []}, "image roots"),
        ({"max_image_px": 0}, "max_image_px"),
    ],
)
def test_arguments_are_checked(tmp_path, changes, message):
    arguments = {
        "class_names": CLASS_NAMES,
        "proxy": RECIPE,
        "image_roots": [tmp_path],
        **changes,
    }
    with pytest.raises((InputError, ConfigError), match=message):
        export.export_saved_model(small_saccader(), tmp_path / "1", **arguments)
