"""Images that lie in HDF5 files: each has a URI, ``hdf5://FILE/DATASET/ROW.png``, and is read as a PNG."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

SCHEME = "hdf5://"


def member_uri(path: str, dataset: str, row: int) -> str:
    """The URI of a row of a dataset.

    >>> split_member(member_uri("/data/train.hdf5", "minimap_img", 7))
    ('/data/train.hdf5', 'minimap_img', 7)
    """
    return f"{SCHEME}{path}/{dataset}/{row}.png"


def is_member(uri: str) -> bool:
    """Whether a URI names an image of an HDF5 file."""
    return uri.startswith(SCHEME)


def split_member(uri: str) -> tuple[str, str, int]:
    """File, dataset and row of a URI of :func:`member_uri`."""
    path, dataset, name = uri.removeprefix(SCHEME).rsplit("/", 2)
    return path, dataset, int(name.removesuffix(".png"))


def read_png(uri: str) -> bytes:
    """An image of an HDF5 file as a PNG.

    Raises:
      OSError: There is no such image, or its values are no pixels.
    """
    import h5py
    from PIL import Image

    path, dataset, row = split_member(uri)
    with h5py.File(path, "r") as file:
        try:
            pixels: Any = file[dataset][row]
        except (KeyError, ValueError, IndexError) as error:
            raise OSError(f"{path} has no row {row} of {dataset}: {error}") from error
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3):
        pixels = np.moveaxis(pixels, 0, -1)  # channels come first in the authors' files
    if pixels.ndim != 3 or pixels.shape[-1] not in (1, 3) or pixels.dtype != np.uint8:
        raise OSError(f"Row {row} of {dataset} in {path} is no image of uint8: {pixels.dtype} {pixels.shape}")
    buffer = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels))
    image.save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()
