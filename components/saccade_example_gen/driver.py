"""The driver: it chooses the span, and tells whether the input is that of an earlier run."""

from __future__ import annotations

from typing import Any

from tfx.components.example_gen import driver, utils
from tfx.orchestration import data_types
from tfx.utils import proto_utils

from components.saccade_example_gen import executor
from tfvs.paths import has_pattern, require_literal
from tfvs.preparation.job import fingerprint, root_identity


class Driver(driver.FileBasedDriver):
    """Resolves span and version as TFX does; fingerprints every image that the reader lists, however deep it lies."""

    def resolve_exec_properties(
        self,
        exec_properties: dict[str, Any],
        pipeline_info: data_types.PipelineInfo,
        component_info: data_types.ComponentInfo,
    ) -> dict[str, Any]:
        """Sets the resolved pattern, span, version and fingerprint, which TFX's cache key holds."""
        if has_pattern(exec_properties[executor.INPUT_BASE]):
            resolved = _resolve_literally(exec_properties)
        else:
            resolved = super().resolve_exec_properties(exec_properties, pipeline_info, component_info)
        root = root_identity(resolved[executor.PYRAMID_ROOT])
        listed = fingerprint(executor.reader_of(resolved))
        resolved[utils.FINGERPRINT_PROPERTY_NAME] = f"{listed}, pyramids {root}"
        return resolved


def _resolve_literally(exec_properties: dict[str, Any]) -> dict[str, Any]:
    """Resolves an input whose path a glob would take for a pattern: such an input has no spans.

    Raises:
      ConfigError: The input is to be searched for spans.
    """
    config = executor.EXAMPLE_GEN.Input()
    proto_utils.json_to_proto(exec_properties[executor.INPUT_CONFIG], config)
    if any(has_pattern(split.pattern.rstrip("*")) for split in config.splits):
        require_literal(exec_properties[executor.INPUT_BASE], "The folder above the spans")
    return {**exec_properties, utils.SPAN_PROPERTY_NAME: 0, utils.VERSION_PROPERTY_NAME: None}
