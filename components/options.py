"""How images become pyramids and proxies."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from components.code_digest import code_digest
from tfvs.config import Config, require
from tfvs.images.reading import MAX_PIXELS
from tfvs.images.tiff.pyramid import PyramidOptions

KERNELS = ("box", "linear", "cubic", "lanczos3")
DECODERS = ("subprocess", "direct")
# What writes a pyramid's bytes: its code is part of every pyramid's name.
CONVERTER = "components.convert"


@dataclass(frozen=True)
class PrepareOptions(Config):
    """How images become pyramids and proxies.

    Attributes:
      proxy_height: Pixels.
      proxy_width: Pixels.
      proxy_channels: 1 (grey) or 3 (colour).
      proxy_kernel: ``"box"``, ``"linear"``, ``"cubic"`` or ``"lanczos3"``, each widened to the step it takes, so that
        nothing aliases: reduces a level of the pyramid, which is a 2 × 2 mean of the one before, to the proxy.
      proxy_keep: Fraction of the proxy's pixels that are kept; the others become black, drawn per image. The paper's
        noise ablation goes down to a few points: ``proxy_keep=0.01``.
      proxy_noise: Standard deviation of Gaussian noise on the proxy, in grey levels of 255.
      bands: 1, 3 or 4 bands of the pyramid; None keeps grey or colour as it is.
      dtype: ``"uint8"`` or ``"uint16"``; None is uint8 for JPEG tiles and keeps the depth otherwise.
      tile_size: Side of a tile, pixels.
      compression: ``"jpeg"``, ``"deflate"`` or ``"none"``.
      quality: JPEG quality.
      predictor: Horizontal differencing before deflate.
      keep_pyramids: Images that are pyramids already, which the graph can read as they are and whose pixels are what
        conversion would give, are copied tile by tile: their tiles keep their size and encoding.
      max_side_px: Images with a longer side are reduced to it (2 528 in the paper); None keeps the full size.
      max_pixels: Largest width times height that is opened at all.
      decoder: ``"subprocess"``: a crash inside a native decoder costs that image, not the worker; ``"direct"``: in
        the worker itself.
    """

    proxy_height: int = 32
    proxy_width: int = 32
    proxy_channels: int = 1
    proxy_kernel: str = "lanczos3"
    proxy_keep: float = 1.0
    proxy_noise: float = 0.0
    bands: int | None = None
    dtype: str | None = None
    tile_size: int = 256
    compression: str = "jpeg"
    quality: int = 90
    predictor: bool = False
    keep_pyramids: bool = True
    max_side_px: int | None = None
    max_pixels: int = MAX_PIXELS
    decoder: str = "subprocess"

    def __post_init__(self) -> None:
        for name in ("proxy_height", "proxy_width"):
            value = getattr(self, name)
            require(1 <= value <= 4096, f"{name} is out of range", expected="1 to 4096 px", received=value)
        require(
            self.proxy_channels in (1, 3),
            "Proxies have no such channels",
            expected="1 or 3",
            received=self.proxy_channels,
        )
        require(self.proxy_kernel in KERNELS, "There is no such kernel", expected=KERNELS, received=self.proxy_kernel)
        require(
            0 < self.proxy_keep <= 1,
            "proxy_keep is out of range",
            expected="above 0, at most 1",
            received=self.proxy_keep,
        )
        require(self.proxy_noise >= 0, "proxy_noise is negative", expected=">= 0", received=self.proxy_noise)
        require(
            self.bands in (None, 1, 3, 4),
            "Pyramids have no such bands",
            expected="1, 3, 4 or None",
            received=self.bands,
        )
        require(
            self.dtype in (None, "uint8", "uint16"),
            "Pyramids have no such dtype",
            expected="'uint8', 'uint16' or None",
            received=self.dtype,
        )
        require(
            self.compression != "jpeg" or (self.dtype != "uint16" and self.bands != 4),
            "JPEG tiles hold 8 bits and 1 or 3 bands",
            expected="compression='deflate'",
            received=self.compression,
        )
        require(
            self.max_side_px is None or self.max_side_px >= 1,
            "max_side_px is out of range",
            expected=">= 1",
            received=self.max_side_px,
        )
        require(self.max_pixels >= 1, "max_pixels is out of range", expected=">= 1", received=self.max_pixels)
        require(self.decoder in DECODERS, "There is no such decoder", expected=DECODERS, received=self.decoder)
        _ = self.pyramid  # checks what is left

    @property
    def pyramid(self) -> PyramidOptions:
        """The pyramid writer's options."""
        return PyramidOptions(
            tile_size=self.tile_size,
            compression=self.compression,
            quality=self.quality,
            predictor=self.predictor,
            bands=self.bands,
            dtype=self.dtype or ("uint8" if self.compression == "jpeg" else None),
        )

    def pyramid_key(self, sha256: str) -> str:
        """Name of the pyramid of a source file: by its content and by what shapes the pyramid."""
        shaped_by = [code_digest(CONVERTER), sha256, self.pyramid.to_dict(), self.keep_pyramids, self.max_side_px]
        return hashlib.sha256(json.dumps(shaped_by, sort_keys=True).encode()).hexdigest()[:32]
