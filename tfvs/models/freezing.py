"""Which parts of a model are trained: layers by their place in it, so that a file can keep what was frozen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

import keras

from tfvs.errors import ConfigError


def parts(model: keras.Model) -> Iterator[tuple[str, keras.layers.Layer]]:
    """Every layer within a model, outer ones before inner ones.

    Args:
      model: Any Keras model.

    Yields:
      Path and layer. The path is made of class names, counted among the layers of the same parent, such as
      ``"CropClassifier/DenseBlock/Dense"`` or ``"MapEncoder/ConvBlock_2"``: Keras numbers the names of layers anew in
      every process, and two networks may use the same ones.
    """
    seen = {id(model)}

    def within(parent: keras.layers.Layer, prefix: str) -> Iterator[tuple[str, keras.layers.Layer]]:
        counts: Counter[str] = Counter()
        for layer in parent._flatten_layers(include_self=False, recursive=False):
            kind = type(layer).__name__
            counts[kind] += 1
            path = f"{prefix}{kind}" + (f"_{counts[kind]}" if counts[kind] > 1 else "")
            if id(layer) not in seen:
                seen.add(id(layer))
                yield path, layer
                yield from within(layer, f"{path}/")

    return within(model, "")


def frozen_parts(model: keras.Model) -> list[str]:
    """Paths of the layers that are not trained."""
    return [path for path, layer in parts(model) if not layer.trainable]


def freeze_parts(model: keras.Model, frozen: Sequence[str]) -> None:
    """Makes the layers of these paths not trainable, and all others trainable.

    Args:
      model: Built.
      frozen: As :func:`frozen_parts` gave them.

    Raises:
      ConfigError: A path that the model does not have.
    """
    layers = dict(parts(model))
    unknown = sorted(set(frozen) - set(layers))
    if unknown:
        raise ConfigError(
            "Parts that were frozen are not in this model",
            expected=f"parts of {type(model).__name__} such as {', '.join(list(layers)[:5])}",
            received=unknown,
            mend="Load the file with the version of tfvs, and of your own layers, that wrote it",
        )
    for path, layer in layers.items():  # outer layers first: Keras hands their state on to those within
        layer.trainable = path not in frozen


def freeze_new_parts(model: keras.Model, known: Collection[int]) -> None:
    """Freezes layers that were made within frozen ones; Keras freezes only those that are there at the time.

    Args:
      model: Just built.
      known: Identities of the layers that it had before.
    """
    frozen = set() if model.trainable else {""}
    for path, layer in parts(model):
        if id(layer) not in known and path.rpartition("/")[0] in frozen:
            layer.trainable = False
        if not layer.trainable:
            frozen.add(path)
