"""How object storage is reached. What is not set comes from the environment variables that each provider documents."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from tfvs.config import Config, option
from tfvs.errors import ConfigError


@dataclass(frozen=True)
class StorageOptions(Config):
    """Where and how to ask, and what is held here of what was read."""

    s3_endpoint_url: str | None = option(None, "URL of a server that speaks S3; None: AWS_ENDPOINT_URL, else Amazon's.")
    s3_region_name: str | None = option(None, "Region of the buckets; None: AWS_REGION, else that of the profile.")
    gs_endpoint_url: str | None = option(None, "URL of a server that speaks Google's XML API; None: Google's.")
    s3_access_key_id: str | None = field(default=None, repr=False)
    s3_secret_access_key: str | None = field(default=None, repr=False)
    s3_session_token: str | None = field(default=None, repr=False)
    timeout_s: float = option(10.0, "Seconds without a byte after which a request is tried again.", above=0)
    retries: int = option(6, "How often a request that failed is tried again, with growing pauses.", at_least=0)
    concurrent: int = option(320, "Number of requests for tiles at a time, at most.", at_least=10)
    cache_folder: str | None = option(None, "Folder that holds what was read; None: tfvs in the user's cache folder.")
    cache_gb: float = option(10.0, "Size that this folder is kept below, gigabytes.", above=0)

    @classmethod
    def from_environment(cls) -> StorageOptions:
        """Options by the variables TFVS_CACHE_FOLDER, TFVS_CACHE_GB and TFVS_GS_ENDPOINT_URL.

        Raises:
          ConfigError: A value that cannot work.
        """
        given = {
            "cache_folder": os.environ.get("TFVS_CACHE_FOLDER"),
            "gs_endpoint_url": os.environ.get("TFVS_GS_ENDPOINT_URL"),
        }
        values: dict[str, object] = {name: value for name, value in given.items() if value}
        if size := os.environ.get("TFVS_CACHE_GB"):
            try:
                values["cache_gb"] = float(size)
            except ValueError as error:
                raise ConfigError("TFVS_CACHE_GB is no number", expected="gigabytes", received=size) from error
        return cls.from_dict(values)

    @property
    def s3_endpoint(self) -> str | None:
        """URL of the server that speaks S3, of the option or of the environment; None for Amazon's."""
        names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
        return self.s3_endpoint_url or next((os.environ[name] for name in names if os.environ.get(name)), None)

    @property
    def s3_region(self) -> str | None:
        """Region of the option or of the environment."""
        return self.s3_region_name or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")

    @property
    def folder(self) -> Path:
        """The cache's folder."""
        if self.cache_folder is not None:
            return Path(self.cache_folder)
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tfvs"
