"""A check of the installation: versions, devices, memory, disk, image formats and optional packages."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from tfvs.version import __version__

MINIMUM_FREE_GB = 5.0
MINIMUM_MEMORY_GB = 4.0
# Optional packages: module, distribution, what needs it, how to install it.
EXTRAS = (
    ("tensorflow_serving", "tensorflow-serving-api", "tfvs serve and tfvs predict", "pip install 'tfvs[serving]'"),
    ("apache_beam", "apache-beam", "preparing data on several workers", "pip install 'tfvs[tfx]'"),
    ("tfx", "tfx", "TFX pipelines", "pip install 'tfvs[tfx]'"),
    ("obstore", "obstore", "data in s3:// and gs://", "pip install 'tfvs[s3]'"),
    ("tensorflow_io", "tensorflow-io", "TFX pipelines in s3://", "pip install 'tfvs[tfx-s3]'"),
    ("openslide", "openslide-python", "whole slides (SVS, NDPI, MRXS)", "pip install 'tfvs[slides]'"),
    ("rawpy", "rawpy", "camera raw files (DNG, NEF, CR2, ARW)", "pip install 'tfvs[raw]'"),
    ("imagecodecs", "imagecodecs", "TIFF tiles in JPEG 2000, ZSTD, LERC, JPEG XL", "pip install imagecodecs"),
)
FORMATS = ("jpeg", "png", "tiff", "webp", "heif", "gif")


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
      name: What was looked at.
      found: What was found, in words.
      state: ``"ok"``; ``"missing"``: something optional is not there; ``"bad"``: something needed is not there.
      mend: What to do about it; empty where there is nothing to do.
    """

    name: str
    found: str
    state: str = "ok"
    mend: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def examine(folder: str | os.PathLike[str] = ".") -> Iterator[Check]:
    """Looks at everything that tfvs needs or can use.

    Args:
      folder: The folder whose disk is looked at.

    Yields:
      The checks, in a fixed order.
    """
    yield Check("tfvs", f"{__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    for distribution in ("tensorflow", "keras", "tensorflow-probability", "numpy", "pyvips"):
        yield _version(distribution)
    yield _devices()
    yield _memory()
    yield _disk(folder)
    yield _formats()
    for module, distribution, purpose, mend in EXTRAS:
        if importlib.util.find_spec(module) is None:
            yield Check(distribution, f"not installed; needed for {purpose}", "missing", mend)
        else:
            yield _version(distribution)


def _version(distribution: str) -> Check:
    try:
        return Check(distribution, importlib.metadata.version(distribution))
    except importlib.metadata.PackageNotFoundError:
        if distribution == "tensorflow":  # it is published under other names as well
            import tensorflow as tf

            return Check(distribution, tf.__version__)
        return Check(distribution, "installed without metadata, so its version is unknown")


def _devices() -> Check:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        names = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
        return Check("devices", f"{len(gpus)} GPU: {', '.join(names)}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if shutil.which("nvidia-smi"):
        return Check(
            "devices",
            f"{cores} CPU cores; nvidia-smi is installed, but TensorFlow sees no GPU",
            "missing",
            "pip install 'tfvs[cuda]', and check that nvidia-smi lists the GPU",
        )
    return Check("devices", f"{cores} CPU cores, no GPU")


def _memory() -> Check:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return Check("memory", "unknown on this system")
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    if total < MINIMUM_MEMORY_GB:
        return Check("memory", f"{total:.1f} GB", "missing", f"Training needs about {MINIMUM_MEMORY_GB:.0f} GB")
    return Check("memory", f"{total:.1f} GB")


def _disk(folder: str | os.PathLike[str]) -> Check:
    free = shutil.disk_usage(folder).free / 1e9
    if free < MINIMUM_FREE_GB:
        mend = f"Pyramids take about as much space as the images; make at least {MINIMUM_FREE_GB:.0f} GB free"
        return Check("disk", f"{free:.1f} GB free in {os.path.abspath(folder)}", "missing", mend)
    return Check("disk", f"{free:.1f} GB free in {os.path.abspath(folder)}")


def _formats() -> Check:
    import pyvips

    version = ".".join(str(pyvips.version(part)) for part in range(3))
    readable = [name for name in FORMATS if pyvips.type_find("VipsOperation", f"{name}load")]
    needed = {"jpeg", "png", "tiff"} - set(readable)
    found = f"{version}, reads {', '.join(readable)}"
    if needed:
        mend = f"Install a libvips with {', '.join(sorted(needed))}: pip install 'pyvips[binary]'"
        return Check("libvips", found, "bad", mend)
    return Check("libvips", found)
