"""Images of one's own: a folder per class, or a manifest that names images and classes.

TFVS_DATA=/path/to/images tfx run create --engine local --pipeline pipelines/my_images.py
make run PIPELINE=my_images DATA=/path/to/images

Classes come from the data. Model, proxy and training are derived from the images' headers, as ``tfvs train`` derives
them; TFVS_OBJECT_PX says how large the thing is that tells the classes apart, where that is known. Other fields can
be set as for the other pipelines.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from pipelines.config import PipelineConfig, load_config, model_fields
from pipelines.local_runner import run
from tfvs.errors import ConfigError, DataError
from tfvs.preparation import files
from tfvs.preparation.options import DEFAULT_SPLITS, PrepareOptions
from tfvs.preparation.readers import make_reader
from tfvs.training.own_folder import read_facts
from tfvs.training.plan import make_plan

DATA, READER, OBJECT_PX = "TFVS_DATA", "TFVS_READER", "TFVS_OBJECT_PX"


def configure(environ: Mapping[str, str] = os.environ) -> PipelineConfig:
    """The configuration for the data that the environment names.

    Args:
      environ: ``TFVS_DATA``, and optionally ``TFVS_READER``, ``TFVS_OBJECT_PX`` and fields of the configuration.

    Raises:
      DataError: There are no data, or none that can be trained on.
      ConfigError: A value that cannot work.
    """
    data, reader_name = environ.get(DATA, ""), environ.get(READER, "auto")
    if not data or not files.exists(data):
        raise DataError("There are no images", expected=f"{DATA}=/path/to/images", received=data or "nothing")
    try:
        object_px = float(environ[OBJECT_PX]) if OBJECT_PX in environ else None
    except ValueError as error:
        raise ConfigError("A size is a number of pixels", expected=f"{OBJECT_PX}=100", received=error) from error
    options = PrepareOptions(compression="jpeg")
    facts = read_facts(make_reader(reader_name, data), object_px, options, DEFAULT_SPLITS)
    plan = make_plan(facts)
    default = PipelineConfig(
        name="my_images",
        data=data,
        reader=reader_name,
        class_names=tuple(facts.class_names),
        proxy=plan.proxy,
        image_bands=facts.bands,
        tile_size=256,
        compression=options.compression,
        model=model_fields(plan.model),
        train=plan.train.changed(),
        minimum_accuracy=max(0.5, round(1.2 / len(facts.class_names), 3)),
    )
    return load_config(default, environ)


if __name__ == "__main__":
    run(configure)
