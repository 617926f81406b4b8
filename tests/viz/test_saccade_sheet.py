"""Saccade sheets are judged by the pixels that they hold."""

import io
import os
import stat

import numpy as np
import pytest
from PIL import Image

from tfvs.errors import InputError, ResourceError
from tfvs.viz.page import BADGE, Page
from tfvs.viz.palette import STEP_COLOURS, step_colour
from tfvs.viz.saccade import Saccade, to_rgb
from tfvs.viz.saccade_sheet import CROPS_WIDTH, _badge_places, crop_grid, write_saccade_sheet


def make(steps=3, shape=(60, 90, 3), crop=16, classes=6, **fields):
    random = np.random.default_rng(steps)
    start = random.uniform(0.0, 0.7, (steps, 2))
    values = {
        "overview": random.integers(0, 256, shape, np.uint8),
        "proxy": random.random((16, 16, shape[-1])),
        "boxes": np.concatenate([start, start + 0.25], axis=1),
        "crops": random.random((steps, crop, crop, shape[-1])).astype(np.float32),
        "probabilities": np.full(classes, 1.0 / classes),
        "class_names": [f"class {i}" for i in range(classes)],
    }
    return Saccade(**{**values, **fields})


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def count(image, colour):
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int(np.sum(np.all(np.abs(image - wanted) <= 2, axis=-1)))


@pytest.mark.parametrize("steps", [1, 2, 5, 8])
@pytest.mark.parametrize("shape", [(60, 90, 3), (90, 30, 1)])
def test_every_step_has_its_colour(tmp_path, steps, shape):
    black = np.zeros(shape, np.uint8)
    crops = np.zeros((steps, 8, 8, shape[-1]))
    path = write_saccade_sheet(tmp_path / "s.png", [make(steps, shape, overview=black, proxy=black, crops=crops)])
    image = pixels(path)[70:, :1230]  # without the title and the bars
    for step in range(8):
        # The frame of a crop alone is some 4 sides × 100 px × 3 px.
        assert (count(image, step_colour(step)) > 500) == (step < steps)


