"""How images become pyramids and proxies."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass

from components.code_digest import code_digest
from tfvs.config import option, require
from tfvs.images.proxy import ProxyRecipe
from tfvs.images.reading import MAX_PIXELS
from tfvs.images.tiff.pyramid import PyramidOptions

DEFAULT_SPLITS = {"train": 8, "eval": 1, "test": 1}
NUM_SHARDS = 4  # record files per split
MAX_REJECTED = 0.01  # fraction of the listed images that may be refused
DECODERS = ("subprocess", "direct")
# What writes a pyramid's bytes: its code is part of every pyramid's name.
CONVERTER = "components.convert"
# Fields that no command sets: levels are pages here, and the data say what proxies are made from.
NOT_FLAGS = ("subifd", "proxy_source")


@dataclass(frozen=True)
class PrepareOptions(PyramidOptions):
    """How images become pyramids and proxies: the options of the pyramids, and these.

    Where ``compression`` is ``"jpeg"``, samples become uint8 whatever ``dtype`` leaves open.

    Attributes:
      proxy: The proxy's recipe. The records' manifest holds it, with the source that the data set turned out to have.
    """

    proxy: ProxyRecipe = dataclasses.field(default_factory=ProxyRecipe)
    keep_pyramids: bool = option(
        True,
        "Copy images that are such pyramids already tile by tile: their tiles keep their size and encoding. Their "
        "pixels must be what conversion would give.",
    )
    max_side_px: int | None = option(
        None, "Reduce images with a longer side to it; the paper's FiveK: 2528.", at_least=1
    )
    max_pixels: int = option(MAX_PIXELS, "Refuse images with more pixels.", at_least=1)
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

    def pyramid_key(self, sha256: str) -> str:
        """Name of the pyramid of a source file: by its content and by what shapes the pyramid."""
        shaped_by = [code_digest(CONVERTER), sha256, self.pyramid.to_dict(), self.keep_pyramids, self.max_side_px]
        return hashlib.sha256(json.dumps(shaped_by, sort_keys=True).encode()).hexdigest()[:32]
