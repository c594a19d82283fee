"""The facade, on digits and on a table."""

import jax
import numpy as np
import pytest

from infotheory_dl import data, networks
from infotheory_dl.label_noise import fit_robust, predict, score
from infotheory_dl.metrics import area_under_roc


@pytest.fixture(scope="module")
def digits():
    """Images, noisy labels, clean labels, and which were flipped."""
    images = data.load("digits")
    noise = data.corrupt_labels(jax.random.key(0), images.y[:1000], data.uniform_transition(10, 0.3))
    return images, noise


def test_leave_one_out_ignores_wrong_labels_of_images_and_names_them(digits):
    images, noise = digits
    x, held_out = images.x[:1000], images.x[1000:]
    fit = fit_robust(jax.random.key(1), x, noise.labels, method="leave_one_out", num_epochs=30, batch_size=64)
    assert score(fit, held_out, images.y[1000:]) > 0.9
    assert area_under_roc(fit.suspicion, noise.flipped) > 0.97
    wrong = noise.flipped[fit.noisy_ids]
    assert wrong.mean() > 0.8
    assert wrong.sum() > 0.8 * noise.flipped.sum()
    assert (np.diff(fit.suspicion[fit.noisy_ids]) <= 0).all()


@pytest.mark.parametrize("method", ["limit_laplace", "cross_entropy", "co_teaching"])
def test_a_table_will_do_and_its_columns_may_have_any_scale(digits, method):
    images, noise = digits
    rows = images.x.reshape(len(images.x), -1) * np.logspace(-3, 3, 64)
    network = networks.MLP((64,), 10, batch_norm=True)
    settings = {"network": network, "num_epochs": 15, "evaluate_every": 5, "batch_size": 64}
    fit = fit_robust(jax.random.key(1), rows[:1000], noise.labels, method=method, forget_rate=0.4, **settings)
    assert predict(fit, rows[1000:]).shape == (len(rows) - 1000, 10)
    assert score(fit, rows[1000:], images.y[1000:]) > 0.75
    assert fit.best_epoch in fit.epochs
    assert fit.validation_accuracy.shape == (3,)
    np.testing.assert_array_equal(fit.predictions, np.asarray(predict(fit, rows[:1000])).argmax(1))
    assert len(fit.training_ids) == 800
    if method != "cross_entropy":
        assert area_under_roc(fit.suspicion, noise.flipped) > 0.9
        assert noise.flipped[fit.noisy_ids].mean() > 0.7


def test_the_determinant_knows_the_classes_of_the_classifier_that_it_begins_with(digits):
    images, noise = digits
    settings = {"num_epochs": 10, "batch_size": 64, "learning_rate": 1e-3}
    fit = fit_robust(jax.random.key(1), images.x[:500], noise.labels[:500], method="dmi", **settings)
    assert score(fit, images.x[1000:], images.y[1000:]) > 0.6


def test_the_kernel_may_be_that_of_another_network(digits):
    images, noise = digits
    settings = {"method": "leave_one_out", "num_epochs": 1}
    x, labels = images.x[:300], noise.labels[:300]
    dense = fit_robust(jax.random.key(1), x, labels, kernel_network=networks.wide_layer((64,)), **settings)
    default = fit_robust(jax.random.key(1), x, labels, **settings)
    assert not np.allclose(dense.suspicion, default.suspicion)
    flipped = noise.flipped[dense.training_ids]
    assert all(area_under_roc(fit.suspicion[fit.training_ids], flipped) > 0.9 for fit in (dense, default))


def test_equal_keys_give_equal_fits(digits):
    images, noise = digits
    fits = [fit_robust(jax.random.key(2), images.x[:60], noise.labels[:60], num_epochs=2) for _ in range(2)]
    jax.tree.map(np.testing.assert_array_equal, *(fit.variables for fit in fits))
    np.testing.assert_array_equal(*(fit.suspicion for fit in fits))


