"""The two-number model of label noise."""

import numpy as np
import pytest

from infotheory_dl.linearization import calibrate
from infotheory_dl.linearization.calibration import probabilities


def test_the_rate_of_wrong_labels_and_the_sharpness_are_found_without_a_true_label():
    rng = np.random.default_rng(0)
    predictions = rng.normal(size=(20_000, 4))
    logits = 3.0 * predictions
    true = (logits + rng.gumbel(size=logits.shape)).argmax(1)
    wrong = rng.random(len(true)) < 0.3
    labels = np.where(wrong, (true + rng.integers(1, 4, len(true))) % 4, true)
    fit = calibrate(predictions, labels)
    np.testing.assert_allclose(fit.sharpness, 3.0, rtol=0.06)
    np.testing.assert_allclose(fit.error_rate, 0.3, atol=0.02)
    given = np.take_along_axis(probabilities(predictions, fit.sharpness), labels[:, None], axis=1)
    likelihood = (1 - fit.error_rate) * given + fit.error_rate / 3 * (1 - given)
    np.testing.assert_allclose(fit.loss, -np.log(likelihood).mean(), rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_no_other_two_numbers_fit_better_whatever_the_scale(scale):
    rng = np.random.default_rng(1)
    predictions = rng.normal(size=(400, 3))
    labels = (3 * predictions + rng.gumbel(size=predictions.shape)).argmax(1)
    labels[:150] = rng.integers(0, 3, 150)
    fit = calibrate(scale * predictions, labels)
    for sharpness in np.logspace(-1, 2, 61) / scale:
        given = np.take_along_axis(probabilities(scale * predictions, sharpness), labels[:, None], axis=1)
        for rate in np.linspace(0, 2 / 3, 41):
            assert fit.loss <= -np.log((1 - rate) * given + rate / 2 * (1 - given)).mean() + 1e-12


@pytest.mark.usefixtures("as_a_user_sees")
def test_labels_must_fit_the_predictions():
    predictions = np.zeros((3, 2))
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 2\), got 2 at index 2"):
        calibrate(predictions, np.array([0, 1, 2]))
    with pytest.raises(ValueError, match="predictions has 6 of 6 entries"):
        calibrate(predictions * np.nan, np.array([0, 1, 1]))
