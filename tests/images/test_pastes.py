"""Pastes over crops and proxy give what the whole scene, made in NumPy, gives."""

import numpy as np
import pytest
import tensorflow as tf

from tfvs.errors import ConfigError
from tfvs.images.crops.dense import read_dense_crops
from tfvs.images.cut_outs import CutOut, Paste, PasteBank, PasteConfig, cut_out, draw_pastes, lay_over, vary
from tfvs.images.pastes import mirror_boxes, mirror_crops, paste_over

RNG = np.random.default_rng(6)
HEIGHT, WIDTH, CANVAS = 48, 80, 16
IMAGE = RNG.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def rgba(height: int, width: int) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, 4), dtype=np.uint8)


PASTES = [Paste(rgba(12, 8), 20, 30, 1), Paste(rgba(9, 16), 26, 34, 0), Paste(rgba(8, 8), 0, 72, 0)]


def whole(image: np.ndarray, pastes: list[Paste]) -> np.ndarray:
    """The scene with its pastes, float in [0, 255]."""
    scene = image.astype(np.float64)
    for paste in pastes:
        rows, columns = paste.pixels.shape[:2]
        part = scene[paste.top : paste.top + rows, paste.left : paste.left + columns]
        opacity = paste.pixels[..., 3:] / 255.0
        part[:] = part * (1 - opacity) + paste.pixels[..., :3] * opacity
    return scene


def as_inputs(pastes: list[Paste]) -> tuple[np.ndarray, np.ndarray]:
    canvases, boxes = np.zeros([1, 4, CANVAS, CANVAS, 4], np.uint8), np.zeros([1, 4, 4], np.float32)
    for n, paste in enumerate(pastes):
        canvases[0, n, : paste.pixels.shape[0], : paste.pixels.shape[1]] = paste.pixels
        box = np.array([paste.top, paste.left, paste.top + CANVAS, paste.left + CANVAS])
        boxes[0, n] = box / [HEIGHT, WIDTH, HEIGHT, WIDTH]
    return canvases, boxes


def crops_of(image: np.ndarray, boxes: np.ndarray, size: int) -> np.ndarray:
    dense = tf.constant(image[np.newaxis] / 255.0, tf.float32)
    return read_dense_crops(dense, tf.constant(boxes), size, max_level=0).numpy()


def box_at(top: float, left: float, side: float) -> np.ndarray:
    return np.array([[[top, left, top + side, left + side]]] / np.array([HEIGHT, WIDTH, HEIGHT, WIDTH]), np.float32)


@pytest.mark.parametrize("corner", [(16, 24), (22, 30), (0, 60), (10.0, 2.0), (30, 40)])
def test_crops_at_the_images_own_pixels(corner: tuple[float, float]) -> None:
    box = box_at(*corner, 20)
    result = paste_over(crops_of(IMAGE, box, 20), box, *as_inputs(PASTES))
    np.testing.assert_allclose(result, crops_of(whole(IMAGE, PASTES), box, 20), atol=2e-5)


def test_crops_between_pixels_and_smaller_ones() -> None:
    """Interpolation and compositing change places there: what is smooth stays."""
    smooth = np.full((12, 12, 4), 255, np.uint8)
    smooth[..., :3] = np.linspace(40, 200, 12)[:, np.newaxis, np.newaxis]
    paste = [Paste(smooth, 18, 28, 1)]
    flat = np.full_like(IMAGE, 90)
    for corner, side, size in (((16.5, 26.3), 16, 16), ((16, 26), 16, 8)):
        box = box_at(*corner, side)
        result = paste_over(crops_of(flat, box, size), box, *as_inputs(paste)).numpy()
        expected = crops_of(whole(flat, paste), box, size)
        pitch = side / size
        inner = slice(int(np.ceil(4 / pitch)), int(10 / pitch))
        np.testing.assert_allclose(result[0, 0, inner, inner], expected[0, 0, inner, inner], atol=0.02)


