"""A deep-zoom viewer of one saccade: an HTML page that needs neither a server nor the network."""

from __future__ import annotations

import base64
import html
import io
import json
import math
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pyvips

from tfvs.errors import ImageError, InputError
from tfvs.images.reading import MAX_PIXELS, normalize, open_image, reason
from tfvs.viz.files import cannot_write, write_atomically
from tfvs.viz.heat import heat_of_places, heat_picture
from tfvs.viz.palette import step_colour, text_colour
from tfvs.viz.saccade import Saccade

TILE_SIZE = 256
HEAT_CELLS = 256
SHOWN_CLASSES = 12
INLINE_BYTES = 12_000_000


def write_viewer(
    path: str | os.PathLike[str],
    image: str | os.PathLike[str] | pyvips.Image,
    saccade: Saccade,
    *,
    samples: np.ndarray | None = None,
    inline_bytes: int = INLINE_BYTES,
    quality: int = 85,
    max_pixels: int = MAX_PIXELS,
) -> Path:
    """Writes the page: the image to zoom into, the boxes in order, crops and probabilities at the side.

    The tiles of a small image lie inside the page; those of a large one in the folder ``<page's stem>_tiles`` beside
    it, which has to move with the page. Both are written whole or not at all.

    Args:
      path: Destination, ``.html``.
      image: The image itself: a pyramid or any file that :func:`tfvs.images.reading.open_image` opens.
      saccade: What the model did; its overview and proxy are not used.
      samples: ``[N, T, 4]`` boxes of N sampled trajectories, shown as a heat of places.
      inline_bytes: The most bytes of tiles that go into the page.
      quality: JPEG quality of the tiles, JPEG.
      max_pixels: Largest width times height of the image, pixels.

    Returns:
      The destination.

    Raises:
      InputError: The sampled boxes have another shape.
      ImageError: The image cannot be read.
      ResourceError: The destination cannot be written.
    """
    if not 1 <= quality <= 100:
        raise InputError("quality is out of range", expected="1 to 100", received=quality)
    if not isinstance(image, pyvips.Image):
        image = open_image(image, max_pixels=max_pixels, random_access=True)
    source = normalize(image, dtype="uint8")
    if source.bands not in (1, 3):
        source = normalize(image, dtype="uint8", bands=3 if source.bands > 2 else 1)
    destination = Path(path)
    data = describe(saccade, (source.height, source.width))
    if samples is not None:
        data |= _describe_samples(np.asarray(samples), source)
    if saccade.posterior_map is not None:
        data |= _describe_posterior(saccade.posterior_map)
    folder = destination.with_name(f"{destination.stem}_tiles")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            dir=destination.parent, prefix=f".{destination.stem}.", suffix=".part"
        ) as work:
            levels = _write_tiles(source, Path(work) / "tiles", quality)
            data |= {"levels": levels, "tileSize": TILE_SIZE}
            tiles = sorted((Path(work) / "tiles_files").rglob("*.jpg"))
            if sum(tile.stat().st_size for tile in tiles) <= inline_bytes:
                data["tiles"] = {f"{tile.parent.name}/{tile.stem}": _data_uri(tile.read_bytes()) for tile in tiles}
                stale: Path | None = folder
            else:
                data["folder"] = quote(folder.name)
                _replace_folder(Path(work) / "tiles_files", folder, Path(work) / "old")
                stale = None
        page = write_atomically(destination, render_page(data))
        if stale is not None and stale.is_dir():
            shutil.rmtree(stale)  # of an earlier, larger page of this name
    except pyvips.Error as error:
        raise ImageError("The image cannot be decoded", received=reason(error)) from error
    except OSError as error:
        raise cannot_write(destination, error) from error
    return page


def _write_tiles(image: pyvips.Image, stem: Path, quality: int) -> list[dict[str, int]]:
    """Writes ``<stem>_files/<level>/<column>_<row>.jpg``; level 0 is one tile, the last one the image itself."""
    image.dzsave(
        str(stem), layout="dz", suffix=f".jpg[Q={quality},strip]", overlap=0, tile_size=TILE_SIZE, depth="onetile"
    )
    count = sum(1 for entry in stem.with_name(f"{stem.name}_files").iterdir() if entry.is_dir())
    (stem.with_name(f"{stem.name}_files") / "vips-properties.xml").unlink(missing_ok=True)
    halvings = range(count - 1, -1, -1)
    return [{"width": math.ceil(image.width / 2**n), "height": math.ceil(image.height / 2**n)} for n in halvings]


