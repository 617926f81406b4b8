"""The viewer: what lies in the page, and what a browser without network makes of it."""

import base64
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image

from tests.viz.browser import needs_browser, opened
from tests.viz.test_saccade_sheet import make
from tfvs.errors import ImageError, InputError, ResourceError
from tfvs.images.tiff.pyramid import write_pyramid
from tfvs.viz.heat import heat_of_places, heat_picture
from tfvs.viz.palette import step_colour
from tfvs.viz.viewer import write_viewer


@pytest.fixture
def quadrants():
    """An image of 1500 × 1000 whose four quarters have four colours."""
    pixels = np.zeros((1000, 1500, 3), np.uint8)
    pixels[:500, :750] = (200, 40, 40)
    pixels[:500, 750:] = (40, 200, 40)
    pixels[500:, :750] = (40, 40, 200)
    pixels[500:, 750:] = (200, 200, 40)
    return pyvips.Image.new_from_array(pixels)


def embedded(page):
    text = page.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.S).group(1))


def decode(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))))


def browse(page, tmp_path, fragment=""):
    """The page's text and its picture, once all of it is drawn."""
    with opened(page.as_uri() + fragment, tmp_path) as opened_page:
        text, picture = opened_page.text(), opened_page.screenshot()
    return text, np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)