def test_grey_crops_and_crops_without_pastes() -> None:
    grey = np.repeat(IMAGE.mean(-1, keepdims=True), 3, -1)
    box = box_at(18, 28, 16)
    result = paste_over(crops_of(grey, box, 16)[..., :1], box, *as_inputs(PASTES))
    colours = crops_of(whole(grey, PASTES), box, 16)
    np.testing.assert_allclose(result[..., 0], colours @ [0.299, 0.587, 0.114], atol=1e-4)
    np.testing.assert_array_equal(paste_over(crops_of(IMAGE, box, 16), box, *as_inputs([])), crops_of(IMAGE, box, 16))


def test_a_batch_of_several_looks_traced_with_unknown_sizes() -> None:
    boxes = np.concatenate([box_at(16, 24, 20), box_at(0, 60, 20)], axis=1)
    boxes = np.concatenate([boxes, boxes[:, ::-1]])
    pastes = [np.concatenate(pair) for pair in zip(as_inputs(PASTES), as_inputs([]), strict=True)]
    crops = np.concatenate([crops_of(IMAGE, boxes[:1], 20), crops_of(IMAGE, boxes[1:], 20)])
    specs = [tf.TensorSpec([None, *value.shape[1:]], tf.as_dtype(value.dtype)) for value in (crops, boxes, *pastes)]
    result = tf.function(paste_over, input_signature=specs)(crops, boxes, *pastes)
    np.testing.assert_allclose(result[0], crops_of(whole(IMAGE, PASTES), boxes[:1], 20)[0], atol=2e-5)
    np.testing.assert_array_equal(result[1], crops[1])


