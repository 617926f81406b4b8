"""Warm-up requests: what a server replays before a version takes its first real request."""

from __future__ import annotations

import os

import numpy as np
import tensorflow as tf

from tfvs.data import example as contract
from tfvs.errors import ResourceError
from tfvs.export.description import IMAGES_WITH_PROXIES, ModelDescription
from tfvs.export.pyramid_inputs import pyramid_inputs

WARMUP_FILE = os.path.join("assets.extra", "tf_serving_warmup_requests")


def write_warmup(path: str, description: ModelDescription) -> None:
    """Writes one request per signature into a SavedModel's ``assets.extra``, as TensorFlow Serving reads them.

    Raises:
      ResourceError: ``tfvs[serving]``, which brings TensorFlow Serving's protos, is not installed.
    """
    try:
        from tensorflow_serving.apis import prediction_log_pb2
    except ImportError as error:
        raise ResourceError("Warm-up requests cannot be written", mend="pip install 'tfvs[serving]'") from error
    target = os.path.join(path, WARMUP_FILE)
    tf.io.gfile.makedirs(os.path.dirname(target))
    with tf.io.TFRecordWriter(target) as writer:
        for signature, inputs in warmup_inputs(description).items():
            log = prediction_log_pb2.PredictionLog()
            log.predict_log.request.model_spec.signature_name = signature
            for key, value in inputs.items():
                log.predict_log.request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
            writer.write(log.SerializeToString())


def warmup_inputs(description: ModelDescription) -> dict[str, dict[str, np.ndarray]]:
    """Signature name → inputs of a batch of one; the pyramid is one that cannot be read."""
    steps, side, bands = description.num_steps, description.crop_size, description.bands
    proxy = np.zeros([1, *description.proxy.shape], np.float32)
    size = np.full([1, 2], 4 * side, np.int32)
    crops = np.zeros([1, steps, side, side, bands], np.float32)
    image = np.zeros([4 * side, 4 * side, bands], np.uint8)
    index = contract.TileIndex(
        width=256,
        height=256,
        bands=bands,
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
    encoded = {"image_bytes": np.array([tf.io.encode_png(image).numpy()], object)}
    inputs = {
        "serving_default": {"examples": np.array([example], object)},
        "predict_pyramids": {"proxy": proxy, **pyramid_inputs("warm-up", index)},
        "predict_images": encoded,
        "locate": {"proxy": proxy, "image_size": size},
        "classify_crops": {"proxy": proxy, "image_size": size, "crops": crops},
    }
    if description.proxy.obstacle():
        inputs[IMAGES_WITH_PROXIES] = {"proxy": proxy, **encoded}
    return inputs
