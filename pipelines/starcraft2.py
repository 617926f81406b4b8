"""StarCraft II: how many marines fight in this battle? The proxy is the game's minimap (the paper's third experiment).

tfx pipeline create --engine local --pipeline_path pipelines/starcraft2.py
tfx run create --engine local --pipeline_name starcraft2

Without the game it counts in simulated battles, on screens half as wide as those of ``python -m benchmarks.starcraft2``
and with fewer units, so that a run takes minutes. ``TFVS_DATA`` names recorded battles or the authors' files.
"""

from pipelines.config import PipelineConfig, load_config, model_fields
from pipelines.local_runner import run
from tfvs.datasets.starcraft2.battles import BattleConfig
from tfvs.datasets.starcraft2.layout import CLASS_NAMES
from tfvs.datasets.starcraft2.simulate import recipe
from tfvs.models.presets import PRESETS

CANVASES = BattleConfig(side=512, most_units=8)
COUNTS = {"train": 4000, "eval": 300, "test": 600}
# Half as many pixels per look, as the screens have half as many, and one convolution less; a tile of 64 holds a look
# with its margin.
SCALE = 60 / CANVASES.side
MODEL = PRESETS["counting"].replace(
    num_steps=12,
    crop_size=60,
    min_scale=SCALE,
    max_scale=SCALE,
    crop_filters=(16, 32, 64, 64),
    crop_strides=(2, 2, 2, 2),
)

DEFAULT = PipelineConfig(
    name="starcraft2",
    data="runs/data/starcraft2",
    reader="starcraft2",
    class_names=CLASS_NAMES,
    proxy=recipe(CANVASES).replace(source="image"),  # the records' manifest says what it was made from
    image_bands=3,
    tile_size=64,
    compression="jpeg",
    model=model_fields(MODEL),
    train={"reading_epochs": 3, "epochs": 6, "batch_size": 32, "learning_rate": 1e-3, "clip_norm": 5.0},
    minimum_accuracy=0.1,
    minimum_per_class=0,  # counts that no battle of the training has
    counts=True,
)

if __name__ == "__main__":
    run(load_config(DEFAULT))