def test_tiles_rebuild_the_image(tmp_path, quadrants):
    page = write_viewer(tmp_path / "v.html", quadrants, make(3))
    data = embedded(page)
    assert [(level["width"], level["height"]) for level in data["levels"]] == [
        (188, 125), (375, 250), (750, 500), (1500, 1000),
    ]  # fmt: skip
    for number, level in enumerate(data["levels"]):
        canvas = np.zeros((level["height"], level["width"], 3), int)
        for key, uri in data["tiles"].items():
            at, column, row = map(int, re.match(r"(\d+)/(\d+)_(\d+)$", key).groups())
            if at == number:
                tile = decode(uri)
                top, left = row * data["tileSize"], column * data["tileSize"]
                canvas[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
        whole = np.asarray(quadrants.resize(level["width"] / 1500, vscale=level["height"] / 1000, kernel="linear"))
        assert np.median(np.abs(canvas - whole.astype(int))) <= 3
        assert np.mean(np.abs(canvas - whole.astype(int)) > 12) < 0.02
    assert [p.name for p in tmp_path.iterdir()] == ["v.html"]


def test_large_image_goes_beside_the_page_and_is_replaced_whole(tmp_path, quadrants):
    page = write_viewer(tmp_path / "a b.html", quadrants, make(3), inline_bytes=0)
    data = embedded(page)
    assert data["folder"] == "a%20b_tiles"
    assert "tiles" not in data
    tiles = {str(path.relative_to(tmp_path / "a b_tiles")) for path in tmp_path.rglob("*.jpg")}
    assert len(tiles) == 1 + 2 + 6 + 24
    assert {"0/0_0.jpg", "3/5_3.jpg"} <= tiles
    (tmp_path / "a b_tiles" / "stale.jpg").write_bytes(b"old")
    write_viewer(page, quadrants, make(3), inline_bytes=0)
    assert not (tmp_path / "a b_tiles" / "stale.jpg").exists()
    write_viewer(page, quadrants, make(3))
    assert [p.name for p in tmp_path.iterdir()] == ["a b.html"]


def test_same_input_gives_the_same_page(tmp_path, quadrants):
    samples = np.tile(make(3).boxes, (5, 1, 1))
    one = write_viewer(tmp_path / "1.html", quadrants, make(3), samples=samples)
    two = write_viewer(tmp_path / "2.html", quadrants, make(3), samples=samples)
    assert one.read_bytes() == two.read_bytes()


def test_boxes_in_pixels_crops_and_classes(tmp_path, quadrants):
    saccade = make(3, kl=[1.0, 2.0, 3.0], true=1, predicted=0)
    data = embedded(write_viewer(tmp_path / "v.html", quadrants, saccade))
    for step, box, crop in zip(data["steps"], saccade.boxes, saccade.crops, strict=True):
        np.testing.assert_allclose(step["box"], box * [1000, 1500, 1000, 1500], atol=1e-3)
        np.testing.assert_array_equal(decode(step["crop"]), crop)
    assert data["right"] is False
    assert data["answer"] == "✗ wrong: class 0, truly class 1"
    assert [entry["mark"] for entry in data["classes"]] == ["wrong", "right", "", "", "", ""]
    assert sum(entry["probability"] for entry in data["classes"]) == pytest.approx(1.0)


def test_evidence_and_posterior_are_in_the_page(tmp_path, quadrants):
    evidence = np.zeros((3, 6))
    evidence[2, 1] = 6.0
    posterior = np.zeros((4, 6))
    posterior[3, 5] = 0.75
    saccade = make(3, evidence=evidence, predicted=1, kl=[1.0, 2.0, 3.0], posterior_map=posterior)
    data = embedded(write_viewer(tmp_path / "v.html", quadrants, saccade))
    captions = [step["caption"].split("\n") for step in data["steps"]]
    assert [lines[0] for lines in captions] == ["+0.0 nats for class 1"] * 2 + ["+5.0 nats for class 1"]
    assert captions[2][1] == "KL 3.00 nats"
    heat = decode(data["posterior"])
    assert heat.shape == (4, 6, 4)
    assert np.argwhere(heat[..., 3]).tolist() == [[3, 5]]
    assert "0.750" in data["posteriorFacts"]
    assert "posterior" not in embedded(write_viewer(tmp_path / "w.html", quadrants, make(3)))


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_images_of_every_kind(tmp_path, bands, dtype):
    top = np.iinfo(dtype).max
    pixels = np.full((40, 60, bands), top // 2, dtype)
    if bands in (2, 4):
        pixels[..., -1] = top
    image = pyvips.Image.new_from_array(pixels if bands > 1 else pixels[..., 0])
    deep = dtype is np.uint16
    image = image.copy(interpretation=("grey16" if deep else "b-w") if bands < 3 else ("rgb16" if deep else "srgb"))
    (uri,) = embedded(write_viewer(tmp_path / "v.html", image, make(2)))["tiles"].values()
    assert np.max(np.abs(decode(uri).astype(int) - 127)) <= 2


def test_pyramid_is_read_at_its_finest_level(tmp_path, quadrants):
    write_pyramid(quadrants, tmp_path / "p.tif", tile_size=128)
    data = embedded(write_viewer(tmp_path / "v.html", tmp_path / "p.tif", make(2)))
    assert (data["width"], data["height"]) == (1500, 1000)


def test_nothing_of_the_user_becomes_markup_or_leaves_the_machine(tmp_path, quadrants):
    evil = '</script><img src=x onerror="alert(1)">{{data}}{{script}}\u2028'
    page = write_viewer(tmp_path / "v.html", quadrants, make(1, title=evil, class_names=[evil] * 6))
    text = page.read_text(encoding="utf-8")
    assert "<img" not in text
    assert text.count("</script>") == 2
    assert embedded(page)["title"] == evil
    assert "default-src 'none'" in text
    assert not re.search(r"(src|href)=[\"']?(https?:)?//|url\(|@import|fetch\(|XMLHttpRequest", text)


@needs_browser
def test_browser_draws_image_boxes_and_side(tmp_path, quadrants):
    boxes = np.array([[0.1, 0.1, 0.3, 0.3], [0.6, 0.6, 0.8, 0.8], [0.1, 0.7, 0.3, 0.9]])
    page = write_viewer(tmp_path / "v.html", quadrants, make(3, boxes=boxes, title="Quadrants"))
    text, shot = browse(page, tmp_path)
    # The stage is 1060 × 900, the image fills 96 % of its width, 1017.6 × 678.4, in the middle.
    for x, y, colour in ((0.45, 0.4, "red"), (0.55, 0.4, "green"), (0.45, 0.95, "blue"), (0.95, 0.95, "yellow")):
        wanted = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200), "yellow": (200, 200, 40)}[colour]
        at = shot[round(450 + (y - 0.5) * 678.4), round(530 + (x - 0.5) * 1017.6)]
        assert np.max(np.abs(at - wanted)) < 12, (colour, at)
    for step, (y0, x0, y1, _) in enumerate(boxes):
        colour = [int(step_colour(step)[i : i + 2], 16) for i in (1, 3, 5)]
        row, column = round(450 + ((y0 + y1) / 2 - 0.5) * 678.4), round(530 + (x0 - 0.5) * 1017.6)
        nearby = shot[row, column - 2 : column + 3]
        assert np.min(np.max(np.abs(nearby - colour), axis=-1)) < 12, step
    assert text.count('class="crop"') == 3
    assert "Quadrants</h1>" in text
    assert "3 of 3" in text


