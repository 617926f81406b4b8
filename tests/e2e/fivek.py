"""A small folder in FiveK's real layout: the annotation's JSON files, and photographs beside them."""

import json
import os
from pathlib import Path

import numpy as np
from PIL import Image

from tfvs.datasets.adobe5k import ANNOTATION_FILES, CLASS_NAMES

# Enough to tell the subjects apart by colour, and far enough from a photograph's own balance.
COLOURS = np.array([[210, 60, 50], [60, 190, 70], [70, 90, 220], [210, 190, 50], [170, 60, 190], [60, 190, 190]])
SIZES = ((240, 360), (360, 240), (300, 300))


def write_fivek(root: Path, counts: dict[str, int]) -> Path:
    """Writes the folder.

    With ``TFVS_TEST_DATA`` the annotation is FiveK's own and its real photographs are among the others; without, both
    are made.

    Args:
      root: The new folder.
      counts: Split → made photographs of each subject.
    """
    photos = root / "photos"
    photos.mkdir(parents=True)
    given = Path(os.environ.get("TFVS_TEST_DATA", "")) / "fivek"
    real = given if os.environ.get("TFVS_TEST_DATA") and given.is_dir() else None
    for split, file in ANNOTATION_FILES.items():
        entries = json.loads((real / file).read_text()) if real else make_annotation(split, counts[split] + 3)
        (root / file).write_text(json.dumps(entries))
        for label, subject in enumerate(CLASS_NAMES):
            names = [name for name, entry in entries.items() if entry["categories"]["subject"] == subject]
            for number, name in enumerate(names[: counts[split]]):
                write_photograph(photos / f"{name}_C.jpg", label, seed=1000 * number + label)
    for photograph in sorted((real / "photos").glob("*.jpg")) if real else []:
        (photos / photograph.name).unlink(missing_ok=True)
        (photos / photograph.name).symlink_to(photograph)
    return root


def make_annotation(split: str, of_each: int) -> dict[str, dict]:
    """Entries as the public annotation has them."""
    return {
        f"a{1000 * label + number:04d}-{split}": {
            "urls": {"dng": f"http://example.org/{split}-{label}-{number}.dng"},
            "categories": {"location": "outdoor", "time": "day", "light": "sun_sky", "subject": subject},
        }
        for label, subject in enumerate(CLASS_NAMES)
        for number in range(of_each)
    }


def write_photograph(path: Path, label: int, *, seed: int) -> None:
    """A photograph whose colour says its subject."""
    rng = np.random.default_rng(seed)
    height, width = SIZES[seed % len(SIZES)]
    noise = rng.integers(-40, 40, size=(height // 8, width // 8, 3)).repeat(8, axis=0).repeat(8, axis=1)
    Image.fromarray(np.clip(COLOURS[label] + noise, 0, 255).astype(np.uint8)).save(path, quality=90)
