"""How many micrometres a pixel of a microscope's TIFF covers, where the file tells."""

from __future__ import annotations

import os
import re

import tifffile

from tfvs.images.tiff.choice import TiffChoice, page_at

_APERIO = re.compile(r"\bMPP\s*=\s*([0-9.]+)")
_OME_SIZE = re.compile(r'\bPhysicalSizeX="([0-9.eE+-]+)"')
_OME_UNIT = re.compile(r'\bPhysicalSizeXUnit="([^"]+)"')
_UNITS = {"nm": 1e-3, "µm": 1.0, "μm": 1.0, "um": 1.0, "mm": 1e3, "cm": 1e4}


def micrometres_per_px(path: str | os.PathLike[str], choice: TiffChoice) -> tuple[float | None, int]:
    """Reads them from Aperio's description or OME-XML; resolutions in tags are mostly those of printers.

    Args:
      path: Path of the TIFF.
      choice: The image that is read.

    Returns:
      Micrometres per pixel, None where the file does not tell, and the longer side of the image in such pixels.
    """
    with tifffile.TiffFile(path) as tiff:
        page = page_at(tiff, choice.pages[0])
        text = str(page_at(tiff, 0).description)[:100_000]
        return _from_description(text), max(page.imagewidth, page.imagelength)


def _from_description(text: str) -> float | None:
    """Micrometres per pixel.

    >>> _from_description("Aperio Image Library v10 |AppMag = 20|MPP = 0.4990")
    0.499
    >>> _from_description('<OME><Pixels PhysicalSizeX="250" PhysicalSizeXUnit="nm"/></OME>')
    0.25
    """
    try:
        if text.startswith("Aperio") and (found := _APERIO.search(text)):
            return float(found[1]) or None
        if "<OME" in text and (found := _OME_SIZE.search(text)):
            unit = _OME_UNIT.search(text)
            factor = 1.0 if unit is None else _UNITS.get(unit[1])
            return None if factor is None else (float(found[1]) * factor or None)
    except ValueError:
        return None
    return None