def _replace_folder(new: Path, folder: Path, old: Path) -> None:
    """Puts a folder in its place; one that is there already is moved out of the way first."""
    if folder.exists():
        os.replace(folder, old)
    os.replace(new, folder)


def describe(saccade: Saccade, image_size: tuple[int, int]) -> dict[str, Any]:
    """What the page says of a saccade, as plain values.

    Args:
      saccade: What the model did.
      image_size: Height and width of the image, pixels; boxes are given in them.
    """
    height, width = image_size
    predicted = saccade.predicted if saccade.predicted is not None else 0
    name = saccade.class_names[predicted]
    if saccade.true is None:
        answer = f"predicted {name}"
    elif saccade.right:
        answer = f"✓ right: {name}"
    else:
        answer = f"✗ wrong: {name}, truly {saccade.class_names[saccade.true]}"
    facts = f"{width:,} × {height:,} px".replace(",", "\u202f")
    if saccade.entropy is not None:
        facts += f", entropy {saccade.entropy:.2f} nats"
    scale = np.array([height, width, height, width], np.float64)
    steps = []
    for step, (box, crop) in enumerate(zip(saccade.boxes * scale, saccade.crops, strict=True)):
        side = f"{box[3] - box[1]:.0f} × {box[2] - box[0]:.0f} px"
        kl = "" if saccade.kl is None else f"KL {saccade.kl[step]:.2f} nats\n"
        evidence = f"{words}\n" if (words := saccade.evidence_words(step)) else ""
        colour = step_colour(step)
        steps.append(
            {
                "box": [round(float(edge), 3) for edge in box],
                "colour": colour,
                "on": text_colour(colour),
                "crop": _data_uri(_png(crop), "image/png"),
                "caption": evidence + kl + side,
            }
        )
    classes = [
        {
            "name": ("true: " if index == saccade.true != predicted else "") + saccade.class_names[index],
            "probability": float(saccade.probabilities[index]),
            "mark": _mark(index, predicted, saccade),
        }
        for index in saccade.top_classes(SHOWN_CLASSES)
    ]
    return {
        "title": saccade.title or "Saccade", "answer": answer, "right": saccade.right, "facts": facts,
        "width": width, "height": height, "steps": steps, "classes": classes,
    }  # fmt: skip


def _mark(index: int, predicted: int, saccade: Saccade) -> str:
    if index == predicted:
        return "wrong" if saccade.right is False else "right"
    return "right" if index == saccade.true else ""


def _describe_samples(samples: np.ndarray, image: pyvips.Image) -> dict[str, Any]:
    scale = HEAT_CELLS / max(image.height, image.width)
    cells = (max(round(image.height * scale), 1), max(round(image.width * scale), 1))
    heat = heat_of_places(samples, cells)
    facts = f"{len(samples)} sampled trajectories; the hottest place is seen by {100 * heat.max():.0f} % of them"
    return {"heat": _data_uri(_png(heat_picture(heat)), "image/png"), "heatFacts": facts}


def _describe_posterior(posterior_map: np.ndarray) -> dict[str, Any]:
    rows, columns = posterior_map.shape
    facts = f"{columns} × {rows} cells; the likeliest is looked at first with probability {posterior_map.max():.3f}"
    return {"posterior": _data_uri(_png(heat_picture(posterior_map)), "image/png"), "posteriorFacts": facts}


def render_page(data: dict[str, Any]) -> str:
    """The page around its data; nothing in the data is taken for markup or script."""
    here = Path(__file__).parent
    page = (here / "viewer.html").read_text(encoding="utf-8")
    script = (here / "viewer.js").read_text(encoding="utf-8")
    encoded = json.dumps(data, ensure_ascii=False, sort_keys=True, allow_nan=False)
    for character in "<>&\u2028\u2029":
        encoded = encoded.replace(character, f"\\u{ord(character):04x}")
    head, rest = page.split("{{title}}")
    middle, rest = rest.split("{{data}}")
    tail, end = rest.split("{{script}}")
    return "".join([head, html.escape(data["title"]), middle, encoded, tail, script, end])


def _png(pixels: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def _data_uri(content: bytes, kind: str = "image/jpeg") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
