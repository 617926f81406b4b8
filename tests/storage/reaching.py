"""Another way to reach the storage, as an option of a command would set it."""

from typing import Any

from tfvs.storage.objects import use_storage
from tfvs.storage.options import StorageOptions


def reach(**options: Any) -> None:
    """Sets options of :class:`StorageOptions` over those of the environment."""
    use_storage(StorageOptions.from_environment().replace(**options))
