"""Run by test_hosts on each of two hosts: trains from records and tiles; the last line printed is JSON."""

import functools
import json
import sys
from pathlib import Path

import tfvs
from tests.models.conftest import SMALL
from tfvs.data.dataset import read_manifest, split_files
from tfvs.errors import one_sentence
from tfvs.training.records import fit_records
from tfvs.training.trainer import TrainConfig

EPOCHS = 4


def main(prepared: Path, folder: str, batch: int) -> None:
    files = split_files(prepared / "r", "train")
    proxy = read_manifest(files).proxy

    def make(dtype: str | None) -> tfvs.VariationalSaccader:
        fields = {**SMALL, "num_classes": 2, "pyramid_roots": (str(prepared / "p"),)}
        model = tfvs.VariationalSaccader(**fields, dtype=dtype)
        model.build({"proxy": (None, *proxy.shape), "image": (None, None, None, 1)})
        return model

    config = TrainConfig(epochs=EPOCHS, batch_size=batch, warmup_steps=2, learning_rate=3e-3)
    _, history = fit_records(
        make, files, [], proxy, 2, config, folder=folder, write=functools.partial(print, flush=True)
    )
    print(json.dumps({"history": history}))


if __name__ == "__main__":
    with one_sentence():
        main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
