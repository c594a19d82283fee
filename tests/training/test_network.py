"""What becomes a network, and one step of its optimizer."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from infotheory_dl import networks
from infotheory_dl.training import Network, as_network, begin, descend, draw_states, forward, supervised

KEY = jax.random.key(0)
INPUTS = np.random.default_rng(0).normal(size=(4, 3))
MASK = jnp.ones(4, bool)


def linear(params, inputs):
    return inputs @ params


def draw(key, inputs):
    return jax.random.normal(key, (inputs.shape[-1], 2))


class Pair:
    """Anything with the two functions."""

    def init(self, key, inputs):
        return draw(key, inputs)

    def apply(self, params, inputs):
        return linear(params, inputs)


@pytest.mark.parametrize("given", [(draw, linear), Pair(), Network(draw, linear)])
def test_a_pair_an_object_with_both_and_a_network_are_one(given):
    network = as_network(given)
    params = network.init(KEY, INPUTS)
    np.testing.assert_array_equal(network.apply(params, INPUTS), linear(draw(KEY, INPUTS), INPUTS))
    assert network.train is None


def test_a_function_alone_predicts_but_draws_nothing():
    network = as_network(linear)
    np.testing.assert_array_equal(network.apply(jnp.ones((3, 2)), INPUTS), linear(jnp.ones((3, 2)), INPUTS))
    with pytest.raises(TypeError, match="cannot draw its variables: give a flax module, or a pair"):
        network.init(KEY, INPUTS)


def test_what_is_no_network_is_refused(as_a_user_sees):
    with pytest.raises(TypeError, match=r"a function apply_fn\(params, inputs\), got int"):
        as_network(3)


def test_a_flax_module_trains_with_its_moments_if_it_can():
    module = networks.MLP((5,), 2, batch_norm=True)
    network = as_network(module)
    state = begin(network, optax.sgd(0.1), network.init(KEY, INPUTS))
    outputs, collections = forward(KEY, network, state, INPUTS, MASK)
    expected, changed = module.apply(state.variables, INPUTS, train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(outputs, expected, rtol=1e-12)
    jax.tree.map(np.testing.assert_array_equal, collections, dict(changed))
    moved = descend(KEY, optax.sgd(0.1), state, jax.tree.map(jnp.ones_like, state.params), collections)
    jax.tree.map(lambda new, old: np.testing.assert_allclose(new, old - 0.1), moved.params, state.params)
    assert moved.variables["batch_stats"] is collections["batch_stats"]


def test_a_flax_module_that_takes_no_mask_is_told_that_it_trains():
    class Dropping(nn.Module):
        @nn.compact
        def __call__(self, inputs, *, train=False):
            return nn.Dropout(0.5, deterministic=not train)(inputs)

    outputs, _ = as_network(Dropping()).train({"params": {}}, jnp.ones((4, 50)), MASK, KEY)
    assert set(np.unique(outputs)) == {0, 2}
    assert as_network(nn.Dense(2)).train is None


def test_equal_networks_give_one_system_for_which_nothing_is_compiled_anew():
    adam, loss = optax.adam(1e-3), optax.softmax_cross_entropy_with_integer_labels
    first, second = (supervised(networks.MLP((5,), 2), adam, loss) for _ in range(2))
    assert first is second
    assert as_network((draw, linear)) == as_network((draw, linear))


def test_states_are_drawn_with_variables_of_their_own():
    system = supervised((draw, linear), optax.adam(1e-3), optax.softmax_cross_entropy_with_integer_labels)
    keys = jax.random.split(KEY, 3)
    states = draw_states(keys, (draw, linear), system, INPUTS)
    for model, key in enumerate(keys):
        np.testing.assert_array_equal(states.params[model], draw(key, INPUTS))


def test_variables_without_parameters_are_refused():
    network = Network(draw, linear, lambda variables, inputs, mask, key: (inputs, {}))
    with pytest.raises(ValueError, match='has its parameters under "params"'):
        begin(network, optax.sgd(0.1), draw(KEY, INPUTS))
