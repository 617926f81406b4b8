"""A page with a model's scores, its confusion matrix, its calibration and sheets of right and wrong answers."""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Sequence
from html import escape
from pathlib import Path

from tfvs.evaluation.scores import Scores, Share
from tfvs.viz import charts
from tfvs.viz.files import write_atomically
from tfvs.viz.saccade import Saccade
from tfvs.viz.saccade_sheet import write_saccade_sheet

_STYLE = """
body { margin: 0 auto; max-width: 1100px; padding: 24px; color: #1b1f24;
       font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
table { border-collapse: collapse; font-size: 14px; } td, th { padding: 3px 16px 3px 0; text-align: left; }
th { color: #6b7280; border-bottom: 1px solid #dfe3e8; } img { max-width: 100%; }
.faint { color: #6b7280; }
"""


def write_page(
    path: str | os.PathLike[str],
    scores: Scores,
    class_names: Sequence[str],
    *,
    title: str,
    right: Sequence[Saccade] = (),
    wrong: Sequence[Saccade] = (),
) -> Path:
    """Writes one HTML file that needs no other file and no network.

    Args:
      path: Destination, ``.html``.
      scores: The scores.
      class_names: K names.
      title: Heading of the page.
      right: Right answers to show.
      wrong: Wrong answers to show.

    Returns:
      The destination.

    Raises:
      ResourceError: The destination cannot be written.
    """
    calibration = scores.calibration
    parts = [
        f"<h1>{escape(title)}</h1>",
        _table(
            ("", "share", "95 % interval", "images"),
            [
                ("accuracy", *_cells(scores.accuracy)),
                ("balanced accuracy", *_cells(scores.balanced_accuracy)),
                *[(name, *_cells(value)) for name, value in scores.by_size.items()],
            ],
        ),
        f'<p class="faint">Always naming the most frequent class gives {100 * scores.majority:.1f} %. '
        f"{scores.unreadable} images could not be read.</p>",
        "<h2>By class</h2>",
        _table(
            ("class", "recall", "95 % interval", "images", "precision", "95 % interval", "predictions"),
            [
                (name, *_cells(recall), *_cells(precision))
                for name, recall, precision in zip(class_names, scores.recall, scores.precision, strict=True)
            ],
        ),
        "<h2>Confusion matrix</h2>",
        _picture(charts.confusion_figure(scores.confusion.astype(float), class_names), "Confusion matrix", 700),
        "<h2>Calibration</h2>",
        _picture(charts.calibration_figure(calibration.stated, calibration.observed, calibration.counts), "Plot", 420),
        f'<p class="faint">Expected calibration error {calibration.error:.4f}, over {escape(calibration.what)}.</p>',
    ]
    for heading, saccades in (("Right answers", right), ("Wrong answers", wrong)):
        if saccades:
            parts += [f"<h2>{heading}</h2>", _picture(_sheet(saccades), f"Saccade sheet: {heading.lower()}", 1100)]
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    body = "\n".join(parts)
    return write_atomically(
        path, f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'
    )


def _cells(value: Share) -> tuple[str, str, str]:
    if not value.cases:
        return "–", "–", "0"
    return f"{100 * value.value:.1f} %", f"{100 * value.low:.1f} to {100 * value.high:.1f}", f"{value.cases:,}"


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return "<table>" + row(heading, "th") + "".join(row(cells, "td") for cells in rows) + "</table>"


def _picture(png: bytes, alt: str, width_px: int) -> str:
    data = base64.b64encode(png).decode()
    return f'<img src="data:image/png;base64,{data}" width="{width_px}" alt="{escape(alt)}">'


def _sheet(saccades: Sequence[Saccade]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write_saccade_sheet(Path(folder) / "sheet.png", saccades).read_bytes()
