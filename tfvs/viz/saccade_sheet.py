"""Saccade sheets: one row per image, with where the model looked, what it saw there and what it made of it (PNG)."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfvs.errors import InputError
from tfvs.viz.files import write_atomically
from tfvs.viz.heat import heat_picture
from tfvs.viz.page import BADGE, Page
from tfvs.viz.palette import FAINT, INK, OTHER, RIGHT, RULE, TRACK, WRONG, step_colour
from tfvs.viz.saccade import Saccade

__all__ = ["Saccade", "write_saccade_sheet"]

# Everything is laid out in inches, so that text and boxes look the same whatever the number of rows.
MARGIN = 0.30
GAP = 0.28
IMAGE_WIDTH, PROXY_WIDTH, CROPS_WIDTH, BARS_WIDTH = 4.0, 1.5, 4.7, 2.5
PAGE_WIDTH = 2 * MARGIN + IMAGE_WIDTH + PROXY_WIDTH + CROPS_WIDTH + BARS_WIDTH + 3 * GAP
TITLE_HEIGHT, BODY_HEIGHT, ROW_GAP, HEADING_HEIGHT = 0.40, 3.0, 0.26, 0.42
CAPTION_HEIGHT = 0.25
CROP_GAP = 0.10
MAX_ROWS = 200


def write_saccade_sheet(
    path: str | os.PathLike[str],
    saccades: Sequence[Saccade],
    *,
    heading: str = "",
    top_classes: int = 5,
    dots_per_inch: int = 110,
) -> Path:
    """Writes a sheet: a row per image with its numbered places, the proxy, the crops and the top probabilities.

    The same saccades give the same bytes; the file appears whole or not at all.

    Args:
      path: Destination, PNG.
      saccades: One row each, at least one and at most 200.
      heading: A line above all rows.
      top_classes: How many classes to show; the predicted and the true one are always among them.
      dots_per_inch: Resolution; 110 gives sheets 1550 pixels wide.

    Returns:
      The destination.

    Raises:
      InputError: No saccade, too many, or a count that makes no sense.
      ResourceError: The destination cannot be written.
    """
    if not 1 <= len(saccades) <= MAX_ROWS:
        raise InputError("A sheet holds another number of rows", expected=f"1 to {MAX_ROWS}", received=len(saccades))
    if top_classes < 1 or dots_per_inch < 20:
        raise InputError(
            "The sheet cannot be drawn", expected="top_classes >= 1, dots_per_inch >= 20",
            received=f"top_classes={top_classes}, dots_per_inch={dots_per_inch}",
        )  # fmt: skip
    return write_atomically(path, render_saccade_sheet(saccades, heading, top_classes, dots_per_inch))


def render_saccade_sheet(saccades: Sequence[Saccade], heading: str, top_classes: int, dots_per_inch: int) -> bytes:
    """The sheet as PNG bytes; see :func:`write_saccade_sheet`."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    row_heights = [TITLE_HEIGHT + _body_height(saccade, top_classes) + ROW_GAP for saccade in saccades]
    top = HEADING_HEIGHT if heading else 0.0
    height = 2 * MARGIN - ROW_GAP + top + sum(row_heights)
    style = {"font.family": ["DejaVu Sans"], "font.size": 9.0, "text.color": INK, "text.parse_math": False}
    buffer = io.BytesIO()
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, "backend": "agg", **style}):
        figure = Figure(figsize=(PAGE_WIDTH, height), dpi=dots_per_inch, facecolor="white")
        FigureCanvasAgg(figure)
        page = Page(figure, PAGE_WIDTH, height)
        if heading:
            page.text(MARGIN, MARGIN + 0.12, page.fit(heading, PAGE_WIDTH - 2 * MARGIN, 13, "bold"), 13, weight="bold")
        y = MARGIN + top
        for row, (saccade, row_height) in enumerate(zip(saccades, row_heights, strict=True)):
            if row:
                page.rectangle(MARGIN, y - ROW_GAP / 2, PAGE_WIDTH - 2 * MARGIN, 0.01, RULE)
            _draw_row(page, saccade, y, top_classes)
            y += row_height
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _fit_size(pixels: np.ndarray, width: float, height: float) -> tuple[float, float]:
    """Width and height, inches, of an image shown as large as its place allows."""
    scale = min(width / pixels.shape[1], height / pixels.shape[0])
    return max(pixels.shape[1] * scale, 0.02), max(pixels.shape[0] * scale, 0.02)


