"""Writing simulated battles: as the authors' list beside images, or as pyramids and records, ready to train on."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyvips
from PIL import Image

from tfvs.config import option, require
from tfvs.data.layout import RECORDS
from tfvs.data.records import ImageRecord
from tfvs.datasets.canvases import dataset_command
from tfvs.datasets.pyramid_records import image_id, pyramid_uri, write_records
from tfvs.datasets.starcraft2.battles import BattleConfig, make_battle
from tfvs.datasets.starcraft2.layout import CLASS_NAMES, LIST, MINIMAP, SCREEN, to_csv
from tfvs.datasets.writing import Entry, encode_jpeg, write_listed
from tfvs.images.proxy import ProxyRecipe, encode_png
from tfvs.images.tiff.pyramid import write_pyramid

IMAGES = "images"
QUALITY = 90  # of the JPEGs and of the pyramids' tiles
TILE_PX = 128


@dataclass(frozen=True)
class SimulationConfig(BattleConfig):
    """What the battles look like, and how they are written."""

    layout: str = option(
        IMAGES,
        "Images and the authors' list of them, for the reader starcraft2; or pyramids and records to train on.",
        choices=(IMAGES, RECORDS),
    )
    workers: int = option(1, "Processes that write pyramids and records.", at_least=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.layout == RECORDS or self.workers == 1,
            "Images are written by one process",
            expected=f"workers=1, or layout={RECORDS!r}",
            received=self.workers,
        )


def write_images(output: str, config: BattleConfig, counts: Mapping[str, int], *, overwrite: bool = False) -> Path:
    """Writes battles for the reader ``starcraft2``: ``predictions.csv``, which says the splits, and the images.

    Args:
      output: Folder; a stopped call goes on there.
      config: Configuration of the battles.
      counts: Battles per split.
      overwrite: Whether to replace a data set of another configuration.

    Returns:
      Path of the list.

    Raises:
      DataError: The folder holds another data set, or no battles are asked for.
      ResourceError: The folder cannot be written to, or the disk is full.
    """

    def entry(split: str, index: int) -> Entry:
        battle = make_battle(config, split, index)
        screen, minimap = f"{split}/{SCREEN}/{index:06d}.jpg", f"{split}/{MINIMAP}/{index:06d}.png"
        row = {SCREEN: screen, MINIMAP: minimap, "split": split, **battle.values}
        return Entry(
            row,
            {
                screen: lambda: encode_jpeg(Image.fromarray(battle.screen), QUALITY),
                minimap: lambda: encode_png(battle.minimap),
            },
        )

    return write_listed(
        output,
        counts,
        entry,
        lambda rows: to_csv(rows, ["split"]),
        list_name=LIST,
        description={"starcraft2": config.to_dict(), "quality": QUALITY},
        class_names=list(CLASS_NAMES),
        overwrite=overwrite,
    )


def write_battle_records(
    output: str, config: BattleConfig, counts: Mapping[str, int], *, workers: int = 1, overwrite: bool = False
) -> Path:
    """Writes battles as pyramids and records whose proxies are the minimaps.

    Args:
      output: Folder; a stopped call goes on there.
      config: Configuration of the battles.
      counts: Battles per split.
      workers: Processes.
      overwrite: Whether to replace a data set of another configuration.

    Returns:
      Path of the description.

    Raises:
      DataError: The folder holds another data set.
    """
    return write_records(
        output,
        counts,
        functools.partial(_make_record, config),
        description={"starcraft2": config.to_dict(), "quality": QUALITY, "tile_size": TILE_PX},
        proxy=recipe(config),
        class_names=CLASS_NAMES,
        overwrite=overwrite,
        workers=workers,
    )


def recipe(config: BattleConfig) -> ProxyRecipe:
    """What the proxies are: the minimaps as they are."""
    side = config.minimap_px
    return ProxyRecipe(height=side, width=side, channels=3, source="other_image")


def _make_record(config: BattleConfig, root: Path, split: str, index: int) -> ImageRecord:
    battle = make_battle(config, split, index)
    uri = pyramid_uri(split, index)
    image = pyvips.Image.new_from_array(battle.screen, interpretation="srgb")
    tile_index = write_pyramid(image, root / uri, tile_size=TILE_PX, quality=QUALITY, bands=3, dtype="uint8")
    return ImageRecord(
        image_id=image_id(split, index),
        label=battle.label,
        sha256=hashlib.sha256(battle.screen.tobytes()).hexdigest(),
        proxy=encode_png(battle.minimap),
        pyramid_uri=uri,
        index=tile_index,
    )


@dataset_command(SimulationConfig, train=20_000, evaluation=1_000, test=2_000)
def simulate(output: str, config: SimulationConfig, counts: dict[str, int], overwrite: bool) -> Path:
    """Writes simulated battles. Goes on where it was stopped."""
    battles = BattleConfig(**{field.name: getattr(config, field.name) for field in dataclasses.fields(BattleConfig)})
    if config.layout == RECORDS:
        return write_battle_records(output, battles, counts, workers=config.workers, overwrite=overwrite)
    return write_images(output, battles, counts, overwrite=overwrite)