def test_the_proxy_is_the_scene_reduced() -> None:
    proxy = IMAGE.reshape(HEIGHT // 4, 4, WIDTH // 4, 4, 3).mean((1, 3))
    paste = [Paste(rgba(12, 8), 20, 30, 1)]
    result = lay_over(np.round(proxy).astype(np.uint8), (HEIGHT, WIDTH), paste)
    scene = whole(IMAGE, paste).reshape(HEIGHT // 4, 4, WIDTH // 4, 4, 3).mean((1, 3))
    reference = whole(np.repeat(np.repeat(proxy, 4, 0), 4, 1), paste)  # under an opacity that varies in a proxy pixel
    reference = reference.reshape(HEIGHT // 4, 4, WIDTH // 4, 4, 3).mean((1, 3))
    np.testing.assert_allclose(result, reference, atol=1.01)
    assert abs(result - scene).mean() < 2.0
    opaque = Paste(np.dstack([paste[0].pixels[..., :3], np.full((12, 8), 255, np.uint8)]), 20, 30, 1)
    result = lay_over(np.round(proxy).astype(np.uint8), (HEIGHT, WIDTH), [opaque])
    scene = whole(IMAGE, [opaque]).reshape(HEIGHT // 4, 4, WIDTH // 4, 4, 3).mean((1, 3))
    np.testing.assert_allclose(result[5:8, 8:9], scene[5:8, 8:9], atol=1.01)


def test_mirrored_crops() -> None:
    boxes = np.concatenate([box_at(3.2, 7.9, 20), box_at(20, 50, 20)], axis=1)
    direct = crops_of(IMAGE[:, ::-1], boxes, 20)
    mirrored = tf.constant([True])
    read = crops_of(IMAGE, mirror_boxes(boxes, mirrored), 20)
    np.testing.assert_allclose(mirror_crops(read, mirrored), direct, atol=1e-4)
    np.testing.assert_array_equal(mirror_boxes(boxes, tf.constant([False])), boxes)


STILL = PasteConfig(
    size=(1.0, 1.0), aspect=(1.0, 1.0), angle=0.0, blur_px=0.0, edge_px=0.0, brightness=(1.0, 1.0), tint=(1.0, 1.0),
    offset=0.0, mirror=0.0, mirror_place=0.0, place_noise_px=0.0, min_px=4.0,
)  # fmt: skip


def test_a_cut_out_is_mirrored_only_where_it_may_be() -> None:
    pixels = rgba(10, 10)
    for mirrorable in (False, True):
        drawn = [vary(RNG, CutOut(pixels, 1, mirrorable), 10, STILL) for _ in range(40)]
        same = [np.array_equal(one[..., :3], pixels[..., :3]) for one in drawn]
        flipped = [np.array_equal(one[..., :3], pixels[:, ::-1, :3]) for one in drawn]
        assert all(np.add(same, flipped))
        assert any(flipped) == mirrorable


def test_sizes_are_bounded_and_outlines_opaque() -> None:
    cut = cut_out(IMAGE, (10, 10, 30, 30), 2, outline="ellipse")
    assert cut.pixels.shape == (20, 20, 4)
    assert cut.pixels[0, 0, 3] == 0
    assert cut.pixels[10, 10, 3] == 255
    assert 0.65 < (cut.pixels[..., 3] > 0).mean() < 0.80  # pi / 4 = 0.79, less the rim
    for wanted, expected in ((2, 4), (20, 20), (100, 28)):
        assert max(vary(RNG, cut, wanted, STILL).shape[:2]) == expected
    with pytest.raises(ConfigError):
        cut_out(IMAGE, (10, 10, 10, 30), 2)
    with pytest.raises(ConfigError):
        cut_out(IMAGE, (0, 0, 5, 5), 2, outline="star")


def test_pastes_are_drawn_evenly_and_lie_in_the_image() -> None:
    cuts = [CutOut(rgba(10, 10), label) for label in (0, 1, 1, 1, 2)]
    bank = PasteBank(cuts, np.array([[0.0, 1.0, 12.0], [0.5, 0.5, 20.0]]))
    drawn = [draw_pastes(RNG, bank, PasteConfig(max_pastes=3), (HEIGHT, WIDTH)) for _ in range(300)]
    firsts = np.array([pastes[0].label for pastes in drawn])
    assert 110 < (firsts == 1).sum() < 190
    assert set(firsts) == {1, 2}
    for pastes in drawn:
        assert len(pastes) <= 3
        assert {paste.label for paste in pastes} <= {0, pastes[0].label}
        for paste in pastes:
            assert paste.top >= 0
            assert paste.left >= 0
            assert paste.top + paste.pixels.shape[0] <= HEIGHT
            assert paste.left + paste.pixels.shape[1] <= WIDTH
    again = [draw_pastes(np.random.default_rng(1), bank, PasteConfig(), (HEIGHT, WIDTH)) for _ in range(2)]
    np.testing.assert_array_equal(again[0][0].pixels, again[1][0].pixels)


def test_rare_kinds_of_a_class_are_drawn_more_often_than_there_are_cut_outs_of_them() -> None:
    cuts = [CutOut(rgba(10, 10), 1, kind=7)] * 9 + [CutOut(rgba(10, 10), 1, kind=8), CutOut(rgba(10, 10), 2)]
    bank = PasteBank(cuts, np.array([[0.5, 0.5, 12.0]]))
    kinds = np.array([bank.draw(RNG, 1).kind for _ in range(2000)])
    assert 0.70 < (kinds == 7).mean() < 0.80  # the roots of 9 and 1: three of four
    assert {bank.draw(RNG, 2).label for _ in range(20)} == {2}


def test_large_places_get_large_cut_outs() -> None:
    cuts = [CutOut(rgba(12, 10), 1), CutOut(rgba(50, 60), 1, kind=3), CutOut(rgba(12, 10), 2)]
    bank = PasteBank(cuts, np.array([[0.5, 0.5, 60.0]]))
    assert {bank.draw(RNG, 1, 60).kind for _ in range(20)} == {3}
    assert {bank.draw(RNG, 1, 12).kind for _ in range(20)} == {0, 3}
    assert bank.draw(RNG, 2, 60).label == 2  # there is none so large
    config = PasteConfig(second=0, others=0, size=(1, 1), max_pastes=1)
    for _ in range(20):
        (paste,) = draw_pastes(RNG, bank, config, (HEIGHT, WIDTH))
        assert (max(paste.pixels.shape[:2]) > 50) == (paste.label == 1)


@pytest.mark.parametrize(
    "wrong", [{"max_pastes": 0}, {"max_enlargement": 0}, {"second": 2.0}, {"size": (0.0, 1.0)}, {"angle": -1.0}]
)
def test_settings_that_cannot_work(wrong: dict) -> None:
    with pytest.raises(ConfigError):
        PasteConfig(**wrong)
    with pytest.raises(ConfigError):
        PasteBank([CutOut(rgba(3, 3), 0)], np.zeros([1, 3]))
    with pytest.raises(ConfigError):
        PasteBank([CutOut(rgba(3, 3), 1)], np.zeros([0, 3]))
