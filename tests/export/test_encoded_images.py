"""JPEG and PNG files in the graph against libvips, which prepares the records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import pyvips
import tensorflow as tf

from tests.export.pictures import opened, turned, write_pictures
from tests.export.saccaders import picture
from tfvs.export.encoded_images import decode_normalized, read_facts, upright_size
from tfvs.export.guarded import image_header
from tfvs.images import reading
from tfvs.images.proxy import ProxyRecipe, make_proxy, make_proxy_in_graph


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    return write_pictures(tmp_path_factory.mktemp("pictures"))


def decoder(bands: int, dtype: str | None, recipe: ProxyRecipe):
    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def decode(encoded: tf.Tensor) -> tuple[tf.Tensor, ...]:
        kind, size, is_deep = image_header(encoded)
        facts = read_facts(encoded, kind)
        pixels, top = decode_normalized(encoded, kind, is_deep, facts, bands, dtype)
        return pixels, top, upright_size(size, facts), make_proxy_in_graph(pixels, recipe, levels=top)

    return decode


@pytest.mark.parametrize(("bands", "dtype"), [(3, None), (1, "uint8"), (4, "uint16")])
def test_pixels_and_proxies_are_those_of_libvips(files, bands, dtype):
    recipe = ProxyRecipe(height=24, width=32, channels=3 if bands == 3 else 1)
    decode, worst = decoder(bands, dtype, recipe), {"pixels": 0.0, "proxy": 0.0}
    assert len(files) >= 60
    for name, path in files.items():
        image = reading.normalize(reading.open_image(path, random_access=True), bands=bands, dtype=dtype)
        pixels, top, size, proxy = (value.numpy() for value in decode(path.read_bytes()))
        assert tuple(size) == (image.height, image.width) == pixels.shape[:2], name
        assert top == (65535 if image.format == "ushort" else 255), name
        wanted = image.numpy().reshape(pixels.shape) / top
        worst["pixels"] = max(worst["pixels"], np.abs(pixels - wanted).max() * 255)
        difference = np.abs(np.rint(proxy * 255) - make_proxy(image, recipe)).max()
        assert difference <= 1, name
        worst["proxy"] = max(worst["proxy"], difference)
    assert worst["pixels"] <= 1.01, worst


def test_a_colour_profile_is_told(tmp_path):
    image = opened(picture(30, 40))
    profile = pyvips.Image.profile_load("p3")
    image = image.copy()
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    for save in ("jpegsave", "pngsave"):
        path = tmp_path / save
        getattr(image, save)(str(path))
        kind, _, _ = image_header(tf.constant(path.read_bytes()))
        assert read_facts(tf.constant(path.read_bytes()), kind).profiled.numpy()
        getattr(opened(picture(30, 40)), save)(str(path))
        assert not read_facts(tf.constant(path.read_bytes()), kind).profiled.numpy()


def test_a_file_of_segments_without_end_is_refused(tmp_path):
    turned(opened(picture(30, 40)), 6).jpegsave(str(tmp_path / "a.jpg"))
    encoded = (tmp_path / "a.jpg").read_bytes()
    kind, _, _ = image_header(tf.constant(encoded))
    many = encoded[:2] + b"\xff\xfe\x00\x02" * 2000 + encoded[2:]
    few = encoded[:2] + b"\xff\xfe\x00\x02" * 20 + b"\xff" + encoded[2:]
    assert read_facts(tf.constant(few), kind).orientation == 6
    with pytest.raises(tf.errors.InvalidArgumentError):
        read_facts(tf.constant(many), kind)
    with pytest.raises(tf.errors.InvalidArgumentError):
        read_facts(tf.constant(encoded[:40]), kind)
