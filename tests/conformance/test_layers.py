"""Every public layer: build, symbolic call, eager call, one step of fit, serialization, mixed precision, doctest.

A public layer without an entry fails the suite.
"""

import dataclasses
import doctest
import importlib
import inspect
import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfvs.layers as public
from tests.graphs import plain_graphs
from tfvs.layers.posteriors import GaussianPosterior

__all__ = ["plain_graphs"]
RNG = np.random.default_rng(4)


@dataclasses.dataclass(frozen=True)
class Case:
    """A layer, arguments that are not the defaults, and how it is called."""

    layer: type[keras.layers.Layer]
    config: dict[str, Any]
    inputs: tuple[np.ndarray, ...]
    call: Callable[..., Any] = lambda layer, *inputs: layer(*inputs)
    trainable: bool = True
    built_with: tuple[int, ...] | None = None  # which inputs' shapes; None for all
    defaults: tuple[str, ...] = ()  # arguments that the others force to their defaults


def images(*shape: int) -> np.ndarray:
    return RNG.random(shape).astype("float32")


def serialized(layer: keras.layers.Layer) -> dict[str, Any]:
    return keras.saving.serialize_keras_object(layer)


def step_of(layer: Any, features: Any, states: list[Any], feature_map: Any) -> list[Any]:
    """One step of a cell, from the beginning."""
    step = layer(features, states, feature_map, step=1, sample=False)
    return [*step.proposal, step.latent_features, *step.states]


BOXES = np.array([[[0.1, 0.2, 0.5, 0.6], [0.3, 0.3, 0.9, 0.9]]] * 4, "float32")
CASES = [
    Case(public.BatchNormalization, {"momentum": 0.7, "epsilon": 0.01}, (images(4, 5, 6, 3),)),
    Case(
        public.ConvBlock,
        {"filters": 6, "strides": 2, "kernel_size": 5, "normalization": "none"},
        (images(4, 9, 8, 2),),
    ),
    Case(public.ConvDecoder, {"output_shape": (9, 7, 2), "filters": (6, 4)}, (images(4, 5),)),
    Case(
        public.ConvEncoder,
        {"filters": (4, 6), "strides": (2, 1), "units": 7, "normalization": "batch"},
        (images(4, 9, 8, 2),),
    ),
    Case(
        public.CropClassifier,
        {
            "encoder": serialized(public.CropEncoder((4, 6), (1, 2), name="crop_encoder")),
            "num_classes": 3,
            "crop_units": 9,
            "head_units": 8,
            "normalization": "none",
            "reads_state": True,
            "look_pooling": "seen",
            "none_class": 1,
            "num_scales": 2,
            "dropout": 0.3,
            "initial_evidence": 2.0,
        },
        (images(4, 4, 8, 8, 1), images(4, 2, 5)),
    ),
    Case(
        public.CropEncoder,
        {
            "filters": (4, 6),
            "strides": (1, 2),
            "stem_kernel_size": 7,
            "pooling": "mean",
            "normalization": "none",
            "standardize": True,
        },
        (images(4, 8, 8, 1),),
    ),
    Case(public.DenseBlock, {"units": 6, "normalization": "batch"}, (images(4, 5),)),
    Case(
        public.GlimpseNetwork,
        {"glimpse_size": 4, "num_scales": 2, "units": 6, "hidden_units": 5},
        (images(4, 12, 10, 2), np.tile(np.array([[[0.0, 0.5], [-0.9, 0.1]]], "float32"), (4, 1, 1))),
    ),
    Case(public.GroupNorm, {"groups": 3, "epsilon": 0.1}, (images(4, 5, 5, 6),)),
    Case(
        public.LocalizedSpatialTransformer,
        {"crop_size": 5, "margin_px": 0, "fill_value": 0.5, "max_level": 1, "max_scale": 0.9},
        (images(4, 12, 10, 2), BOXES),
        trainable=False,
    ),
    Case(
        public.LocationHead,
        {"min_scale": 0.11, "border": "clip"},
        (images(4, 2, 5), np.full((4, 2), 50, "int32")),
        call=lambda layer, latents, size: layer(latents, size, max_scale=0.9),
        built_with=(0,),
    ),
    Case(
        public.MapEncoder,
        {
            "cells": (4, 3),
            "filters": (5, 6),
            "kernels": (3, 1),
            "units": 7,
            "normalization": "none",
            "map_normalization": "batch",
            "stem_filters": (3, 2),
        },
        (images(4, 9, 8, 2),),
        call=lambda layer, proxy: layer([proxy]),
    ),
    Case(public.ResidualBlock, {"filters": 6, "strides": 2, "normalization": "group"}, (images(4, 8, 8, 3),)),
    Case(public.SpatialAttention, {}, (images(4, 5, 6, 3), images(4, 7))),
    Case(
        public.SpatialTransformer,
        {"crop_size": 5, "fill_value": 0.5, "max_level": 1, "max_scale": 0.9},
        (images(4, 12, 10, 2), BOXES),
        trainable=False,
    ),
    Case(
        public.VRNNCell,
        {
            "posterior": serialized(
                GaussianPosterior(
                    prior_units=6, posterior_units=7, stddev=0.7, anchors=2, seed=3, name="posterior", dtype="float32"
                )
            ),
            "state": "lstm",
            "state_size": 5,
            "latent_units": 8,
            "initial_state_noise": 0.3,
            "seed": 5,
        },
        (images(4, 6), images(4, 5), images(4, 5), images(4, 3, 5, 2)),
        call=lambda layer, features, h, c, feature_map: step_of(layer, features, [h, c], feature_map),
        built_with=(0, 3),
    ),
]
by_name = pytest.mark.parametrize("case", CASES, ids=lambda case: case.layer.__name__)


