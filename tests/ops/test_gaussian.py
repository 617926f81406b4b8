"""Gaussians against closed forms, TFP and Monte Carlo."""

import numpy as np
import pytest
import tensorflow as tf

from tfvs.ops import gaussian

RNG = np.random.default_rng(0)
Q_LOC, P_LOC = RNG.normal(size=(2, 5, 3)).astype("float32")
Q_SCALE, P_SCALE = RNG.uniform(0.2, 2.0, (2, 5, 3)).astype("float32")


def test_kl_is_the_closed_form():
    closed = np.log(P_SCALE / Q_SCALE) + (Q_SCALE**2 + (Q_LOC - P_LOC) ** 2) / (2 * P_SCALE**2) - 0.5
    np.testing.assert_allclose(gaussian.kl_divergence(Q_LOC, Q_SCALE, P_LOC, P_SCALE), closed.sum(-1), rtol=1e-5)


def test_kl_is_tfp_of_multivariate_normals():
    normal = gaussian.distributions().MultivariateNormalDiag
    expected = normal(Q_LOC, Q_SCALE).kl_divergence(normal(P_LOC, P_SCALE))
    np.testing.assert_allclose(gaussian.kl_divergence(Q_LOC, Q_SCALE, P_LOC, P_SCALE), expected, rtol=1e-5)


def test_kl_is_the_monte_carlo_estimate():
    z = Q_LOC + Q_SCALE * RNG.normal(size=(100_000, 5, 3)).astype("float32")

    def log_density(loc, scale):
        return np.sum(-0.5 * ((z - loc) / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi), axis=-1)

    difference = log_density(Q_LOC, Q_SCALE) - log_density(P_LOC, P_SCALE)
    error = np.std(difference, axis=0) / np.sqrt(len(z))
    estimate = np.mean(difference, axis=0)
    exact = gaussian.kl_divergence(Q_LOC, Q_SCALE, P_LOC, P_SCALE).numpy()
    assert np.all(np.abs(estimate - exact) < 5 * error + 1e-4)


def test_kl_vanishes_only_where_both_agree():
    np.testing.assert_allclose(gaussian.kl_divergence(Q_LOC, Q_SCALE, Q_LOC, Q_SCALE), 0.0, atol=1e-6)
    assert np.all(gaussian.kl_divergence(Q_LOC, Q_SCALE, P_LOC, P_SCALE).numpy() > 0.0)


@pytest.mark.parametrize("initial", [0.2, 1.0, 3.0])
def test_stddev_starts_where_it_should_and_stays_positive(initial):
    raw = tf.constant([-1e4, -50.0, 0.0, 50.0])
    stddev = gaussian.stddev_from_raw(raw, initial).numpy()
    assert stddev[2] == pytest.approx(initial, rel=1e-5)
    assert np.all(stddev >= gaussian.MIN_STDDEV)
    assert np.all(np.diff(stddev) >= 0)
