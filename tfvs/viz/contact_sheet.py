"""A sheet of proxies with the sizes of looks drawn to scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tfvs.viz.charts import chart
from tfvs.viz.palette import INK, step_colour

COLUMNS = 4
TITLE_CHARACTERS = 34


class Thumbnail(NamedTuple):
    """One image of the sheet.

    Attributes:
      proxy: ``[h, w, c]`` uint8, c is 1 or 3.
      size: Height and width of the image, pixels.
      title: Above it.
      look_sides: Sides of looks, pixels of the image.
    """

    proxy: np.ndarray
    size: tuple[int, int]
    title: str
    look_sides: Sequence[float]


def contact_sheet(thumbnails: Sequence[Thumbnail]) -> bytes:
    """PNG of proxies in the proportions of their images, with squares of the looks' sizes around the middle.

    Args:
      thumbnails: At least one.
    """
    from matplotlib.patches import Rectangle

    rows = -(-len(thumbnails) // COLUMNS)
    with chart(11.0, 2.6 * rows) as (figure, pictures):
        for place, thumbnail in enumerate(thumbnails):
            axes = figure.add_subplot(rows, COLUMNS, place + 1)
            height, width = thumbnail.size
            pixels = np.repeat(thumbnail.proxy, 3, axis=-1) if thumbnail.proxy.shape[-1] == 1 else thumbnail.proxy
            axes.imshow(pixels, extent=(0, width, height, 0), interpolation="nearest")
            for step, side in enumerate(thumbnail.look_sides):
                corner = ((width - side) / 2, (height - side) / 2)
                axes.add_patch(Rectangle(corner, side, side, fill=False, linewidth=1.5, edgecolor=step_colour(step)))
            title = thumbnail.title
            shown = title if len(title) <= TITLE_CHARACTERS else f"{title[: TITLE_CHARACTERS - 1]}…"
            axes.set_title(shown, fontsize=7.5, loc="left", color=INK, parse_math=False)
            axes.set_xticks([0, width])
            axes.set_yticks([0, height])
            axes.grid(False)
            axes.tick_params(length=2, labelsize=6.5)
    return pictures[0]