def flat(outputs: Any) -> list[np.ndarray]:
    return [np.asarray(keras.ops.convert_to_numpy(value), "float32") for value in tf.nest.flatten(outputs)]


@keras.saving.register_keras_serializable("tfvs_test")
class Wrapped(keras.Model):
    """One layer as a model, so that Keras' own machinery can save and train it."""

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.layer = layer if isinstance(layer, keras.layers.Layer) else keras.saving.deserialize_keras_object(layer)
        case = next(case for case in CASES if case.layer is type(self.layer))
        self.case_call, self.built_with = case.call, case.built_with

    def build(self, input_shape: Any) -> None:
        shapes = [input_shape[key] for key in sorted(input_shape)]
        self.layer.build(*(shapes if self.built_with is None else [shapes[i] for i in self.built_with]))

    def call(self, inputs: dict[str, tf.Tensor]) -> list[tf.Tensor]:
        outputs = self.case_call(self.layer, *(inputs[key] for key in sorted(inputs)))
        return tf.nest.flatten(outputs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return tf.add_n([tf.reduce_mean(tf.square(tf.cast(value, tf.float32) - 0.3)) for value in y_pred])

    def get_config(self) -> dict[str, Any]:
        return {"layer": keras.saving.serialize_keras_object(self.layer)}


def wrapped(case: Case, dtype: str = "float32") -> tuple[Wrapped, dict[str, np.ndarray]]:
    model = Wrapped(case.layer(**case.config, dtype=dtype), dtype=dtype)
    return model, {f"input_{i}": value for i, value in enumerate(case.inputs)}


def test_every_public_layer_has_an_entry():
    layers = {
        getattr(public, name)
        for name in public.__all__
        if isinstance(getattr(public, name), type) and issubclass(getattr(public, name), keras.layers.Layer)
    }
    assert layers == {case.layer for case in CASES}


@by_name
def test_no_argument_is_left_at_its_default(case):
    default_config = {
        name: parameter.default
        for name, parameter in inspect.signature(case.layer.__init__).parameters.items()
        if name not in ("self", "kwargs") and "__init__" in vars(case.layer)
    }
    assert set(default_config) <= set(case.config)
    for name, value in case.config.items():
        assert name in case.defaults or value != default_config.get(name, object()), name


@by_name
def test_config_round_trip(case):
    layer = case.layer(**case.config, name="it")
    again = case.layer.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    for name, value in case.config.items():
        kept = again.get_config()[name]
        assert (tuple(kept) if isinstance(value, tuple) else kept) == value


@by_name
def test_symbolic_call_has_the_eager_shape(case):
    layer = case.layer(**case.config)
    eager = tf.nest.flatten(case.call(layer, *map(tf.constant, case.inputs)))

    tensors = [keras.KerasTensor(value.shape, str(value.dtype)) for value in case.inputs]
    outputs = tf.nest.flatten(case.call(layer, *tensors))
    assert [tuple(o.shape) for o in outputs] == [tuple(e.shape) for e in eager]


@by_name
def test_one_step_of_fit_and_keras_file(case, tmp_path):
    model, inputs = wrapped(case)
    model.compile("sgd")
    if case.trainable:
        history = model.fit(inputs, np.zeros(4), batch_size=4, verbose=0)
        assert np.isfinite(history.history["loss"][0])
    expected = flat(model(inputs))
    path = tmp_path / "layer.keras"
    model.save(path)
    loaded = keras.models.load_model(path)
    for value, other in zip(expected, flat(loaded(inputs)), strict=True):
        np.testing.assert_array_equal(value, other)


@by_name
def test_saved_model(case, tmp_path):
    model, inputs = wrapped(case)
    expected = flat(model(inputs))
    signature = {name: tf.TensorSpec((None, *value.shape[1:]), value.dtype) for name, value in inputs.items()}
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", lambda inputs: model(inputs), [signature])
    archive.write_out(str(tmp_path), verbose=False)
    loaded = tf.saved_model.load(str(tmp_path))
    served = loaded.serve({name: tf.constant(v) for name, v in inputs.items()})
    for value, other in zip(expected, flat(served), strict=True):
        np.testing.assert_allclose(value, other, atol=1e-5)


@by_name
def test_mixed_precision_is_near(case):
    full, inputs = wrapped(case)
    half, _ = wrapped(case, dtype="mixed_float16")
    expected = flat(full(inputs))
    half(inputs)
    half.set_weights(full.get_weights())
    assert all(variable.dtype == "float32" for variable in half.trainable_variables)
    for value, other in zip(expected, flat(half(inputs)), strict=True):
        # Boxes in float16 move a crop by hundredths of a pixel.
        np.testing.assert_allclose(value, other, atol=0.06, rtol=0.03)


@pytest.mark.parametrize(
    "module",
    [
        "tfvs.data.example",
        "tfvs.metrics.coverage",
        "tfvs.models.saccader",
        *sorted({c.layer.__module__ for c in CASES}),
    ],
)
def test_doctests(module):
    importlib.import_module(module)
    results = doctest.testmod(sys.modules[module], extraglobs={"tf": tf}, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.failed == 0
