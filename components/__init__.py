"""Beam transforms and TFX components: from raw images to records of proxies and tile indices."""

from components import without_tensorflow

without_tensorflow.defer()

from components.beam_files import BeamFiles  # noqa: E402
from tfvs.preparation.files import use_others  # noqa: E402

use_others(BeamFiles())
