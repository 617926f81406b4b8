"""The schema that Examples are validated against: a curated one, or one generated for one's own data."""

from __future__ import annotations

import os
from pathlib import Path

from pipelines.config import PipelineConfig
from tfvs.data.records import INDEX_FIELDS
from tfvs.paths import is_local
from tfvs.viz.files import write_atomically

CURATED = Path(__file__).parent / "schemas"
GENERATED_FILE = "tfvs_schema.pbtxt"
# Features that are no field of the tile index: name, type, and what else their entry says.
_OTHERS = (
    ("image/id", "BYTES", ""),
    ("image/sha256", "BYTES", ""),
    ("proxy/encoded", "BYTES", ""),
    ("pyramid/uri", "BYTES", ""),
)
_DOMAINS = {
    "pyramid/compression": 'string_domain { name: "compression" value: "jpeg" value: "deflate" '
    'value: "deflate_predictor" value: "none" }',
    "pyramid/dtype": 'string_domain { name: "dtype" value: "uint8" value: "uint16" value: "uint16_be" }',
    "image/width": "int_domain { min: 1 }",
    "image/height": "int_domain { min: 1 }",
    "image/bands": "int_domain { min: 1 max: 4 }",
    "pyramid/file_bytes": "int_domain { min: 1 }",
    "pyramid/file_crc32": "int_domain { min: 0 max: 4294967295 }",
    "pyramid/framed": "int_domain { min: 0 max: 1 }",
}


def schema_file(config: PipelineConfig) -> Path:
    """Where a pipeline's schema lies: among the curated ones, else beside the data, else in the
    pipeline's folder on this machine.

    Args:
      config: The pipeline's configuration.
    """
    curated = CURATED / f"{config.name}.pbtxt"
    if curated.is_file():
        return curated
    if not is_local(config.data):
        return config.root / GENERATED_FILE
    data = Path(config.data)
    beside = (data if data.is_dir() else data.parent) / GENERATED_FILE
    return beside if beside.is_file() or os.access(beside.parent, os.W_OK) else config.root / GENERATED_FILE


def ensure_schema(config: PipelineConfig) -> Path:
    """Writes a schema where there is none; one that is there is left as it is, to be mended by its owner.

    Args:
      config: The pipeline's configuration.

    Returns:
      Where it lies.

    Raises:
      ResourceError: It cannot be written.
    """
    path = schema_file(config)
    return path if path.is_file() else write_atomically(path, make_schema(config))


def make_schema(config: PipelineConfig) -> str:
    """A schema for a pipeline's classes and proxies, as text.

    Args:
      config: The pipeline's configuration.
    """
    names = ", ".join(f"{index} {name}" for index, name in enumerate(config.class_names))
    proxy = config.proxy
    head = (
        f"# What every Example of {config.name} must look like: generated once, yours to mend, used from then on.\n"
        f"# Labels: {names}\n"
        f"# Proxies: PNG of {proxy.width} x {proxy.height} pixels, {proxy.channels} channels\n"
    )
    entries = [_entry(name, kind, domain) for name, kind, domain in _OTHERS]
    entries.append(_entry("image/label", "INT", f"int_domain {{ min: 0 max: {len(config.class_names) - 1} }}"))
    for field in INDEX_FIELDS:
        kind = "BYTES" if field.is_string else "INT"
        entries.append(_entry(field.feature, kind, _DOMAINS.get(field.feature, ""), several=field.is_list))
    entries.append(
        'feature {\n  name: "image/micrometres_per_px"\n  type: FLOAT\n  presence { min_count: 0 }\n'
        "  value_count { min: 1 max: 1 }\n}\n"
    )
    return head + "".join(entries)


def _entry(name: str, kind: str, domain: str, *, several: bool = False) -> str:
    count = "min: 1" if several else "min: 1 max: 1"
    lines = [
        "feature {",
        f'  name: "{name}"',
        f"  type: {kind}",
        "  presence { min_fraction: 1.0 min_count: 1 }",
        f"  value_count {{ {count} }}",
        *([f"  {domain}"] if domain else []),
        "}",
    ]
    return "\n".join(lines) + "\n"
