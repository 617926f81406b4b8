"""Beam's options of object storage, ``--s3_endpoint_url`` and its like, for every place that reads and writes files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions, S3Options

from tfvs.storage.objects import use_storage
from tfvs.storage.options import StorageOptions


def use_beam_args(beam_args: Sequence[str]) -> None:
    """Reaches storage from here on as Beam's arguments say; what they leave out, the environment says.

    Args:
      beam_args: Arguments of a Beam pipeline.
    """
    options = PipelineOptions(list(beam_args))
    FileSystems.set_options(options)
    told = options.view_as(S3Options).get_all_options()
    known = {field.name for field in fields(StorageOptions)}
    given = {name: value for name, value in told.items() if name in known and value is not None}
    use_storage(StorageOptions.from_environment().replace(**given))
