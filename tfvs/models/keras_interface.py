"""How Keras trains, asks and exports a saccader: data of pyramids, several devices, XLA, and what a data set told."""

from __future__ import annotations

import os
from typing import Any

import keras
import tensorflow as tf

from tfvs.config import require
from tfvs.data.image_set import ImageSet
from tfvs.errors import ConfigError
from tfvs.models import exporting, pixels
from tfvs.models.image_classifier import ImageClassifier
from tfvs.models.pixels import IMAGE
from tfvs.models.saccader_config import SaccaderConfig
from tfvs.models.saccader_output import SaccaderOutput
from tfvs.ops.tracing import as_written


class KerasInterface(ImageClassifier):
    """The part of :class:`tfvs.VariationalSaccader` that Keras' own methods go through.

    Args:
      config: Configuration of the saccader.
      image_set: What the images are that it is trained on, or None; see :class:`tfvs.VariationalSaccader`.
      **kwargs: Those of :class:`keras.Model`.
    """

    def __init__(
        self, config: SaccaderConfig, *, image_set: ImageSet | dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.image_set = ImageSet.from_dict(image_set) if isinstance(image_set, dict) else image_set
        self.jit_compile = False  # until compile() says otherwise; Keras asks for XLA wherever there is a GPU

    @property
    def num_classes(self) -> int:
        """K."""
        return self.config.num_classes

    def compile(self, *args: Any, jit_compile: bool | str = "auto", **kwargs: Any) -> None:
        """As :meth:`keras.Model.compile`, without a loss.

        Args:
          *args: Arguments of :meth:`keras.Model.compile`.
          jit_compile: True compiles the steps by XLA, which works on dense images alone; ``"auto"`` does not, since
            XLA has no operation that reads tiles.
          **kwargs: Arguments of :meth:`keras.Model.compile`.

        Raises:
          ConfigError: A loss.
        """
        super().compile(*args, jit_compile=jit_compile is True, **kwargs)

    def _take_image_set(self, x: Any) -> None:
        """Remembers what a dataset says of its images, and reads pyramids where it has them."""
        told = getattr(x, "image_set", None)
        if told is None or told == self.image_set:
            return
        require(
            len(told.class_names) == self.config.num_classes,
            "The data have another number of classes than the model",
            expected=f"num_classes={len(told.class_names)}: {', '.join(told.class_names[:20])}",
            received=f"num_classes={self.config.num_classes}",
        )
        self.image_set = told
        if tuple(told.roots) != self.config.pyramid_roots:
            self.config = self.config.replace(pyramid_roots=tuple(told.roots))
            self.train_function = self.test_function = self.predict_function = None  # They were made for other roots.

    def export(
        self, filepath: str | os.PathLike[str], format: str = exporting.FORMAT, verbose: Any = None, **options: Any
    ) -> str:
        """Writes a SavedModel with the signatures of :mod:`tfvs.export`, for TensorFlow Serving and ``tfvs``.

        Args:
          filepath: Its folder; for a server ``base/1``.
          format: ``"tf_saved_model"``, as in Keras.
          verbose: Whether to say where it is.
          **options: Arguments of :func:`tfvs.export.saving.export_saved_model`; those that a dataset of
            :func:`tfvs.datasets.image_dataset_from_directory` told are known.

        Returns:
          The folder.

        Raises:
          InputError: The model is not built, or its images are not known and not described.
          ConfigError: Another format.
        """
        path = exporting.export(self, filepath, format, options)
        if verbose:
            print(f"Saved artifact at '{path}'.")
        return path

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """As :meth:`keras.Model.fit`; strings among the inputs may go to several devices."""
        self._take_image_set(x)
        if "validation_data" in kwargs:
            kwargs["validation_data"] = self._transportable(kwargs["validation_data"])
        return super().fit(self._transportable(x), *args, **kwargs)

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As :meth:`keras.Model.evaluate`; strings among the inputs may go to several devices."""
        self._take_image_set(x)
        return super().evaluate(self._transportable(x), *args, **kwargs)

    def predict(self, x: Any = None, *args: Any, **kwargs: Any) -> SaccaderOutput:
        """As :meth:`keras.Model.predict`; a :class:`SaccaderOutput` of NumPy arrays."""
        self._take_image_set(x)
        return _whole(super().predict(x, *args, **kwargs))

    def predict_on_batch(self, x: Any) -> SaccaderOutput:
        """As :meth:`keras.Model.predict_on_batch`; a :class:`SaccaderOutput` of NumPy arrays."""
        return _whole(super().predict_on_batch(x))

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """As :meth:`keras.Model.train_step`."""
        self._check_xla(data)
        return super().train_step(data)

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """As :meth:`keras.Model.test_step`."""
        self._check_xla(data)
        return super().test_step(data)

    def _check_xla(self, data: Any) -> None:
        inputs = keras.utils.unpack_x_y_sample_weight(data)[0]
        if self.jit_compile and IMAGE not in inputs:
            raise ConfigError(
                "XLA cannot read the tiles of pyramids",
                expected='compile(jit_compile=False), or "auto", which is the same',
                received="compile(jit_compile=True)",
            )

    def predict_step(self, data: Any) -> dict[str, tf.Tensor]:
        """What Keras gathers over batches: the outputs that this model has."""
        self._check_xla(data)
        return {name: value for name, value in super().predict_step(data)._asdict().items() if value is not None}

    @as_written
    def _transportable(self, x: Any) -> Any:
        """Strings packed as bytes where there are several devices: every kind of device can hold those."""
        if self.distribute_strategy.num_replicas_in_sync == 1 or not isinstance(x, tf.data.Dataset):
            return x
        return x.map(lambda inputs, *rest: (pixels.pack_features(inputs), *rest))


def _whole(found: dict[str, Any]) -> SaccaderOutput:
    """What Keras gathered, with None for the outputs that the model does not have."""
    return SaccaderOutput(**{**dict.fromkeys(SaccaderOutput._fields), **found})