def _body_height(saccade: Saccade, top_classes: int) -> float:
    """Inches that a row needs below its title: what the highest of its four parts takes."""
    columns, side = crop_grid(saccade.num_steps, CROPS_WIDTH, BODY_HEIGHT)
    crops = -(-saccade.num_steps // columns) * (side + CAPTION_HEIGHT + CROP_GAP) - CROP_GAP
    pictures = [(saccade.overview, IMAGE_WIDTH), (saccade.proxy, PROXY_WIDTH)]
    heights = [_fit_size(pixels, width, BODY_HEIGHT - CAPTION_HEIGHT)[1] + CAPTION_HEIGHT for pixels, width in pictures]
    pitch = _bar_pitch(saccade, top_classes)
    bars = len(saccade.top_classes(top_classes)) * pitch + (CAPTION_HEIGHT if saccade.entropy is not None else 0.0)
    return max(crops, bars, *heights)


def _bar_pitch(saccade: Saccade, top_classes: int) -> float:
    """Inches from one class to the next."""
    foot = CAPTION_HEIGHT if saccade.entropy is not None else 0.0
    return min((BODY_HEIGHT - foot) / len(saccade.top_classes(top_classes)), 0.46)


def _draw_row(page: Page, saccade: Saccade, y: float, top_classes: int) -> None:
    _draw_title(page, saccade, y)
    y += TITLE_HEIGHT
    x = MARGIN
    width, height = _fit_size(saccade.overview, IMAGE_WIDTH, BODY_HEIGHT - CAPTION_HEIGHT)
    left = x + (IMAGE_WIDTH - width) / 2
    _draw_places(page, saccade.overview, saccade.boxes, left, y, width, height, numbered=True)
    size = saccade.image_size
    caption = "image" if size is None else f"image, {size[1]:,} × {size[0]:,} px".replace(",", "\u202f")
    page.text(x + IMAGE_WIDTH / 2, y + height + 0.13, caption, 8, ha="center", color=FAINT)

    x += IMAGE_WIDTH + GAP
    width, height = _fit_size(saccade.proxy, PROXY_WIDTH, BODY_HEIGHT - CAPTION_HEIGHT)
    left = x + (PROXY_WIDTH - width) / 2
    _draw_places(page, saccade.proxy, saccade.boxes, left, y, width, height, numbered=False)
    caption = f"proxy, {saccade.proxy.shape[1]} × {saccade.proxy.shape[0]} px"
    if saccade.posterior_map is not None:
        page.overlay(heat_picture(saccade.posterior_map), left, y, width, height)
        caption = f"{caption}, where to look"
    page.text(x + PROXY_WIDTH / 2, y + height + 0.13, caption, 8, ha="center", color=FAINT)

    _draw_crops(page, saccade, x + PROXY_WIDTH + GAP, y)
    _draw_bars(page, saccade, PAGE_WIDTH - MARGIN - BARS_WIDTH, y, top_classes)


def _draw_title(page: Page, saccade: Saccade, y: float) -> None:
    """The title, and at the right the answer: in words and by a mark, so not by colour alone."""
    assert saccade.predicted is not None  # filled in by Saccade
    predicted = saccade.class_names[saccade.predicted]
    if saccade.true is None:
        answer, colour = f"predicted {predicted}", INK
    elif saccade.right:
        answer, colour = f"✓ right: {predicted}", RIGHT
    else:
        answer, colour = f"✗ wrong: {predicted}, truly {saccade.class_names[saccade.true]}", WRONG
    half = (PAGE_WIDTH - 2 * MARGIN) / 2
    page.text(MARGIN, y + 0.12, page.fit(saccade.title, half - GAP, 11, "bold"), 11, weight="bold")
    answer = page.fit(answer, half, 11, "bold")
    page.text(PAGE_WIDTH - MARGIN, y + 0.12, answer, 11, ha="right", weight="bold", color=colour)


def _draw_places(
    page: Page, pixels: np.ndarray, boxes: np.ndarray, x: float, y: float, width: float, height: float, numbered: bool
) -> None:
    """An image with its boxes; a line joins their centres in the order of the steps."""
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import Normal, Stroke

    axes = page.picture(pixels, x, y, width, height)
    line = 2.0 if numbered else 1.2
    halo = [Stroke(linewidth=line + 1.6, foreground="#000000", alpha=0.65), Normal()]
    centres = np.stack([boxes[:, [1, 3]].mean(axis=1), boxes[:, [0, 2]].mean(axis=1)], axis=-1)
    if len(boxes) > 1:
        thin = [Stroke(linewidth=line + 0.6, foreground="#000000", alpha=0.55), Normal()]
        axes.plot(*centres.T, color="white", linewidth=line * 0.6, path_effects=thin, solid_joinstyle="round")
    for step, (y0, x0, y1, x1) in enumerate(boxes):
        axes.add_patch(
            Rectangle(
                (x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=step_colour(step), linewidth=line,
                joinstyle="miter", path_effects=halo,
            )
        )  # fmt: skip
    axes.set_xlim(0, 1)
    axes.set_ylim(1, 0)
    if numbered:
        inches = boxes * np.array([height, width, height, width])
        for step, (left, top) in enumerate(_badge_places(inches, width, height)):
            page.badge(x + left, y + top, step)


def _badge_places(boxes: np.ndarray, width: float, height: float) -> list[tuple[float, float]]:
    """Where the boxes' numbers go: at a corner of the box, inside the image, and not on another number.

    Args:
      boxes: ``[T, 4]``, inches.
      width: Width of the image, inches.
      height: Height of the image, inches.
    """
    taken: list[tuple[float, float]] = []
    for y0, x0, y1, x1 in boxes:
        outside = [(x0, y0 - BADGE), (x1, y0), (x1 - BADGE, y1), (x0 - BADGE, y1 - BADGE)]
        inside = [(x0, y0), (x1 - BADGE, y0), (x0, y1 - BADGE), (x1 - BADGE, y1 - BADGE)]
        further = [(x0 + k * BADGE, y0 - BADGE) for k in range(1, 9)] + [(x0, y1 + k * BADGE) for k in range(9)]
        roomy = min(y1 - y0, x1 - x0) > 2.5 * BADGE
        candidates = [*(inside if roomy else outside), *(outside if roomy else inside), *further]
        places = [
            (min(max(left, 0.0), max(width - BADGE, 0.0)), min(max(top, 0.0), max(height - BADGE, 0.0)))
            for left, top in candidates
        ]
        taken.append(next((place for place in places if not _collides(place, taken)), places[0]))
    return taken


def _collides(place: tuple[float, float], taken: Sequence[tuple[float, float]]) -> bool:
    return any(abs(place[0] - x) < BADGE and abs(place[1] - y) < BADGE for x, y in taken)


def crop_grid(count: int, width: float, height: float) -> tuple[int, float]:
    """Columns and side, inches, of ``count`` squares with captions; as large as they fit, in few rows.

    Args:
      count: How many squares.
      width: Width of their place, inches.
      height: Height of their place, inches.
    """
    best = (count, 0.0)
    for rows in range(1, count + 1):
        columns = -(-count // rows)
        across = (width - (columns - 1) * CROP_GAP) / columns
        down = (height - (rows - 1) * CROP_GAP) / rows - CAPTION_HEIGHT
        side = min(across, down)
        if side > best[1] * 1.15:
            best = (columns, side)
    return best


def _draw_crops(page: Page, saccade: Saccade, x: float, y: float) -> None:
    columns, side = crop_grid(saccade.num_steps, CROPS_WIDTH, BODY_HEIGHT)
    small = side < 1.0
    for step, crop in enumerate(saccade.crops):
        left = x + (step % columns) * (side + CROP_GAP)
        top = y + (step // columns) * (side + CAPTION_HEIGHT + CROP_GAP)
        page.picture(crop, left, top, side, side)
        page.rectangle(left, top, side, side, "none", edge=step_colour(step), line=2.4)
        page.badge(left, top, step)
        caption = saccade.evidence_words(step)
        if caption:  # it says more than the divergence does
            caption = page.fit(caption.replace(" nats for", " for") if small else caption, side + CROP_GAP, 8)
        elif saccade.kl is not None:
            caption = f"KL {saccade.kl[step]:.2f}" if small else f"KL {saccade.kl[step]:.2f} nats"
        if caption:
            page.text(left + side / 2, top + side + 0.13, caption, 8, ha="center", color=FAINT)


def _draw_bars(page: Page, saccade: Saccade, x: float, y: float, top_classes: int) -> None:
    """The top probabilities; each name stands above its bar, so that it has the whole width."""
    shown = saccade.top_classes(top_classes)
    pitch = _bar_pitch(saccade, top_classes)
    small = pitch < 0.34
    size = 7.5 if small else 9.5
    for place, index in enumerate(shown):
        top = y + place * pitch
        probability = float(saccade.probabilities[index])
        colour, mark = OTHER, ""
        if index == saccade.predicted:
            colour = WRONG if saccade.right is False else RIGHT
            mark = {True: "✓ ", False: "✗ ", None: ""}[saccade.right]
        elif index == saccade.true:
            colour, mark = RIGHT, "true: "
        strong = colour != OTHER
        weight = "bold" if strong else "normal"
        ink = colour if strong else INK
        percent = f"{100 * probability:.1f}\u202f%"
        room = BARS_WIDTH - page.text_width(percent, size, weight) - 0.1
        page.text(x, top + 0.08, page.fit(mark + saccade.class_names[index], room, size, weight), size, weight=weight,
                  color=ink)  # fmt: skip
        page.text(x + BARS_WIDTH, top + 0.08, percent, size, ha="right", weight=weight, color=ink)
        bar = min(0.13, pitch * 0.28)
        page.rectangle(x, top + min(0.20, pitch * 0.6), BARS_WIDTH, bar, TRACK)
        page.rectangle(x, top + min(0.20, pitch * 0.6), BARS_WIDTH * min(probability, 1.0), bar, colour)
    if saccade.entropy is not None:
        caption = f"entropy {saccade.entropy:.2f} nats"
        page.text(x, y + len(shown) * pitch + 0.10, caption, 8, color=FAINT)
