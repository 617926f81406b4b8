import numpy as np
import tensorflow as tf

from tfvs.ops.contrast import standardize

IMAGES = np.random.default_rng(5).random((2, 32, 40, 3)).astype(np.float32)


def test_standardized_images_have_one_mean_and_contrast() -> None:
    dim = 0.2 + 0.1 * IMAGES
    result = standardize(tf.constant(np.concatenate([IMAGES, dim]))).numpy()
    np.testing.assert_allclose(result.mean((1, 2, 3)), 0.5, atol=1e-4)
    np.testing.assert_allclose(result[:2].std((1, 2, 3)), 0.25, atol=0.01)
    assert (result[2:].std((1, 2, 3)) < 0.2).all()
    np.testing.assert_allclose(standardize(IMAGES, 0.0, 0.5), 2.0 * result[:2] - 1.0, atol=1e-5)
    flat = standardize(tf.fill([1, 4, 4, 3], 0.3))
    np.testing.assert_allclose(flat, 0.5, atol=1e-3)
