"""What an exported model is: its proxies' recipe, its crops, its classes and its limits, as JSON beside the graph.

The asset ``model.json`` holds it, and the signature ``locate`` answers it, so that a client makes proxies and cuts
crops as the model's training set had them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from tfvs.config import Config, option, require
from tfvs.errors import DataError
from tfvs.images.colour import BANDS, DTYPES
from tfvs.images.proxy import ProxyRecipe
from tfvs.preparation import files

DESCRIPTION_FILE = "model.json"
MAX_IMAGE_PX = 4096 * 4096
DESCRIPTION_OUTPUT = "description"  # name of the output of the signature locate, [B] string
# A sixth signature, of models whose proxies cannot be made from the images alone.
IMAGES_WITH_PROXIES = "predict_images_with_proxies"


@dataclass(frozen=True)
class ModelDescription(Config):
    """What a client or a server must know of an exported saccader."""

    proxy: ProxyRecipe = option(help="The recipe of the proxies.")
    class_names: tuple[str, ...] = option(help="Names of the classes, in the order of the logits.")
    num_steps: int = option(help="Number of crops per trajectory: T looks, each at every scale.", at_least=1)
    num_samples: int = option(help="N, number of trajectories that are averaged.", at_least=1)
    crop_size: int = option(help="S, side of a crop, pixels.", at_least=1)
    margin_px: int = option(help="Pixels around a box that its crop may read.", at_least=0)
    min_scale: float = option(help="Smallest side of a crop as a fraction of the image's shorter side.", above=0)
    bands: int = option(help="Bands of the crops, and of the image before its proxy is made.", choices=BANDS)
    temperature: float = option(
        1.0, "What logits are divided by before they become probabilities, see tfvs.evaluation.temperature.", above=0
    )
    dtype: str | None = option(None, "Depth that images were brought to; null: they kept their own.", choices=DTYPES)
    max_level: int | None = option(
        None, "Coarsest pyramid level that crops are read from; null: the level of each crop's scale.", at_least=0
    )
    max_side_px: int | None = option(
        None, "Longer side, pixels, that larger images were reduced to; null: none were.", at_least=1
    )
    conversion: tuple[str, ...] = option((), "Other ways in which images were changed before their proxies were made.")
    max_image_px: int = option(
        MAX_IMAGE_PX, "Largest width times height of an image for predict_images, pixels.", at_least=1
    )
    max_batch: int = option(4096, "Largest batch of any signature.", at_least=1)
    max_images: int = option(128, "Largest batch of predict_images.", at_least=1)

    def obstacle(self, *, proxy_given: bool = False) -> str:
        """Why this model cannot take an image that was not prepared; empty where it can.

        Args:
          proxy_given: Whether the proxy comes with the image.
        """
        if self.conversion:
            changed = ", ".join(self.conversion)
            return f"the model's images were changed before ({changed}): prepare the image, and send its pyramid"
        return "" if proxy_given else self.proxy.obstacle()

    def __post_init__(self) -> None:
        super().__post_init__()
        names = self.class_names
        require(
            len(set(names)) == len(names) >= 2, "The class names do not fit", expected="different names", received=names
        )
        require(
            all(name and "\n" not in name for name in names),
            "A class name is empty or has a line break",
            expected="one line each",
            received=names,
        )


def read_description(model_dir: str | os.PathLike[str]) -> ModelDescription:
    """Reads the description of an exported model.

    Args:
      model_dir: SavedModel.

    Raises:
      DataError: The folder holds no model that was exported by this version of tfvs.
    """
    path = files.join(os.fspath(model_dir), "assets", DESCRIPTION_FILE)
    try:
        return ModelDescription.from_json(files.read(path).decode())
    except (OSError, ValueError) as error:
        raise DataError(
            "The folder holds no exported saccader",
            expected=path,
            received=f"{type(error).__name__}: {error}",
            mend="Give the folder of a SavedModel that tfvs exported",
        ) from error
