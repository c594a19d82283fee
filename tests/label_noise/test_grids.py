"""Grids of settings, labels and seeds."""

import jax
import numpy as np
import pytest

from infotheory_dl import networks, training
from infotheory_dl.label_noise import Grid, make_method, predict_grid, select_settings, train_grid

NETWORK = networks.MLP((6,), 3, batch_norm=True)
METHOD = make_method("limit_laplace", NETWORK, (3,))
RATES, PENALTIES = [0.01, 0.05], [0.0, 3.0]
ROWS = {
    "training_rows": np.stack([np.arange(50), np.arange(10, 60)]),
    "validation_rows": np.stack([np.arange(60, 80), np.arange(60, 80)]),
}


def problem():
    """Points around corners, labels of two rates of noise, and as many to validate with."""
    rng = np.random.default_rng(0)
    clean = rng.integers(0, 3, 80)
    x = (np.eye(3)[clean] + 0.3 * rng.normal(size=(80, 3))).astype(np.float32)
    noisy = np.where(rng.random((80, 2)) < [0.2, 0.5], rng.integers(0, 3, (80, 2)), clean[:, None])
    return x, noisy, clean


def grid(**changes):
    x, noisy, _ = problem()
    settings = {"learning_rate": RATES, "gradient_weight_decay": PENALTIES}
    arguments = {"settings": settings, "num_seeds": 2, "num_epochs": 5, "batch_size": 16, "evaluate_every": 2}
    return train_grid(jax.random.key(0), METHOD, x, noisy, **(arguments | ROWS | changes))


def test_each_point_is_the_training_that_it_stands_for():
    x, noisy, _ = problem()
    result = grid()
    np.testing.assert_array_equal(result.epochs, [2, 4, 5])
    np.testing.assert_array_equal(result.settings["learning_rate"], [0.01, 0.01, 0.05, 0.05])
    np.testing.assert_array_equal(result.settings["gradient_weight_decay"], [0, 3, 0, 3])
    assert result.validation_accuracy.shape == (4, 2, 2, 3)
    assert result.train_accuracy.shape == (4, 2, 2, 5)
    point, variant, seed = 2, 1, 1
    of_model = lambda key: jax.random.fold_in(jax.random.fold_in(key, variant), seed)
    init_key, train_key = map(of_model, jax.random.split(jax.random.key(0)))
    alone = training.train(
        train_key,
        METHOD.system.step,
        METHOD.system.init(init_key, learning_rate=np.float32(0.05), gradient_weight_decay=np.float32(0)),
        (x, noisy[:, variant]),
        num_epochs=5,
        batch_size=16,
        subset=np.arange(10, 60),
    )
    of_grid = jax.tree.map(lambda leaf: leaf[point, variant, seed], result.last)
    close = lambda ours, other: np.testing.assert_allclose(ours, other, rtol=1e-4, atol=1e-6)
    jax.tree.map(close, of_grid.variables, alone.state.variables)


def test_the_best_epoch_is_that_of_the_noisy_validation_labels():
    x, noisy, _ = problem()
    result = grid()
    predicted = np.asarray(predict_grid(METHOD.classifier, result.best, x[60:], batch_size=7)).argmax(-1)
    accuracy = (predicted == noisy[60:].T[None, :, None]).mean(-1)
    np.testing.assert_allclose(accuracy, result.best_validation_accuracy, atol=1e-6)
    np.testing.assert_array_equal(result.best_epoch, result.epochs[result.validation_accuracy.argmax(-1)])


def test_soft_labels_train_as_hard_ones_do():
    x, noisy, _ = problem()
    method = make_method("leave_one_out", NETWORK, (3,))
    train = lambda labels: train_grid(jax.random.key(0), method, x, labels, num_epochs=3, batch_size=16, **ROWS)
    hard, soft = train(noisy), train(np.eye(3, dtype=np.float32)[noisy])
    np.testing.assert_allclose(hard.validation_accuracy, soft.validation_accuracy)


def test_classifiers_that_were_trained_begin_another_grid():
    first = grid(settings={"gradient_weight_decay": [1.0]}, num_epochs=1)
    begun = jax.tree.map(lambda leaf: leaf[0], first.best)
    still = grid(variables=begun, settings={"learning_rate": [0.0]}, num_epochs=1)
    kept = jax.tree.map(lambda leaf: leaf[0], still.last.networks[1].params)
    jax.tree.map(np.testing.assert_array_equal, kept, begun["params"])


def fake_grid(accuracy, diverged):
    blank = np.zeros(())
    return Grid({}, blank, np.asarray(accuracy, float)[..., None], blank, blank, None, None, np.asarray(diverged))


def test_settings_are_selected_by_the_mean_over_seeds_without_those_that_diverged():
    accuracy = [[[0.5, 0.5]], [[0.4, 0.8]], [[0.9, 0.9]]]
    steady = np.zeros((3, 1, 2), bool)
    assert select_settings(fake_grid(accuracy, steady)) == [2]
    steady[2, 0, 1] = True
    assert select_settings(fake_grid(accuracy, steady)) == [1]


@pytest.mark.usefixtures("as_a_user_sees")
def test_bad_input_meets_clear_errors():
    with pytest.raises(
        ValueError, match=r"training_rows must be those of 2 variants of the labels, got shape \(1, 3\)"
    ):
        grid(training_rows=np.arange(3)[None])
    with pytest.raises(ValueError, match=r"validation_rows must lie in \[0, 80\), got 80 at index"):
        grid(validation_rows=np.array([[0], [80]]))
    with pytest.raises(ValueError, match="num_seeds must be at least 1, got 0"):
        grid(num_seeds=0)
    with pytest.raises(ValueError, match=r"gradient_weight_decay must be finite and not negative, got -1\.0"):
        grid(settings={"gradient_weight_decay": [3.0, -1.0]})


def test_labels_that_are_no_classes_are_refused():
    x, noisy, _ = problem()
    arguments = {"num_epochs": 1, **ROWS}
    noisy[7, 1] = 3
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 3\), got 3 at index 7"):
        train_grid(jax.random.key(0), METHOD, x, noisy, **arguments)
    soft = np.full((80, 2, 3), 1 / 3)
    soft[5, 0, 0] = 0.9
    with pytest.raises(ValueError, match=r"row 5 of labels must be a distribution, but adds up to 1\.56667"):
        train_grid(jax.random.key(0), METHOD, x, soft, **arguments)
