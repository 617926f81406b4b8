"""Warm-up requests: what a server replays before a version takes its first real request."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfvs.data import example as contract
from tfvs.export.pyramid_inputs import pyramid_inputs
from tfvs.export.signatures import ServingSpec
from tfvs.models.saccader_config import SaccaderConfig

WARMUP_FILE = os.path.join("assets.extra", "tf_serving_warmup_requests")


def write_warmup(path: str, spec: ServingSpec, config: SaccaderConfig) -> None:
    """Writes one request a signature into a SavedModel's ``assets.extra``.

    A record is a PredictionLog of TensorFlow Serving. It is written field by field, since the package of its protos
    comes with ``tfvs[serving]`` only and an export must not need it.
    """
    target = os.path.join(path, WARMUP_FILE)
    tf.io.gfile.makedirs(os.path.dirname(target))
    with tf.io.TFRecordWriter(target) as writer:
        for signature, inputs in warmup_inputs(spec, config).items():
            writer.write(_prediction_log(signature, inputs))


def warmup_inputs(spec: ServingSpec, config: SaccaderConfig) -> dict[str, dict[str, np.ndarray]]:
    """Signature name → inputs of a batch of one; the pyramid is one that cannot be read."""
    proxy = np.zeros([1, spec.proxy_height, spec.proxy_width, spec.proxy_channels], np.float32)
    size = np.full([1, 2], 4 * config.crop_size, np.int32)
    crops = np.zeros([1, config.num_steps, config.crop_size, config.crop_size, spec.bands], np.float32)
    image = np.zeros([4 * config.crop_size, 4 * config.crop_size, spec.bands], np.uint8)
    index = contract.TileIndex(
        width=256,
        height=256,
        bands=spec.bands,
        file_bytes=1,
        levels=[(256, 256, 256, 256, 0)],
        tile_offsets=[0],
        tile_bytes=[0],
        framed=True,
        compression="none",
        jpeg_tables=b"",
        dtype="uint8",
    )
    encoded_proxy = tf.io.encode_png(np.zeros(proxy.shape[1:], np.uint8)).numpy()
    record = contract.ImageRecord("warm-up", -1, "", encoded_proxy, "warm-up", index)
    example = contract.to_example(record).SerializeToString()
    return {
        "serving_default": {"examples": np.array([example], object)},
        "predict_pyramids": {"proxy": proxy, **pyramid_inputs("warm-up", index)},
        "predict_images": {"image_bytes": np.array([tf.io.encode_png(image).numpy()], object)},
        "locate": {"proxy": proxy, "image_size": size},
        "classify_crops": {"proxy": proxy, "image_size": size, "crops": crops},
    }


def _prediction_log(signature: str, inputs: Mapping[str, np.ndarray]) -> bytes:
    """PredictionLog { predict_log: 6 { request: 1 { model_spec: 1, inputs: 2 } } }, by its proto's field numbers."""
    request = _field(1, _field(3, signature.encode()))
    for key, value in inputs.items():
        tensor = tf.make_tensor_proto(value).SerializeToString()
        request += _field(2, _field(1, key.encode()) + _field(2, tensor))
    return _field(6, _field(1, request))


def _field(number: int, payload: bytes) -> bytes:
    """One length-delimited protobuf field."""
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
