"""Opening images: an allow-list, bounds before pixels, roots that hold."""

import numpy as np
import pytest

from benchmarks.memory import peak_memory_mb, reset_peak_memory
from tests.images.pyramids import as_image, png, texture
from tfvs.errors import ImageError, InputError
from tfvs.images.reading import check_size, normalize, open_image, read_array
from tfvs.images.tiff.pyramid import write_pyramid


@pytest.fixture
def folder(tmp_path):
    image = as_image(texture(40, 60))
    for suffix in ("jpg", "png", "tif", "webp"):
        image.write_to_file(str(tmp_path / f"a.{suffix}"))
    return tmp_path


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_allowed_formats_by_path_and_by_bytes(folder, suffix):
    path = folder / f"a.{suffix}"
    for source in (path, str(path), path.read_bytes()):
        image = open_image(source)
        assert (image.width, image.height) == (60, 40)
    assert read_array(path).shape == (40, 60, 3)


@pytest.mark.parametrize(
    "data",
    [b"", b"GIF89a" + bytes(50), b"%PDF-1.4", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"1,2,3\n"],
)
def test_other_formats_are_refused(tmp_path, data):
    (tmp_path / "a.png").write_bytes(data)
    for source in (data, tmp_path / "a.png"):
        with pytest.raises(ImageError, match="allowed format"):
            open_image(source)


def test_a_header_that_claims_too_much_is_refused_before_pixels(tmp_path):
    claims = png(60_000, 60_000, 2, bytes(400 << 20))  # a file of 400 kB
    assert len(claims) < 500_000
    path = tmp_path / "huge.png"
    path.write_bytes(claims)
    reset_peak_memory()
    before = peak_memory_mb()
    for attempt in (
        lambda: open_image(claims),
        lambda: read_array(path),
        lambda: write_pyramid(path, tmp_path / "huge.tif"),
    ):
        with pytest.raises(ImageError, match="more pixels than allowed"):
            attempt()
    assert peak_memory_mb() - before < 20


@pytest.mark.parametrize("size", [(0, 0), (0, 8), (8, 0)])
def test_an_image_without_pixels_is_refused(tmp_path, size):
    path = tmp_path / "empty.png"
    path.write_bytes(png(*size, 2, b""))
    for attempt in (open_image, read_array, lambda path: write_pyramid(path, tmp_path / "empty.tif")):
        with pytest.raises(ImageError):
            attempt(path)
    with pytest.raises(ImageError, match="empty"):
        check_size(*size, max_pixels=100, name="a.png")


def test_options_in_a_name_are_part_of_the_name(folder):
    with pytest.raises(ImageError, match="no such image"):
        open_image(f"{folder}/a.tif[page=0]")


def test_truncated_images_are_refused(folder):
    for suffix in ("jpg", "png", "webp"):
        data = (folder / f"a.{suffix}").read_bytes()
        with pytest.raises(ImageError):
            read_array(data[: len(data) * 2 // 3])


def test_nothing_outside_the_root(folder, tmp_path_factory):
    root = folder / "root"
    root.mkdir()
    (root / "link.png").symlink_to(folder / "a.png")
    (root / "b.png").write_bytes((folder / "a.png").read_bytes())
    assert open_image("b.png", root=root).width == 60
    for path in ("../a.png", "link.png", folder / "a.png", "x\0.png"):
        with pytest.raises(ImageError, match=r"outside|NUL"):
            open_image(path, root=root)


def test_a_replaced_file_is_read_anew(folder):
    path = folder / "a.png"
    before = read_array(path)
    as_image(texture(40, 60, seed=3)).pngsave(str(path))
    assert np.abs(read_array(path).astype(int) - before).max() > 50


def test_normalize_checks_what_is_asked():
    image = as_image(texture(8, 8))
    with pytest.raises(InputError):
        normalize(image, bands=5)
    with pytest.raises(InputError):
        normalize(image, dtype="float32")
    with pytest.raises(ImageError, match="8 or 16 bits"):
        normalize(image.cast("float"))
    assert normalize(image, bands=1).bands == 1
    assert normalize(image, bands=4).bands == 4