def test_same_input_gives_same_bytes_and_no_leftovers(tmp_path):
    sheet = [make(3, kl=np.ones(3), entropy=0.5), make(4, true=1, predicted=1)]
    one = write_saccade_sheet(tmp_path / "deep" / "one.png", sheet, heading="a heading")
    two = write_saccade_sheet(tmp_path / "deep" / "two.png", sheet, heading="a heading")
    assert one.read_bytes() == two.read_bytes()
    assert sorted(os.listdir(tmp_path / "deep")) == ["one.png", "two.png"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(one.stat().st_mode) == 0o666 & ~umask


def test_image_and_crops_are_shown_true(tmp_path):
    red, green, blue = (np.zeros((40, 40, 3), np.uint8) for _ in range(3))
    red[..., 0], green[..., 1], blue[..., 2] = 200, 210, 220
    path = write_saccade_sheet(tmp_path / "s.png", [make(1, overview=red, proxy=green, crops=blue[None])])
    image = pixels(path)
    for colour in ("#C80000", "#00D200", "#0000DC"):
        assert count(image, colour) > 10_000


def test_posterior_lies_on_the_proxy_where_it_is(tmp_path):
    black = np.zeros((90, 90, 1), np.uint8)
    nowhere = np.zeros((1, 4))
    posterior = np.zeros((3, 3))
    posterior[2, 0] = 0.9
    fields = {"overview": black, "proxy": black, "crops": np.zeros((1, 8, 8, 1)), "boxes": nowhere}
    plain = pixels(write_saccade_sheet(tmp_path / "a.png", [make(1, **fields)]))
    heated = pixels(write_saccade_sheet(tmp_path / "b.png", [make(1, **fields, posterior_map=posterior)]))
    changed = np.argwhere(np.abs(plain - heated).sum(-1) > 60)
    left, top = (0.30 + 4.0 + 0.28) * 110, (0.30 + 0.40) * 110  # of the proxy, whose side is 1.5 inches
    on_proxy = changed[changed[:, 0] < top + 1.5 * 110]
    assert abs(len(on_proxy) - 55 * 55) < 300  # one cell of nine
    np.testing.assert_allclose(on_proxy.min(0), [top + 110, left], atol=2)
    np.testing.assert_allclose(on_proxy.max(0), [top + 165, left + 55], atol=2)


def test_evidence_stands_below_its_crop(tmp_path):
    evidence = np.zeros((3, 6))
    one = pixels(write_saccade_sheet(tmp_path / "a.png", [make(3, evidence=evidence, predicted=2)]))
    evidence[1, 2] = 6.0
    two = pixels(write_saccade_sheet(tmp_path / "b.png", [make(3, evidence=evidence, predicted=2)]))
    changed = np.argwhere(np.abs(one - two).sum(-1) > 60)
    columns, side = crop_grid(3, CROPS_WIDTH, 3.0)
    left = (0.30 + 4.0 + 1.5 + 2 * 0.28 + 1 % columns * (side + 0.10)) * 110
    assert changed[:, 1].min() >= left
    assert changed[:, 1].max() <= left + (side + 0.1) * 110
    assert make(3, evidence=evidence, predicted=2).evidence_words(1) == "+5.0 nats for class 2"
    assert make(3).evidence_words(1) == ""


def test_right_and_wrong_differ_by_more_than_colour(tmp_path):
    right = write_saccade_sheet(tmp_path / "r.png", [make(2, true=0, predicted=0)])
    wrong = write_saccade_sheet(tmp_path / "w.png", [make(2, true=1, predicted=0)])
    grey = [np.asarray(Image.open(path).convert("L")) > 200 for path in (right, wrong)]
    assert np.mean(grey[0][:80] != grey[1][:80]) > 0.001  # the titles' words


def test_rows_add_up_and_global_style_does_not_leak(tmp_path):
    import matplotlib

    expected = pixels(write_saccade_sheet(tmp_path / "a.png", [make(2)]))
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "image.cmap": "jet"}):
        assert np.array_equal(pixels(write_saccade_sheet(tmp_path / "b.png", [make(2)])), expected)
    assert len(pixels(write_saccade_sheet(tmp_path / "c.png", [make(2)] * 3))) > 2 * len(expected)


def test_odd_names_are_text_not_markup(tmp_path, recwarn):
    names = ["costs $5 and $6^{", "\\frac{1}{2}", "<b>&amp;", "n" * 300, "two\nlines", ""]
    write_saccade_sheet(tmp_path / "s.png", [make(1, class_names=names, true=3, title="$\\oops$ " * 80)])
    assert not [warning for warning in recwarn if issubclass(warning.category, UserWarning)]


def test_fit_keeps_both_ends_within_the_width():
    from matplotlib.figure import Figure

    page = Page(Figure(), 10.0, 5.0)
    text = "ductal carcinoma in situ, left breast, grade III"
    cut = page.fit(text, 2.0, 9.0)
    assert page.text_width(cut, 9.0) <= 2.0
    assert cut.startswith("ductal")
    assert cut.endswith("II")
    assert page.fit(text, 20.0, 9.0) == text
    assert page.fit(text, 0.0, 9.0) == "…"


