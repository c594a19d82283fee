"""Runs on a supersample: through the engine, by any procedure, and as the published code makes them."""

import jax
import numpy as np
import optax
import pytest
from sklearn.linear_model import LogisticRegression

from infotheory_dl import networks, training
from infotheory_dl.fcmi import Supersample, bounds, draw_selection, run, run_networks, sgld, training_rows
from tests.conftest import reference
from tests.fcmi.published_network import network, variables

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)
SUPERSAMPLES = [Supersample(RANDOM.normal(size=(12, 3)), RANDOM.integers(0, 2, 12)) for _ in range(2)]
SELECTION = draw_selection(KEY, 3, 6)
MLP = networks.MLP((4,), 2)


def test_the_published_run_from_end_to_end():
    arrays = reference("fcmi_e2e")
    module = network(arrays)
    supersample = Supersample(arrays["images_u8"][..., None].astype(float), arrays["labels"].astype(int))
    runs = run_networks(
        KEY,
        training.as_network(module)._replace(init=lambda key, inputs: variables(arrays)),
        [supersample],
        arrays["masks"],
        num_epochs=int(arrays["epochs"]),
        batch_size=training.minibatches(24, int(arrays["batch_size"]), shuffle=False),
    )
    np.testing.assert_array_equal(runs.predictions[0, 0], arrays["pred_labels"])
    bound = bounds.fcmi(runs.predictions[0], runs.selection, num_classes=2)
    np.testing.assert_allclose(bound.value, arrays["fcmi_bound"], rtol=1e-12)
    np.testing.assert_allclose(np.squeeze(bound.per_example), arrays["mi_per_example"], atol=1e-12)
    gap = bounds.generalization_gap(bounds.zero_one_losses(runs.predictions[0], runs.labels), runs.selection)
    np.testing.assert_allclose(gap.value, arrays["gap"], rtol=1e-12)


def test_every_model_is_trained_on_its_own_selection_of_its_own_supersample():
    settings = {"num_epochs": 3, "epochs": (1, 3), "batch_size": 4, "optimizer": optax.sgd(0.5), "deterministic": True}
    runs = run_networks(KEY, MLP, SUPERSAMPLES, SELECTION, **settings)
    assert runs.predictions.shape == (2, 2, 3, 12)
    assert runs.predictions.dtype == np.int8
    assert runs.valid.all()
    np.testing.assert_array_equal(runs.epochs, (1, 3))

    system = training.supervised(MLP.apply, optax.sgd(0.5), optax.softmax_cross_entropy_with_integer_labels)
    init_key, train_key = jax.random.split(KEY)
    for z, (inputs, labels) in enumerate(SUPERSAMPLES):
        for s in range(3):
            rows = training_rows(SELECTION[s])
            trained = training.train(
                train_key,
                system.step,
                system.init(MLP.init(init_key, inputs[:1])),
                (inputs, labels),
                num_epochs=3,
                batch_size=4,
                subset=rows,
            )
            expected = np.argmax(MLP.apply(trained.state.params, inputs), -1)
            np.testing.assert_array_equal(runs.predictions[1, z, s], expected)


def test_more_runs_leave_the_others_as_they_are():
    few, many = (
        run_networks(KEY, MLP, SUPERSAMPLES[:k], SELECTION[:r], num_epochs=2, optimizer=optax.sgd(1.0))
        for k, r in ((1, 2), (2, 3))
    )
    np.testing.assert_array_equal(few.predictions, many.predictions[:, :1, :2])


def test_a_diverged_model_is_named_and_not_valid():
    selection = np.array([[0] * 6, [1] * 6])
    labels = np.tile([0, 1], 6)
    inputs = np.where(labels[:, None] == 1, np.nan, RANDOM.normal(size=(12, 3)))
    with pytest.warns(UserWarning, match="diverged, and left out of the bounds: supersample 0 run 1"):
        runs = run_networks(KEY, MLP, [Supersample(inputs, labels)], selection, num_epochs=1)
    np.testing.assert_array_equal(runs.valid, [[True, False]])


