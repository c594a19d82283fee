"""The two-number model of label noise."""

import numpy as np
import pytest

from infotheory_dl.linearization import calibrate


def test_the_rate_of_wrong_labels_and_the_sharpness_are_found_without_a_true_label():
    rng = np.random.default_rng(0)
    predictions = rng.normal(size=(20_000, 4))
    logits = 3.0 * predictions
    true = (logits + rng.gumbel(size=logits.shape)).argmax(1)
    wrong = rng.random(len(true)) < 0.3
    labels = np.where(wrong, (true + rng.integers(1, 4, len(true))) % 4, true)
    sharpness, error_rate = calibrate(predictions, labels)
    np.testing.assert_allclose(sharpness, 3.0, rtol=0.06)
    np.testing.assert_allclose(error_rate, 0.3, atol=0.02)


@pytest.mark.usefixtures("as_a_user_sees")
def test_labels_must_fit_the_predictions():
    predictions = np.zeros((3, 2))
    with pytest.raises(ValueError, match=r"labels must be one class in \[0, 2\) for each of 3 predictions"):
        calibrate(predictions, np.array([0, 1, 2]))
    with pytest.raises(ValueError, match="predictions has 6 of 6 entries"):
        calibrate(predictions * np.nan, np.array([0, 1, 1]))
