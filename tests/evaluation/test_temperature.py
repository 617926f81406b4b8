"""The temperature is the one of the largest likelihood, and what is exported states calibrated probabilities."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from tests.export.saccaders import CLASS_NAMES, RECIPE, small_saccader
from tfvs.errors import InputError
from tfvs.evaluation.temperature import fit_temperature, measure_temperature, temperature_of

RNG = np.random.default_rng(3)


def draw(temperature: float, count: int = 20_000, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels that are drawn from them at a temperature."""
    logits = RNG.normal(size=(count, classes)) * 3
    noise = RNG.gumbel(size=logits.shape)
    return logits, np.argmax(logits / temperature + noise, axis=1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_it_is_the_one_that_labels_were_drawn_at(temperature):
    assert fit_temperature(*draw(temperature)) == pytest.approx(temperature, rel=0.03)


def test_it_minimises_the_cross_entropy():
    logits, labels = draw(1.7, count=40)
    count, classes = logits.shape
    targets = (count * np.eye(classes)[labels] + 1 / classes) / (count + 1)

    def loss(log_temperature: float) -> float:
        return -float(np.mean(np.sum(targets * log_softmax(logits / np.exp(log_temperature), axis=1), axis=1)))

    expected = np.exp(minimize_scalar(loss, bounds=(-4, 4), method="bounded", options={"xatol": 1e-9}).x)
    assert fit_temperature(logits, labels) == pytest.approx(expected, rel=1e-5)


def test_few_images_that_are_all_right_have_no_temperature_of_zero():
    logits = 4 * np.eye(3)[[0, 1, 2, 0]]
    value = fit_temperature(logits, np.array([0, 1, 2, 0]))
    # With one right logit of 4 among zeros the largest likelihood gives the right class (4 + 1/3) / (4 + 1).
    p = np.exp(4 / value) / (np.exp(4 / value) + 2)
    assert p == pytest.approx((4 + 1 / 3) / 5, rel=1e-6)


def test_logits_that_say_nothing_have_temperature_one():
    assert fit_temperature(np.zeros([6, 3]), np.array([0, 1, 2, 0, 1, 1])) == 1.0


@pytest.mark.parametrize(
    ("logits", "labels"), [(np.zeros([0, 3]), np.zeros([0])), (np.zeros([4, 3]), np.zeros([3])), (np.zeros(3), [0])]
)
def test_what_cannot_be_fitted_is_refused(logits, labels):
    with pytest.raises(InputError, match="temperature"):
        fit_temperature(logits, labels)


def test_calibration_is_better_afterwards():
    found = measure_temperature(*draw(3.0))
    assert found.error_after < 0.02 < found.error_before
    assert found.value == found.likeliest
    assert found.images == 20_000
    assert "20000 images" in str(found)


def test_a_temperature_that_makes_calibration_worse_is_not_used():
    # Nine in ten answers are too unsure and always right, the others too sure and right by halves.
    unsure, sure = np.tile([1.5, 0.0], (90, 1)), np.tile([12.0, 0.0], (10, 1))
    found = measure_temperature(np.concatenate([unsure, sure]), np.array([0] * 95 + [1] * 5))
    assert found.likeliest > 1
    assert found.error_after > found.error_before
    assert found.value == 1.0
    assert "hence 1 is kept" in str(found)


def test_a_model_is_asked_about_images_that_have_a_weight():
    model = small_saccader()
    batch, rng = 4, np.random.default_rng(0)
    images = rng.random((batch, 40, 40, 3)).astype("float32")
    inputs = {"proxy": rng.random((batch, *RECIPE.shape)).astype("float32"), "image": images}
    labels = np.arange(batch) % len(CLASS_NAMES)
    found = temperature_of(model, [(inputs, labels, np.array([1.0, 1.0, 0.0, 1.0]))])
    used = [0, 1, 3]
    assert found.images == 3
    assert found.likeliest == pytest.approx(fit_temperature(model(inputs).logits.numpy()[used], labels[used]), rel=1e-4)
