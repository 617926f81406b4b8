"""Camera raw files through LibRaw, which libvips' wheels cannot read: ``pip install tfvs[raw]``."""

from __future__ import annotations

import pyvips

from tfvs.errors import ImageError, ResourceError
from tfvs.images.reading import MAX_PIXELS, check_size

SUFFIXES = (".dng", ".nef", ".nrw", ".cr2", ".cr3", ".arw", ".sr2", ".orf", ".rw2", ".raf", ".pef", ".srw")


def is_raw(path: str) -> bool:
    """Whether a file is a camera raw file, by its name."""
    return path.lower().endswith(SUFFIXES)


def open_raw(path: str, max_pixels: int = MAX_PIXELS) -> pyvips.Image:
    """Develops a raw file with the camera's white balance to upright 8-bit sRGB, whole in memory.

    Args:
      path: Path of the file.
      max_pixels: Largest width times height.

    Raises:
      ImageError: It is damaged, too large, or no raw file.
      ResourceError: rawpy is not installed.
    """
    try:
        import rawpy
    except ImportError as error:
        raise ResourceError(
            "Camera raw files need rawpy, which is not installed", received=path, mend="pip install 'tfvs[raw]'"
        ) from error
    try:
        with rawpy.imread(path) as opened:
            check_size(opened.sizes.width, opened.sizes.height, max_pixels=max_pixels, name=path)
            pixels = opened.postprocess(use_camera_wb=True, output_bps=8)
    except rawpy.LibRawError as error:
        raise ImageError("The raw file cannot be developed", received=f"{path}: {error}") from error
    return pyvips.Image.new_from_array(pixels, interpretation="srgb")
