"""Names of the files and folders of a prepared data set; records lie as TFX lays them out."""

from __future__ import annotations

RECORDS = "records"
PYRAMIDS = "pyramids"
MANIFEST = "manifest.json"  # in the folder of the records, beside the folders of the splits
SPLIT_PREFIX = "Split-"


def split_folder(split: str) -> str:
    """Name of the folder that holds one split, relative to the folder of the records.

    >>> split_folder("train")
    'Split-train'
    """
    return SPLIT_PREFIX + split
