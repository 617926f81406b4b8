"""Another way to reach the storage, as an option of a command would set it."""

from pathlib import Path
from typing import Any

from tfvs.preparation import files
from tfvs.storage.objects import use_storage
from tfvs.storage.options import StorageOptions


def upload_below(folder: Path, uri: str) -> None:
    """Copies all files below a folder to object storage."""
    for path in folder.rglob("*"):
        if path.is_file():
            files.upload(str(path), f"{uri}/{path.relative_to(folder)}")


def reach(**options: Any) -> None:
    """Sets options of :class:`StorageOptions` over those of the environment."""
    use_storage(StorageOptions.from_environment().replace(**options))
