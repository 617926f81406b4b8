"""What the saccader and its baselines share: logits in, a weighted loss out."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfvs.errors import ConfigError, InputError
from tfvs.models import checks, given
from tfvs.models.freezing import freeze_new_parts, freeze_parts, frozen_parts, parts

FROZEN = "frozen"  # key of a model's configuration: paths of the layers that are not trained
Shapes = dict[str, tuple[int | None, ...]]


class ImageClassifier(keras.Model, metaclass=abc.ABCMeta):
    """A Keras model whose outputs are a NamedTuple with ``logits [B, K]``; compile it without a loss.

    One trainer and one evaluator serve every subclass: the loss is its own, metrics see the logits, and
    ``sample_weight`` is honoured in both. Images that the output marks as not ``valid`` count in no term and no metric.
    Layers that are frozen stay so in a ``.keras`` file. A subclass has ``num_classes`` and :meth:`build_parts`.
    """

    _frozen: tuple[str, ...] | None = None  # what a file says is frozen, until the model is built

    def build(self, input_shape: Mapping[str, Any]) -> None:
        """Creates all variables.

        Args:
          input_shape: Shape of each input.

        Raises:
          InputError: Shapes that cannot work.
        """
        if not isinstance(input_shape, Mapping):
            raise InputError(
                "The model cannot be built", expected=f"the shapes of {given.EXPECTED}", received=input_shape
            )
        shapes = {name: tuple(shape) for name, shape in input_shape.items()}
        self.check_shapes(shapes)
        known = {id(layer) for _, layer in parts(self)}
        self.build_parts(shapes)
        freeze_new_parts(self, known)
        if self._frozen is not None:
            freeze_parts(self, self._frozen)
            self._frozen = None

    @abc.abstractmethod
    def build_parts(self, shapes: Shapes) -> None:
        """Creates the variables of all layers.

        Args:
          shapes: Shape of each input.
        """

    def check_shapes(self, shapes: Shapes) -> None:
        """Checks the shapes of the inputs, before the model is built and in each call; subclasses have checks to make.

        Args:
          shapes: Shape of each input.

        Raises:
          InputError: A shape that cannot work, or an input that is missing.
        """

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """As :meth:`keras.Model.__call__`; the inputs are checked first.

        Args:
          inputs: The inputs, a dict. There may be no images, then every output has no rows.
          *args: Further arguments of ``call``.
          **kwargs: Further arguments of ``call``.

        Raises:
          InputError: Inputs that cannot be used.
          tf.errors.InvalidArgumentError: While training, pixels that are not finite or not in [0, 1].
        """
        given.check_inputs(inputs)
        self.check_shapes({name: tuple(value.shape) for name, value in inputs.items()})
        if any(isinstance(value, keras.KerasTensor) for value in inputs.values()):
            return super().__call__(inputs, *args, **kwargs)
        inputs, count = given.at_least_one_row(inputs, known_only=self.jit_compile)
        if kwargs.get("training") is True:
            inputs = checks.demand_pixels(inputs)
        outputs = super().__call__(inputs, *args, **kwargs)
        if count is None:
            return outputs
        return tf.nest.map_structure(lambda value: None if value is None else value[:count], outputs)

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """As :meth:`keras.Model.fit`; ``x`` is checked first."""
        given.check_data(x)
        if self._distribute_strategy is None:  # Keras does so itself on several devices
            self._make_variables(given.input_shapes(x))
        return super().fit(x, *args, **kwargs)

    def _make_variables(self, shapes: Shapes | None) -> None:
        """Those of the model, the optimizer and the metrics, as far as they are not there and can be made.

        Keras leaves them to the trace of the first step, after which TensorFlow traces the whole step a second time.
        """
        if not self.built and shapes:
            self.build(shapes)
        if not self.built or not self.compiled:
            return
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        if self._compile_metrics is not None and not self._compile_metrics.built:
            self._compile_metrics.build(tf.zeros([1], tf.int32), tf.zeros([1, self.num_classes]))

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As :meth:`keras.Model.evaluate`; ``x`` is checked first."""
        given.check_data(x)
        return super().evaluate(x, *args, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """As :meth:`keras.Model.predict`; ``x`` is checked first."""
        given.check_data(x)
        return super().predict(x, *args, **kwargs)

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Keras averages the first batch over the devices to learn its shapes, and fails where one has no image of it.

        All shapes but the number of images are alike on every device, so that those of the first device will do.
        """
        if iterator is not None and self.distribute_strategy.num_replicas_in_sync > 1:
            local = self.distribute_strategy.experimental_local_results
            for _, _, batches in iterator:
                data_batch = tf.nest.map_structure(lambda value: local(value)[0], next(batches))
                break
            iterator = None
        super()._maybe_symbolic_build(iterator=iterator, data_batch=data_batch)

    def save(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """As :meth:`keras.Model.save`, in Keras' own format.

        Raises:
          InputError: A path of HDF5, which cannot hold the state of this model.
        """
        if str(filepath).endswith((".h5", ".hdf5")):
            raise InputError(
                "A model of tfvs is not saved as HDF5",
                expected="a path that ends in .keras; save_weights takes .weights.h5",
                received=filepath,
                mend='Use model.save("model.keras"), or tfvs.export.saving.export_saved_model to serve it',
            )
        super().save(filepath, *args, **kwargs)

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Builds a model that is loaded; unlike Keras' own method it hides no error."""
        self.build(config["input_shape"])

    def compile(self, optimizer: Any = "rmsprop", loss: Any = None, loss_weights: Any = None, **options: Any) -> None:
        """As :meth:`keras.Model.compile`, without a loss.

        Args:
          optimizer: The optimizer.
          loss: Must be None: the model has its own.
          loss_weights: Must be None, likewise.
          **options: Other arguments of :meth:`keras.Model.compile`.

        Raises:
          ConfigError: A loss.
        """
        for name, value in (("loss", loss), ("loss_weights", loss_weights)):
            if value is not None:
                raise ConfigError(
                    f"{type(self).__name__} has a loss of its own",
                    expected=f"compile without {name}",
                    received=f"{name}={value!r}",
                    mend="Leave it out; a saccader weights its terms by classification_weight, reconstruction_weight "
                    "and kl_weight",
                )
        super().compile(optimizer, **options)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a model that is loaded, with the state of its optimizer."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    def loss_per_image(self, labels: tf.Tensor, outputs: Any, weights: tf.Tensor) -> tf.Tensor:
        """Cross-entropy; subclasses add their terms.

        Args:
          labels: ``[B]`` int32 class indices.
          outputs: What ``call`` gave.
          weights: ``[B]`` float32, for metrics of terms.

        Returns:
          ``[B]`` float32 nats.
        """
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=outputs.logits)

    def compute_loss(
        self,
        x: Any = None,
        y: tf.Tensor | None = None,
        y_pred: Any = None,
        sample_weight: tf.Tensor | None = None,
        training: bool = True,
    ) -> tf.Tensor:
        """The weighted loss, averaged over the batch.

        A label or weight that cannot be used is an InvalidArgumentError before any weight is changed. XLA leaves errors
        out of a graph: there the loss is NaN, for pixels that cannot be used as well, and no weight is changed either.

        Args:
          x: The inputs; None leaves out the check of their pixels.
          y: ``[B]`` or ``[B, 1]`` class indices, whole numbers from 0 to K − 1.
          y_pred: What ``call`` gave.
          sample_weight: ``[B]`` or ``[B, 1]``, finite and at least 0.
          training: Whether the model trains.

        Returns:
          Scalar float32, divided by the number of replicas as Keras expects.

        Raises:
          InputError: There are no labels, or the shape or dtype of labels or weights cannot be used.
        """
        if y is None or y_pred is None:
            raise InputError(
                "The loss needs labels", expected="[B] class indices", mend="Give a dataset of (inputs, labels)"
            )
        labels, fine = checks.class_indices(y, self.num_classes)
        weights = self._weights(y_pred, sample_weight)
        if sample_weight is not None:
            fine &= checks.weights_are_fine(sample_weight)
            weights = tf.where(tf.math.is_finite(weights), weights, 0.0)  # NaN times a gradient of 0 is NaN
        if training and x is not None:
            fine &= checks.pixels_are_fine(x)
        losses = self.loss_per_image(labels, y_pred, weights)
        # Where the weight is 0 the loss may be anything, NaN included.
        weighted = tf.where(weights > 0.0, losses * weights, tf.zeros_like(losses))
        # Every gradient waits for this choice, and where something is not fine all of them are 0.
        weighted = tf.where(fine, weighted, checks.NOT_A_NUMBER)
        context = tf.distribute.get_replica_context()
        replicas = context.num_replicas_in_sync if context is not None else 1
        size = tf.cast(tf.size(weighted), tf.float32)
        shown = tf.reduce_sum(weighted) / tf.maximum(size, 1.0) / float(replicas)
        if replicas == 1:
            return shown
        # Where the devices' shares differ in size, Keras shows this loss rightly, but the sum of its gradients is not
        # that of the mean over the whole batch. So its value is kept, and the gradient is that of the share in it.
        whole = context.all_reduce(tf.distribute.ReduceOp.SUM, size)
        share = tf.reduce_sum(weighted) / tf.stop_gradient(whole)
        return share + tf.stop_gradient(shown - share)

    def compute_metrics(self, x: Any, y: tf.Tensor, y_pred: Any, sample_weight: tf.Tensor | None = None) -> dict:
        """Metrics see the logits and the weights of the images that could be read.

        Args:
          x: Not used.
          y: ``[B]`` class indices.
          y_pred: What ``call`` gave.
          sample_weight: ``[B]`` float32.

        Returns:
          Name → value.
        """
        seen = (tf.convert_to_tensor(y), y_pred.logits, self._weights(y_pred, sample_weight))
        valid = getattr(y_pred, "valid", None)
        if valid is not None:  # metrics compiled as ``metrics`` know no weights
            seen = tuple(tf.boolean_mask(value, valid) for value in seen)
        return super().compute_metrics(x, *seen)

    def _weights(self, outputs: Any, sample_weight: tf.Tensor | None) -> tf.Tensor:
        valid = getattr(outputs, "valid", None)
        weights = tf.ones_like(outputs.logits[:, 0]) if valid is None else tf.cast(valid, tf.float32)
        if sample_weight is not None:
            weights *= tf.reshape(tf.cast(sample_weight, tf.float32), [-1])
        return weights

    def get_config(self) -> dict[str, Any]:
        """Name, dtype policy, and which layers are frozen."""
        frozen = frozen_parts(self) if self._frozen is None else list(self._frozen)
        return {**super().get_config(), FROZEN: frozen}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The inverse of :meth:`get_config`; weights are random.

        Raises:
          ConfigError: An unknown key.
        """
        model = cls(**{name: value for name, value in config.items() if name != FROZEN})
        model._frozen = tuple(config[FROZEN]) if FROZEN in config else None
        return model
