"""Evaluations while the engine trains: when they are made, what they select, and when a model is out of patience."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl.training import Evaluation, train, train_many
from tests.training.test_engine import DATA, INPUTS, KEY, TARGETS, descend, squared_norm, start


def test_evaluations_are_of_the_states_after_the_chosen_epochs():
    def signs(state, data):
        return {"signs": jnp.sign(data[0] @ state.weights).astype(jnp.int8)}

    expected = []
    evaluated = train(
        KEY,
        descend,
        start(),
        DATA,
        num_epochs=6,
        batch_size=4,
        evaluation=Evaluation(signs, data=DATA, epochs=(1, 4, 6)),
        callback=lambda training: expected.append(np.sign(INPUTS @ training.state.weights)),
        callback_every=1,
    ).evaluations["signs"]
    assert evaluated.dtype == jnp.int8
    np.testing.assert_array_equal(evaluated, [expected[0], expected[3], expected[5]])


def test_by_default_every_epoch_is_evaluated_on_the_training_data():
    evaluation = Evaluation(lambda state, data: {"total": data[1].sum()})
    totals = train(KEY, descend, start(), DATA, num_epochs=3, subset=np.arange(4), evaluation=evaluation).evaluations
    np.testing.assert_allclose(totals["total"], [TARGETS.sum()] * 3)


def count(state, batch, key):
    return state + 1, {}


def test_an_evaluation_that_is_never_due_reports_nothing():
    evaluated = train(KEY, descend, start(), DATA, num_epochs=2, evaluation=Evaluation(squared_norm, epochs=()))
    assert evaluated.evaluations["norm"].shape == (0,)


SCORES = jnp.array([jnp.nan, 3.0, jnp.nan, 5.0, 5.0, 1.0])


def read(state, scores):
    return {"score": scores[state]}


@pytest.mark.parametrize(
    ("selection", "epoch", "score"), [({"maximize": "score"}, 3, 5.0), ({"minimize": "score"}, 5, -1.0)]
)
def test_the_best_epoch_is_the_first_with_the_best_score_that_is_a_number(selection, epoch, score):
    best = train(KEY, count, jnp.int32(0), DATA, num_epochs=5, evaluation=Evaluation(read, SCORES, **selection)).best
    assert (best.state, best.epoch, best.score) == (epoch, epoch, score)


def test_only_evaluated_epochs_can_be_the_best():
    evaluation = Evaluation(read, SCORES, epochs=(1, 5), maximize="score")
    assert train(KEY, count, jnp.int32(0), DATA, num_epochs=5, evaluation=evaluation).best.epoch == 1


def test_without_any_score_the_best_state_is_the_initial_one():
    evaluation = Evaluation(read, jnp.full(6, jnp.nan), maximize="score")
    best = train(KEY, count, jnp.int32(0), DATA, num_epochs=5, evaluation=evaluation).best
    assert (best.state, best.epoch, best.score) == (0, 0, -jnp.inf)


def look_up(state, table):
    return {"score": table[state["model"], state["epochs"]]}


def count_epochs(state, batch, key):
    return state | {"epochs": state["epochs"] + 1}, {"draw": jax.random.normal(key)}


SCORES_OF_MODELS = np.array([[0.0, 3, 2, 3, 9, 9, 9], [0, 1, 1, 2, 2, 3, 3], [0, np.nan, np.nan, 9, 9, 9, 9]])


@pytest.mark.parametrize("settings", [{"axis": "map"}, {"axis": "vmap"}, {"callback_every": 2}])
def test_a_model_stops_when_its_patience_is_at_an_end_and_the_others_go_on(settings):
    def run(patience, **settings):
        states = {"epochs": np.zeros(3, int), "model": np.arange(3)}
        evaluation = Evaluation(look_up, SCORES_OF_MODELS, maximize="score", patience=patience)
        keys = jax.random.split(KEY, 3)
        return train_many(keys, count_epochs, states, DATA, num_epochs=6, evaluation=evaluation, **settings)

    patient, stopped = run(None), run(2, **settings)
    np.testing.assert_array_equal(patient.state["epochs"], [6, 6, 6])
    np.testing.assert_array_equal(stopped.state["epochs"], [3, 6, 2])
    np.testing.assert_array_equal(stopped.best.epoch, [1, 5, 0])
    np.testing.assert_array_equal(patient.best.epoch, [4, 5, 3])
    for model, epochs in enumerate([3, 6, 2]):
        for records in ("metrics", "evaluations"):
            for name, record in getattr(stopped, records).items():
                expected = getattr(patient, records)[name][model]
                np.testing.assert_array_equal(record[model, :epochs], expected[:epochs])
                assert np.isnan(record[model, epochs:]).all()


SIDE_BY_SIDE = [{"axis": "map"}, {"axis": "vmap"}, {"axis": "vmap", "models_at_once": 2}]


@pytest.mark.parametrize("settings", SIDE_BY_SIDE)
@pytest.mark.parametrize(
    ("patience", "computed"), [(3, [2, 2, 2, 2, 4, 4, 4, 4, 6, 6, 6, 6]), (1, [2, 2, 2, 2, 4, 4, 4, 4])]
)
def test_only_evaluations_that_are_due_are_computed_and_none_after_the_last_model_stops(settings, patience, computed):
    seen = []

    def score_and_tell(state, data):
        jax.debug.callback(lambda epochs: seen.append(int(epochs)), state["epochs"])
        return {"score": -state["epochs"]}

    states = {"epochs": np.zeros(4, int), "model": np.arange(4)}
    evaluation = Evaluation(score_and_tell, epochs=(2, 4, 6), maximize="score", patience=patience)
    keys = jax.random.split(KEY, 4)
    training = train_many(keys, count_epochs, states, DATA, num_epochs=6, evaluation=evaluation, **settings)
    jax.effects_barrier()
    assert sorted(seen) == computed
    np.testing.assert_array_equal(training.state["epochs"], [computed[-1]] * 4)


def test_a_model_that_has_stopped_does_not_diverge_any_more():
    def grow(state, batch, key):
        return state | {"size": 2.0**400 * state["size"], "epochs": state["epochs"] + 1}, {}

    # the first model stops after two epochs, of which a third would be infinite; the second goes on
    states = {"size": np.array([1, 2.0**-1000]), "epochs": np.zeros(2, int), "sign": np.array([-1, 1])}
    score = lambda state, data: {"score": state["sign"] * state["epochs"]}
    evaluation = Evaluation(score, maximize="score", patience=1)
    keys = jax.random.split(KEY, 2)
    training = train_many(keys, grow, states, DATA, num_epochs=4, evaluation=evaluation, axis="vmap")
    np.testing.assert_array_equal(training.state["size"], [2.0**800, 2.0**600])
    assert not training.diverged.any()


def test_patience_counts_evaluations_and_not_epochs():
    scores = jnp.arange(7.0, 0.0, -1.0)
    evaluation = Evaluation(read, scores, epochs=(1, 3, 5), maximize="score", patience=1)
    training = train(KEY, count, jnp.int32(0), DATA, num_epochs=6, evaluation=evaluation)
    assert (training.state, training.best.epoch) == (3, 1)


@pytest.mark.parametrize(
    ("evaluation", "message"),
    [
        (Evaluation(read, SCORES, maximize="score", patience=0), "patience must be at least 1, got 0"),
        (Evaluation(read, SCORES, patience=2), "maximize or minimize must say of which metric"),
        (Evaluation(read, SCORES, epochs=(1, 3)), r"must increase within 1 to 2, got \[1, 3\]"),
        (Evaluation(read, SCORES, epochs=(2, 1)), r"must increase within 1 to 2, got \[2, 1\]"),
        (Evaluation(read, SCORES, maximize="a", minimize="b"), "'a' or minimize 'b', not both"),
        (Evaluation(read, SCORES, maximize="loss"), "reports no 'loss' to select by; it reports 'score'"),
        (
            Evaluation(lambda state, data: {"score": data}, SCORES, maximize="score"),
            r"must be one number per model, got 'score' of shape \(6,\)",
        ),
    ],
)
def test_impossible_evaluations_are_refused(evaluation, message):
    with pytest.raises(ValueError, match=message):
        train(KEY, count, jnp.int32(0), DATA, num_epochs=2, evaluation=evaluation)
