"""Handwritten digits on large, cluttered canvases, square and not: found on the proxy, read in the crops.

tfx pipeline create --engine local --pipeline_path pipelines/two_digit_mnist.py
tfx run create --engine local --pipeline_name two_digit_mnist
"""

from pipelines.config import PipelineConfig, load_config
from pipelines.local_runner import run
from tfvs.datasets.two_digit_mnist import TwoDigitConfig
from tfvs.images.proxy import ProxyRecipe

CANVASES = TwoDigitConfig(
    task="one", canvas_sizes=((480, 640), (640, 480), (512, 512)), digit_px=128, num_distractors=8
)
COUNTS = {"train": 4000, "eval": 256, "test": 512}

DEFAULT = PipelineConfig(
    name="two_digit_mnist",
    data="runs/data/two_digit_mnist",
    reader="manifest",
    class_names=CANVASES.class_names,
    proxy=ProxyRecipe(height=24, width=24),
    model={"num_steps": 2, "crop_size": 32, "min_scale": 0.25, "max_scale": 0.7, "posterior_stddev": 0.08},
    train={
        "epochs": 16,
        "batch_size": 32,
        "learning_rate": 1e-3,
        "zoom_from": 0.7,
        "zoom_to": 0.45,
        "zoom_start": 0.1,
        "zoom_stop": 0.6,
    },
)

if __name__ == "__main__":
    run(load_config(DEFAULT))
