"""Models that are trained side by side on labels, or rows, of their own."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from infotheory_dl.training import (
    Evaluation,
    draw_states,
    of_variants,
    own_labels,
    own_rows,
    supervised,
    train,
    train_many,
)

KEYS = jax.random.split(jax.random.key(0), 4)
RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.normal(size=(9, 4))
LABELS = RANDOM.integers(0, 3, (9, 2))
VARIANTS = np.array([1, 0, 0, 1])
PLAN = {"num_epochs": 2, "batch_size": 4}

NETWORK = (lambda key, inputs: jax.random.normal(key, (4, 3)), lambda params, inputs: inputs @ params)
SYSTEM = supervised(NETWORK, optax.sgd(0.5), optax.softmax_cross_entropy_with_integer_labels)


def test_every_model_is_trained_as_on_its_own_labels_alone_and_evaluated_on_its_own_rows():
    rows = np.array([[0, 2, 4], [1, 3, 5]])
    own = lambda data, variant: own_labels(own_rows(data, variant), variant)
    system = of_variants(SYSTEM, evaluation=own)
    states = draw_states(KEYS, NETWORK, system, INPUTS, variant=VARIANTS)
    evaluation = Evaluation(system.evaluate, (INPUTS, LABELS, rows), epochs=(2,))
    trained = train_many(KEYS, system.step, states, (INPUTS, LABELS), evaluation=evaluation, **PLAN)
    for model, variant in enumerate(VARIANTS):
        labels = LABELS[:, variant]
        state = SYSTEM.init(NETWORK[0](KEYS[model], INPUTS))
        looked_at = Evaluation(SYSTEM.evaluate, (INPUTS[rows[variant]], labels[rows[variant]]), epochs=(2,))
        alone = train(KEYS[model], SYSTEM.step, state, (INPUTS, labels), evaluation=looked_at, **PLAN)
        np.testing.assert_allclose(trained.state.variables[model], alone.state.variables, rtol=1e-12)
        np.testing.assert_allclose(trained.evaluations["loss"][model], alone.evaluations["loss"], rtol=1e-12)


def test_data_that_all_models_have_in_common_reach_the_system_as_they_are():
    system = of_variants(SYSTEM, step=None)
    state = system.init(jnp.ones((4, 3)), variant=1)
    assert system.evaluate(state, (INPUTS, LABELS[:, 0])) == SYSTEM.evaluate(state.state, (INPUTS, LABELS[:, 0]))


def test_equal_arguments_give_one_system_for_which_nothing_is_compiled_anew():
    assert of_variants(SYSTEM, evaluation=own_rows) is of_variants(SYSTEM, evaluation=own_rows)
