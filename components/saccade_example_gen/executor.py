"""The executor: runs the job of :mod:`components.job` and describes its outputs to TFX."""

from __future__ import annotations

import json
import os
from typing import Any

from tfx import types
from tfx.components.example_gen import write_split
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import proto_utils

from components.job import run_job
from components.object_storage import use_beam_args
from tfvs.data.layout import MANIFEST
from tfvs.preparation import files
from tfvs.preparation.job import DEAD_LETTERS, Job
from tfvs.preparation.options import PrepareOptions
from tfvs.preparation.readers import Reader, make_reader

# Protocol buffers' classes are made at import, where type checkers cannot see them.
EXAMPLE_GEN: Any = example_gen_pb2

INPUT_BASE = standard_component_specs.INPUT_BASE_KEY
INPUT_CONFIG = standard_component_specs.INPUT_CONFIG_KEY
RANGE_CONFIG = standard_component_specs.RANGE_CONFIG_KEY
EXAMPLES = standard_component_specs.EXAMPLES_KEY
PYRAMIDS = "pyramids"
READER = "reader"
CLASS_NAMES = "class_names"
OPTIONS = "options"
PYRAMID_ROOT = "pyramid_root"
SPLITS = "splits"
NUM_SHARDS = "num_shards"
MAX_REJECTED = "max_rejected"
CODE = "code"


def reader_of(exec_properties: dict[str, Any]) -> Reader:
    """The reader on the folder that the resolved span lies in."""
    config = EXAMPLE_GEN.Input()
    proto_utils.json_to_proto(exec_properties[INPUT_CONFIG], config)
    base, folder = exec_properties[INPUT_BASE], os.path.dirname(config.splits[0].pattern)
    path = files.join(base, *folder.split("/")) if folder else base
    return make_reader(exec_properties[READER], path, json.loads(exec_properties[CLASS_NAMES]))


class Executor(base_beam_executor.BaseBeamExecutor):
    """Writes Examples by split, and the pyramids' manifest."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs the job.

        Args:
          input_dict: Empty.
          output_dict: ``examples`` and ``pyramids``, one artifact each.
          exec_properties: See the component's spec.

        Raises:
          DataError: Nothing is listed, or images got lost.
          TooManyRejectedError: More images were refused than allowed; they are listed in
            ``<pyramid_root>/rejected.jsonl``, since TFX removes the outputs of an execution that failed.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        examples = artifact_utils.get_single_instance(output_dict[EXAMPLES])
        pyramids = artifact_utils.get_single_instance(output_dict[PYRAMIDS])
        root = exec_properties[PYRAMID_ROOT]
        use_beam_args([str(argument) for argument in self._beam_pipeline_args or ()])
        job = Job(
            reader=reader_of(exec_properties),
            options=PrepareOptions.from_json(exec_properties[OPTIONS]),
            records_root=examples.uri,
            pyramid_root=root,
            splits=json.loads(exec_properties[SPLITS]),
            num_shards=exec_properties[NUM_SHARDS],
            max_rejected=exec_properties[MAX_REJECTED],
            dead_letters=files.join(root, DEAD_LETTERS),
        )
        manifest = run_job(job, self._make_beam_pipeline)
        examples.split_names = artifact_utils.encode_split_names(list(manifest["splits"]))
        examples_utils.set_payload_format(examples, EXAMPLE_GEN.FORMAT_TF_EXAMPLE)
        examples_utils.set_file_format(examples, write_split.to_file_format_str(EXAMPLE_GEN.FORMAT_TFRECORDS_GZIP))
        pyramids.set_string_custom_property("pyramid_root", root)
        pyramids.set_int_custom_property("num_images", manifest["written"])
        with files.atomic_write(files.join(pyramids.uri, MANIFEST)) as file:
            file.write((json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode())