@needs_browser
def test_browser_follows_steps_heat_and_links(tmp_path, quadrants):
    boxes = np.array([[0.1, 0.1, 0.2, 0.2], [0.6, 0.6, 0.8, 0.8]])
    samples = np.tile(boxes, (4, 1, 1))
    page = write_viewer(tmp_path / "v.html", quadrants, make(2, boxes=boxes), samples=samples, inline_bytes=0)
    _, hot = browse(page, tmp_path, "#step=0&heat=1")
    assert np.max(np.abs(hot[round(450 + 0.2 * 678.4), round(530 + 0.2 * 1017.6)] - (200, 200, 40))) > 30
    assert np.max(np.abs(hot[round(450 + 0.4 * 678.4), round(530 + 0.4 * 1017.6)] - (200, 200, 40))) < 12
    _, close = browse(page, tmp_path, "#step=1&box=1")
    assert np.max(np.abs(close[480, 560] - (200, 40, 40))) < 12  # beside the middle of the first box
    assert len({tuple(pixel) for pixel in close[480, 530:800]}) > 1  # the box's edge has come into the middle's reach


@needs_browser
def test_browser_lays_the_posterior_over_the_image(tmp_path, quadrants):
    posterior = np.zeros((2, 2))
    posterior[0, 1] = 1.0
    boxes = np.array([[0.9, 0.1, 0.95, 0.2]])
    page = write_viewer(tmp_path / "v.html", quadrants, make(1, boxes=boxes, posterior_map=posterior))
    for fragment, hot in (("", False), ("#posterior=1", True)):
        _, shot = browse(page, tmp_path, fragment)
        places = {"green": (0.75, 0.25, (40, 200, 40)), "red": (0.25, 0.25, (200, 40, 40))}
        far = {}
        for name, (x, y, colour) in places.items():
            at = shot[round(450 + (y - 0.5) * 678.4), round(530 + (x - 0.5) * 1017.6)]
            far[name] = np.max(np.abs(at - colour))
        assert far["red"] < 12
        assert (far["green"] > 30) == hot


@needs_browser
def test_browser_says_when_tiles_are_missing(tmp_path, quadrants):
    page = write_viewer(tmp_path / "v.html", quadrants, make(2), inline_bytes=0)
    shutil.rmtree(tmp_path / "v_tiles")
    text, _ = browse(page, tmp_path)
    assert "must lie beside this page" in re.search(r'id="problem"[^>]*>([^<]*)<', text).group(1)


def test_heat_counts_trajectories_not_steps():
    half, whole = [0.0, 0.0, 1.0, 0.5], [0.0, 0.0, 1.0, 1.0]
    heat = heat_of_places(np.array([[half, half], [half, whole]]), (4, 8))
    np.testing.assert_allclose(heat[:, :4], 1.0)
    np.testing.assert_allclose(heat[:, 4:], 0.5)
    part = heat_of_places(np.array([[[0.0, 0.0, 0.5, 0.25]]]), (1, 2))
    np.testing.assert_allclose(part, [[0.25, 0.0]])
    picture = heat_picture(heat)
    assert picture.shape == (4, 8, 4)
    assert picture[0, 0, 3] > picture[0, 7, 3] > 0
    assert heat_picture(np.zeros((2, 2)))[..., 3].max() == 0


def test_bad_input_is_named_and_leaves_nothing(tmp_path, quadrants):
    with pytest.raises(InputError, match="N, T, 4"):
        write_viewer(tmp_path / "v.html", quadrants, make(2), samples=np.zeros((3, 4)))
    with pytest.raises(InputError, match="quality"):
        write_viewer(tmp_path / "v.html", quadrants, make(2), quality=0)
    with pytest.raises(ImageError, match="no such image"):
        write_viewer(tmp_path / "v.html", tmp_path / "none.jpg", make(2))
    quadrants.write_to_file(str(tmp_path / "q.png"))
    with pytest.raises(ImageError, match="more pixels than allowed"):
        write_viewer(tmp_path / "v.html", tmp_path / "q.png", make(2), max_pixels=1000)
    whole = quadrants.jpegsave_buffer()
    (tmp_path / "torn.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match="cannot be decoded"):
        write_viewer(tmp_path / "v.html", tmp_path / "torn.jpg", make(2))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ResourceError, match="Cannot write"):
        write_viewer(tmp_path / "file" / "v.html", quadrants, make(2))
    assert sorted(path.name for path in Path(tmp_path).iterdir()) == ["file", "q.png", "torn.jpg"]
