"""How images become pyramids and proxies."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass

from tfvs.code_digest import code_digest
from tfvs.config import option, option_like, require
from tfvs.images.colour import Scale
from tfvs.images.proxy import ProxyRecipe
from tfvs.images.reading import MAX_PIXELS
from tfvs.images.tiff.pyramid import PyramidOptions

DEFAULT_SPLITS = {"train": 8, "eval": 1, "test": 1}
NUM_SHARDS = 4  # record files per split
MAX_REJECTED = 0.01  # fraction of the listed images that may be refused
DECODERS = ("subprocess", "direct")
# What writes a pyramid's bytes: its code is part of every pyramid's name.
CONVERTER = "tfvs.preparation.convert"
# Fields that no command sets: levels are pages here, and the data say what proxies are made from.
NOT_FLAGS = ("subifd", "proxy_source")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _ends(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(":"))


@dataclass(frozen=True)
class PrepareOptions(PyramidOptions):
    """How images become pyramids and proxies: the options of the pyramids, and these.

    Where ``compression`` is ``"jpeg"``, samples become uint8 whatever ``dtype`` leaves open.
    """

    proxy: ProxyRecipe = option(
        ProxyRecipe,
        "The proxy's recipe. The records' manifest holds it, with the source that the data set turned out to have.",
    )
    keep_pyramids: bool = option(
        True,
        "Whether images that are such pyramids already are copied tile by tile, which keeps the size and encoding of "
        "their tiles. Their pixels must be what conversion would give.",
    )
    page: int | None = option(
        None, "Directory of a TIFF, from 0; without it the largest image that is no reduced copy.", at_least=0
    )
    channels: tuple[int, ...] | None = option(
        None,
        "Up to 4 bands of a TIFF, from 1, as 3,2,1; where each page holds one band, pages. Without it colour or grey.",
        at_least=1,
        least_items=1,
        parse=_numbers,
    )
    scale: tuple[float, float] | None = option(
        None,
        "LOW:HIGH, the numbers that become black and white: for floats and signed numbers, which are refused without "
        "it, and for fewer bits than the samples are kept in.",
        parse=_ends,
    )
    nodata: float | None = option_like(Scale, "nodata")
    fill: int = option_like(Scale, "fill")
    max_side_px: int | None = option(
        None, "Longer side, pixels, that larger images are reduced to; 2528 in the paper's FiveK.", at_least=1
    )
    max_pixels: int = option(
        MAX_PIXELS,
        "Most pixels of an image that is decoded; slides and pyramids, which are never decoded whole, may have more.",
        at_least=1,
    )
    decoder: str = option(
        "subprocess",
        "Where images are decoded: in a process of its own, where a crash in native code costs that image alone, or "
        "directly in the worker.",
        choices=DECODERS,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.compression != "jpeg" or (self.dtype != "uint16" and self.bands in (None, 1, 3)),
            "JPEG tiles hold 8 bits and 1 or 3 bands",
            expected="compression='deflate'",
            received=self.compression,
        )
        require(
            self.channels is None or len(self.channels) <= 4,
            "These channels cannot be chosen",
            expected="1 to 4 bands",
            received=self.channels,
        )
        require(
            self.scale is not None or (self.nodata is None and self.fill == 0),
            "nodata and fill are parts of a scale",
            expected="scale=(low, high)",
            received=(self.nodata, self.fill),
        )
        _ = self.levels_of(None)  # checks the scale

    @property
    def pyramid(self) -> PyramidOptions:
        """The pyramid writer's options."""
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(PyramidOptions)}
        return PyramidOptions(**{**own, "dtype": self.dtype or ("uint8" if self.compression == "jpeg" else None)})

    def conversion(self) -> list[str]:
        """How images are changed beyond bands, depth and size, in words: all options but those that change no pixel."""
        neutral = {field.name for field in dataclasses.fields(PyramidOptions)}
        neutral |= {"proxy", "keep_pyramids", "max_side_px", "max_pixels", "decoder"}
        values = {field.name: (getattr(self, field.name), field.default) for field in dataclasses.fields(self)}
        return [f"{name}={value}" for name, (value, usual) in values.items() if name not in neutral and value != usual]

    def levels_of(self, nodata: float | None) -> Scale | None:
        """How samples become grey levels; None: they are grey levels.

        Args:
          nodata: What the file says means no data.
        """
        if self.scale is None:
            return None
        low, high = self.scale
        return Scale(low, high, nodata if self.nodata is None else self.nodata, self.fill)

    def pyramid_key(self, sha256: str) -> str:
        """Name of the pyramid of a source file: by its content and by what shapes the pyramid."""
        fields = ("keep_pyramids", "max_side_px", "page", "channels", "scale", "nodata", "fill")
        shaped_by = [code_digest(CONVERTER), sha256, self.pyramid.to_dict(), [getattr(self, name) for name in fields]]
        return hashlib.sha256(json.dumps(shaped_by, sort_keys=True).encode()).hexdigest()[:32]
