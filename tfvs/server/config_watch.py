"""Looks at the model configuration file from time to time, and serves what it says (``model_config_file_poll_…``)."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tfvs.errors import TfvsError
from tfvs.server.manager import ModelConfig
from tfvs.server.status import LOGGER
from tfvs.server.text_configs import read_models


class ConfigWatch:
    """Applies the model configuration file again when it says something else.

    A file that cannot be read, or names models that cannot be served, is logged once, changes nothing, and is tried
    again at every look.

    Args:
      path: The file.
      poll_seconds: Between two looks.
      applied: What is served now.
      apply: Serves other models from now on; raises TfvsError and changes nothing where that cannot be.
    """

    def __init__(
        self,
        path: str,
        poll_seconds: float,
        applied: list[ModelConfig],
        apply: Callable[[list[ModelConfig]], object],
    ) -> None:
        self._path, self._poll_seconds, self._applied, self._apply = path, poll_seconds, applied, apply
        self._reported = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="model-config", daemon=True)

    def start(self) -> None:
        """Begins to look, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Looks no more; a change that is being applied goes on in its thread."""
        self._stop.set()

    def look(self) -> None:
        """Looks once."""
        try:
            models = read_models(self._path)
            if models == self._applied:
                return
            self._apply(models)
        except TfvsError as error:
            if str(error) != self._reported:
                LOGGER.error("The changed model configuration is not applied; what serves goes on. %s", error)
            self._reported = str(error)
            return
        self._applied, self._reported = models, ""
        LOGGER.info("Serving the models of %s: %s", self._path, ", ".join(model.name for model in models))

    def _watch(self) -> None:
        while not self._stop.wait(self._poll_seconds):
            self.look()
