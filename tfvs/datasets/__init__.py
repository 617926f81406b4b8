"""Datasets: one's own images for Keras, generators of the paper's data and readers of public data sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfvs.datasets.image_dataset import image_dataset_from_dataframe, image_dataset_from_directory

__all__ = ["image_dataset_from_dataframe", "image_dataset_from_directory"]


def __getattr__(name: str) -> Any:
    """Imports what is asked for when it is asked for: preparation imports modules of this package too."""
    if name in __all__:
        from tfvs.datasets import image_dataset

        return getattr(image_dataset, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