def test_the_variances_of_gradients_come_with_the_runs_and_a_second_call_compiles_nothing():
    dynamics, traced = sgld.annealing(), []

    def loss(outputs, labels):
        traced.append("loss")
        return optax.softmax_cross_entropy_with_integer_labels(outputs, labels)

    settings = {"num_epochs": 2, "batch_size": 3, "optimizer": sgld.langevin(dynamics), "loss": loss}
    runs = run_networks(KEY, MLP, SUPERSAMPLES, SELECTION, gradient_variance_every=1, **settings)
    count = len(traced)
    others = [Supersample(2 * inputs, labels) for inputs, labels in SUPERSAMPLES]
    network = networks.MLP((4,), 2)
    assert run_networks(KEY, network, others, 1 - SELECTION, gradient_variance_every=1, **settings).valid.all()
    assert len(traced) == count
    assert runs.gradient_variances.shape == (2, 3, 4)
    assert (runs.gradient_variances > 0).all()
    rates, inverse_temperatures = sgld.histories(dynamics, 4)
    value = bounds.sgld(rates, inverse_temperatures, runs.gradient_variances[0, 0], num_examples=6, batch_size=3)
    assert np.isfinite(value)


def test_a_procedure_of_another_framework(tmp_path):
    calls = []

    def logistic_regression(key, inputs, labels, all_inputs):
        calls.append(len(inputs))
        return LogisticRegression().fit(inputs, labels).predict(all_inputs)

    supersamples = [Supersample(inputs, np.tile([0, 1, 1, 0], 3)) for inputs, _ in SUPERSAMPLES]
    runs = run(KEY, logistic_regression, supersamples, SELECTION, folder=tmp_path)
    assert calls == [6] * 6
    rows = training_rows(SELECTION[2])
    inputs, labels = supersamples[1]
    expected = LogisticRegression().fit(inputs[rows], labels[rows]).predict(inputs)
    np.testing.assert_array_equal(runs.predictions[0, 1, 2], expected)
    again = run(KEY, logistic_regression, supersamples, SELECTION, folder=tmp_path)
    assert calls == [6] * 6
    np.testing.assert_array_equal(again.predictions, runs.predictions)


def test_outputs_are_turned_into_classes_and_those_that_are_not_finite_are_left_out():
    def outputs(key, inputs, labels, all_inputs):
        scores = np.stack([all_inputs[:, 0], all_inputs[:, 1]], axis=1)
        return scores * np.nan if (inputs[0] == SUPERSAMPLES[0].inputs[1]).all() else scores

    selection = np.array([[0] * 6, [1] * 6])
    with pytest.warns(UserWarning, match="supersample 0 run 1$"):
        runs = run(KEY, outputs, SUPERSAMPLES[:1], selection)
    np.testing.assert_array_equal(runs.valid, [[True, False]])
    np.testing.assert_array_equal(runs.predictions[0, 0, 0], SUPERSAMPLES[0].inputs[:, :2].argmax(1))


class TestErrors:
    @pytest.fixture(autouse=True)
    def _as_a_user(self, as_a_user_sees):
        pass

    def fails(self, message, *, supersamples=SUPERSAMPLES, selection=SELECTION, **settings):
        with pytest.raises(ValueError, match=message):
            run_networks(KEY, MLP, supersamples, selection, **{"num_epochs": 1, **settings})

    def test_supersamples_of_two_sizes(self):
        smaller = Supersample(SUPERSAMPLES[0].inputs[:10], SUPERSAMPLES[0].labels[:10])
        self.fails(
            r"of one size, got inputs of shapes \[\(12, 3\), \(10, 3\)\]", supersamples=[SUPERSAMPLES[0], smaller]
        )

    def test_no_supersamples(self):
        self.fails("one or several", supersamples=[])

    def test_a_selection_of_another_size(self):
        self.fails(r"selection must be \(runs, 6\), or have an axis of 2 .* \(3, 5\)", selection=SELECTION[:, :5])

    def test_a_selection_that_is_not_binary(self):
        self.fails("selection must be 0 or 1, got values from 0 to 2", selection=2 * SELECTION)

    def test_batch_norm_on_a_batch_of_one(self):
        message = "6 examples in batches of 5 leave a batch of one"
        network = networks.MLP((4,), 2, batch_norm=True)
        with pytest.raises(ValueError, match=message):
            run_networks(KEY, network, SUPERSAMPLES, SELECTION, num_epochs=1, batch_size=5)

    def test_predictions_for_the_training_set_only(self):
        with pytest.raises(ValueError, match=r"for each of the 12 entries, got shape \(6,\)"):
            run(KEY, lambda key, inputs, labels, all_inputs: labels, SUPERSAMPLES, SELECTION)
