"""What a model must know of the images that it is trained on, to be exported for images like them."""

from __future__ import annotations

from dataclasses import dataclass

from tfvs.config import Config, option
from tfvs.images.proxy import ProxyRecipe


@dataclass(frozen=True)
class ImageSet(Config):
    """What ``image_dataset_from_directory`` tells a model that is fitted to its data."""

    class_names: tuple[str, ...] = option(help="In the order of the labels.")
    roots: tuple[str, ...] = option(help="Folders that the pyramids lie in; the first completes relative paths.")
    proxy: ProxyRecipe = option(ProxyRecipe, "Recipe of the proxies.")
    dtype: str | None = option(None, "Depth that images were brought to; None: they kept their own.")
    max_side_px: int | None = option(None, "Longer side that larger images were reduced to; None: none were.")
    conversion: tuple[str, ...] = option((), "Other ways in which images were changed, in words.")
