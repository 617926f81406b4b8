"""MIT-Adobe FiveK: what is this photograph of? (The paper's experiment on real photographs, six classes.)

tfx run create --engine local --pipeline pipelines/adobe5k.py     with TFVS_DATA=/path/to/fivek
"""

from pipelines.config import PipelineConfig, load_config
from pipelines.local_runner import run
from tfvs.datasets.adobe5k import CLASS_NAMES, PAPER_SIDE_PX
from tfvs.images.proxy import ProxyRecipe

DEFAULT = PipelineConfig(
    name="adobe5k",
    data="runs/data/fivek",
    reader="fivek",
    class_names=CLASS_NAMES,
    proxy=ProxyRecipe(height=64, width=64, channels=3),
    image_bands=3,
    tile_size=256,
    compression="jpeg",
    max_side_px=PAPER_SIDE_PX,
    model={"num_steps": 4, "crop_size": 64, "min_scale": 0.1, "max_scale": 0.8},
    train={"epochs": 30, "batch_size": 32, "zoom_from": 0.8, "zoom_to": 0.4, "balance_classes": True},
    minimum_accuracy=0.45,
)

if __name__ == "__main__":
    run(load_config(DEFAULT))
