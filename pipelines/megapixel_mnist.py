"""Five small digits among scribbles on a large canvas; the class is the digit that is there three times.

tfx pipeline create --engine local --pipeline_path pipelines/megapixel_mnist.py
tfx run create --engine local --pipeline_name megapixel_mnist

The canvases are a sixth of those of ``python -m benchmarks.megapixel``, as crowded, so that a run takes minutes.
"""

from pipelines.config import PipelineConfig, load_config, model_fields
from pipelines.local_runner import run
from tfvs.datasets.megapixel_mnist import MegapixelConfig
from tfvs.images.proxy import ProxyRecipe
from tfvs.models.presets import PRESETS

SIDE_PX, CROP_PX, PROXY_PX = 600, 50, 72
CANVASES = MegapixelConfig(height=SIDE_PX, width=SIDE_PX, num_noise=8)
COUNTS = {"train": 2000, "eval": 200, "test": 400}
MODEL = PRESETS["small_things"].replace(
    num_steps=8,
    crop_size=CROP_PX,
    min_scale=CROP_PX / SIDE_PX,
    max_scale=CROP_PX / SIDE_PX,
    cells=(PROXY_PX // 2, PROXY_PX // 2),
)

DEFAULT = PipelineConfig(
    name="megapixel_mnist",
    data="runs/data/megapixel_mnist",
    reader="manifest",
    class_names=CANVASES.class_names,
    proxy=ProxyRecipe(height=PROXY_PX, width=PROXY_PX),
    tile_size=64,
    model=model_fields(MODEL),
    train={"epochs": 12, "batch_size": 32, "learning_rate": 1e-3, "clip_norm": 5.0},
)

if __name__ == "__main__":
    run(load_config(DEFAULT))