@pytest.mark.usefixtures("as_a_user_sees")
def test_bad_input_meets_clear_errors():
    key, x, y = jax.random.key(0), np.zeros((6, 2)), np.array([0, 1, 0, 1, 0, 1])
    with pytest.raises(ValueError, match="x has 1 of 12 entries that are NaN or infinite"):
        fit_robust(key, np.where(np.arange(12).reshape(6, 2) == 3, np.nan, x), y)
    with pytest.raises(ValueError, match=r"y must lie in \[0, 2\), got -1 at index 1"):
        fit_robust(key, x, np.array([0, -1, 0, 1, 0, 1]), num_classes=2)
    with pytest.raises(ValueError, match="y has 4 classes in 6 examples, 2 of them with one example only"):
        fit_robust(key, x, np.array([0, 1, 2, 2, 3, 3]))
    with pytest.raises(ValueError, match="y must be one for each of the 6 examples, got 5"):
        fit_robust(key, x, y[:5])
    with pytest.raises(ValueError, match="y has one class only, 0; at least 2 are needed"):
        fit_robust(key, x, 0 * y)
    with pytest.raises(ValueError, match=r"a validation share of 0.01 of 6 examples leaves one part empty"):
        fit_robust(key, x, y, validation_fraction=0.01)
    with pytest.raises(ValueError, match=r"forget_rate must lie in \[0, 1\), got 1.5"):
        fit_robust(key, x, y, method="co_teaching", forget_rate=1.5)
    with pytest.raises(ValueError, match=r"gradient_weight_decay must be finite and not negative, got -1\.0"):
        fit_robust(key, x, y, gradient_weight_decay=-1.0)
    fit = fit_robust(key, x, y, method="cross_entropy", num_epochs=1)
    with pytest.raises(ValueError, match=r"y must be of shape \(examples,\), got \(6, 1\): of a column take np\.ravel"):
        score(fit, x, y[:, None])


def test_a_training_that_diverges_is_reported():
    x = np.random.default_rng(0).normal(size=(12, 2))
    with pytest.warns(UserWarning, match="the training diverged"):
        fit_robust(
            jax.random.key(0), x, np.array([0, 1] * 6), method="cross_entropy", num_epochs=2, learning_rate=np.inf
        )


def test_images_with_their_channels_first_are_reported():
    x, y = np.random.default_rng(0).random((12, 3, 8, 8)), np.array([0, 1] * 6)
    with pytest.warns(UserWarning, match=r"the 3 channels of the images come first, .*: turn it by np"):
        fit_robust(jax.random.key(0), x, y, method="cross_entropy", num_epochs=1)


def test_numbers_that_are_no_codes_are_names_of_classes():
    x = np.random.default_rng(0).normal(size=(12, 2))
    for names in ((-1, 1), (7, 10**9)):
        fit = fit_robust(jax.random.key(0), x, np.array(names * 6), method="cross_entropy", num_epochs=1)
        assert fit.class_names == names


def test_a_class_that_is_absent_is_reported():
    x = np.random.default_rng(0).normal(size=(12, 2))
    with pytest.warns(UserWarning, match=r"no example has one of the labels \[1\]: they are never learned"):
        fit_robust(jax.random.key(0), x, np.array([0, 2] * 6), method="cross_entropy", num_epochs=1)


def test_inputs_may_be_in_any_unit_of_any_offset():
    x, y = np.random.default_rng(0).normal(size=(12, 2)), np.array([0, 1] * 6)
    fit = lambda x: fit_robust(jax.random.key(0), x, y, method="cross_entropy", num_epochs=1)
    expected = fit(x)
    for changed in (x + 1e9, 1e-200 * x, 1e200 * x, (2.0**20 * x).astype(np.int64) + 2**60):
        found = fit(changed)
        np.testing.assert_allclose(found.probabilities, expected.probabilities, rtol=1e-4)
        np.testing.assert_allclose(predict(found, changed), predict(expected, x), rtol=1e-4)


def test_classes_keep_the_names_that_the_labels_give_them():
    x, codes = np.random.default_rng(0).normal(size=(12, 2)), np.array([0, 1] * 6)
    names = np.array(["no", "yes"])[codes]
    fit, of_names = (
        fit_robust(jax.random.key(0), x, y, method="cross_entropy", num_epochs=1) for y in (codes, names.astype(object))
    )
    assert fit.class_names == (0, 1)
    assert of_names.class_names == ("no", "yes")
    np.testing.assert_array_equal(of_names.predictions, fit.predictions)
    assert score(of_names, x, names.tolist()) == score(fit, x, codes)
    with pytest.raises(ValueError, match="y must be among the classes 'no', 'yes', got 'maybe' at index 0"):
        score(of_names, x[:1], ["maybe"])