@pytest.mark.parametrize("steps", range(1, 17))
def test_crop_grid_fits(steps):
    columns, side = crop_grid(steps, CROPS_WIDTH, 3.0)
    assert columns * side <= CROPS_WIDTH
    assert -(-steps // columns) * side <= 3.0
    assert side > 0.3


def test_badges_on_one_place_do_not_hide_each_other():
    places = _badge_places(np.tile([[1.0, 1.0, 1.1, 1.1]], (8, 1)), 4.0, 3.0)
    for i, (x, y) in enumerate(places):
        assert 0 <= x <= 4.0 - BADGE
        assert 0 <= y <= 3.0 - BADGE
        assert all(max(abs(x - a), abs(y - b)) >= BADGE for a, b in places[:i])


def test_predicted_and_true_class_are_always_shown():
    probabilities = np.arange(10) / 45.0
    saccade = make(1, classes=10, probabilities=probabilities, true=0)
    assert saccade.predicted == 9
    assert saccade.top_classes(3) == [9, 8, 0]
    assert saccade.top_classes(20) == list(range(9, -1, -1))
    assert saccade.right is False
    assert make(1).right is None


def test_pixels_of_every_kind_become_the_same_bytes():
    eight = np.arange(256, dtype=np.uint8).reshape(16, 16)
    expected = np.repeat(eight[..., None], 3, axis=-1)
    for same in (eight, eight[..., None], expected, eight / 255.0, (eight / 255.0).astype(np.float16)):
        assert np.max(np.abs(to_rgb(same).astype(int) - expected)) == 0
    assert np.array_equal(to_rgb(eight.astype(np.uint16) * 257), expected)
    assert to_rgb(np.array([[np.nan, 2.0, -1.0]]))[0, :, 0].tolist() == [0, 255, 0]


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"boxes": np.zeros((3, 5))}, "Boxes"),
        ({"boxes": np.zeros((0, 4))}, "Boxes"),
        ({"boxes": np.array([[0.5, 0.5, 0.4, 0.9]] * 3)}, "y0 <= y1"),
        ({"boxes": np.full((3, 4), np.nan)}, "finite"),
        ({"crops": np.zeros((2, 8, 8, 3))}, "one crop per box"),
        ({"crops": np.zeros((3, 8, 8, 2))}, "crops"),
        ({"overview": np.zeros((8, 8, 4), np.uint8)}, "overview"),
        ({"overview": np.zeros((8, 8, 3), np.int32)}, "dtype"),
        ({"proxy": np.zeros((0, 8))}, "proxy"),
        ({"probabilities": np.ones(5) / 5}, "one probability per class"),
        ({"probabilities": np.full(6, np.nan)}, "softmax"),
        ({"probabilities": np.full(6, 3.0)}, "softmax"),
        ({"true": 6}, "true is no class index"),
        ({"predicted": -1}, "predicted is no class index"),
        ({"kl": np.zeros(2)}, "kl has one value per step"),
        ({"evidence": np.zeros((3, 5))}, "per look and class"),
        ({"evidence": np.full((3, 6), np.nan)}, "per look and class"),
        ({"posterior_map": np.zeros(4)}, "probabilities of cells"),
        ({"posterior_map": -np.ones((2, 2))}, "probabilities of cells"),
    ],
)
def test_bad_saccade_is_named(fields, word):
    with pytest.raises(InputError, match=word):
        make(3, **fields)


def test_bad_sheet_is_named(tmp_path):
    with pytest.raises(InputError, match="1 to 200"):
        write_saccade_sheet(tmp_path / "s.png", [])
    with pytest.raises(InputError, match="top_classes=0"):
        write_saccade_sheet(tmp_path / "s.png", [make()], top_classes=0)


def test_unwritable_destination_is_named_and_leaves_the_old_file(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ResourceError, match="Cannot write"):
        write_saccade_sheet(tmp_path / "file" / "s.png", [make()])
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ResourceError, match="Cannot write"):
        write_saccade_sheet(tmp_path / "folder.png", [make()])
    assert sorted(os.listdir(tmp_path)) == ["file", "folder.png"]


def test_sheet_is_a_png_of_the_stated_size(tmp_path):
    path = write_saccade_sheet(tmp_path / "s.png", [make()], dots_per_inch=50)
    image = Image.open(io.BytesIO(path.read_bytes()))
    assert image.format == "PNG"
    assert abs(image.width - 707) <= 1
    assert len(STEP_COLOURS) == len(set(STEP_COLOURS)) == 8
