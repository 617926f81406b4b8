"""Beam transforms and TFX components: from raw images to records of proxies and tile indices."""

from components.beam_files import BeamFiles
from tfvs.preparation.files import use_others

use_others(BeamFiles())
