"""Langevin dynamics, its schedule, and the variance of gradients, against the published code in double precision."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from infotheory_dl import networks, training
from infotheory_dl.fcmi import sgld
from tests.conftest import reference
from tests.fcmi.published_network import CROSS_ENTROPY, network, pixels, variables

KEY = jax.random.key(0)


def linear(params, inputs):
    return inputs @ params


def squared_errors(params, data):
    inputs, targets = data
    return jnp.square(linear(params, inputs) - targets) / 2


@pytest.mark.parametrize(
    ("name", "schedule"),
    [("mnist", sgld.annealing()), ("cifar", sgld.annealing(0.01, period=300, coldest=16000.0))],
)
def test_the_schedules_are_the_published_ones(name, schedule):
    arrays = reference("fcmi_mi_sgld")
    rates, inverse_temperatures = sgld.histories(schedule, 2000)
    np.testing.assert_allclose(rates, arrays[f"sched_{name}_lr"], rtol=1e-12)
    np.testing.assert_allclose(inverse_temperatures, arrays[f"sched_{name}_beta"], rtol=1e-12)


def test_the_published_trajectory_is_followed_step_by_step():
    arrays = reference("fcmi_sgld")
    cnn = network(arrays)
    forward = networks.train_fn(cnn)
    state, n, size = variables(arrays), int(arrays["n"]), int(arrays["batch_size"])
    data = pixels(arrays["images_u8"]), arrays["labels"].astype(int)

    @jax.jit
    def step(state, batch, normals, rate, inverse_temperature):
        def loss(params):
            outputs, changed = forward({**state, "params": params}, batch[0], None, KEY)
            return CROSS_ENTROPY(outputs, batch[1]).mean(), changed

        gradient, changed = jax.grad(loss, has_aux=True)(state["params"])
        change = sgld.langevin_update(gradient, normals, rate, inverse_temperature, noise="original")
        state = {"params": optax.apply_updates(state["params"], change), **changed}
        losses = lambda params, data: CROSS_ENTROPY(cnn.apply({**state, "params": params}, data[0]), data[1])
        return state, sgld.gradient_variance(losses, state["params"], data, batch_size=16)

    rates, inverse_temperatures = sgld.histories(sgld.annealing(), 12)
    np.testing.assert_allclose(rates, arrays["lr_hist"], rtol=1e-12)
    np.testing.assert_allclose(inverse_temperatures, arrays["beta_hist"], rtol=1e-12)
    for number in range(12):
        rows = slice(number * size % n, number * size % n + size)
        drawn = {f"z/{name[5:]}": arrays.get(f"z/{name[5:]}") for name in arrays if name.startswith("init/")}
        normals = {name: np.zeros(20) if values is None else values[number] for name, values in drawn.items()}
        state, variance = step(
            state,
            (data[0][rows], data[1][rows]),
            variables(normals, "z")["params"],
            rates[number],
            inverse_temperatures[number],
        )
        np.testing.assert_allclose(variance, arrays["grad_variance_hist"][number], rtol=1e-10)
    expected = variables(arrays, "final")
    jax.tree.map(lambda ours, theirs: np.testing.assert_allclose(ours, theirs, atol=1e-12), state, expected)
    np.testing.assert_allclose(cnn.apply(state, data[0]), arrays["eval_logits"], atol=1e-11)


def test_the_variance_of_gradients_is_the_trace_of_their_covariance():
    arrays = reference("fcmi_mi_sgld")
    gradients = arrays["gv_grads"]
    products = lambda params, data: data[0] @ params
    for size in (7, 20, 50):
        variance = sgld.gradient_variance(products, np.zeros(gradients.shape[1]), (gradients,), batch_size=size)
        np.testing.assert_allclose(variance, arrays["gv_value"], rtol=1e-12)
    np.testing.assert_allclose(arrays["gv_value"], gradients.var(0).sum(), rtol=1e-12)


def test_the_stationary_distribution_is_that_of_the_temperature():
    # w <- (1 - rate) w + sqrt(2 rate / beta) xi has the variance 2 / (beta (2 - rate))
    rate, inverse_temperature = 0.2, 7.0
    constant = sgld.Annealing(lambda count: jnp.full_like(count, rate, float), lambda count: inverse_temperature)
    optimizer = sgld.langevin(constant)

    def step(carry, key):
        params, state = carry
        change, state = optimizer.update(params, state, params, key=key)
        return (params + change, state), None

    params = jnp.zeros(5000)
    (params, state), _ = jax.lax.scan(step, (params, optimizer.init(params)), jax.random.split(KEY, 60))
    assert state.updates == 60
    np.testing.assert_allclose(params.var(), 2 / (inverse_temperature * (2 - rate)), rtol=0.06)


def test_the_published_noise_is_smaller_by_the_inverse_temperature():
    zero, normals = jnp.zeros(3), jnp.array([1.0, -2.0, 0.5])
    paper = sgld.langevin_update(zero, normals, 0.1, 50.0)
    np.testing.assert_allclose(paper, np.sqrt(2 * 0.1 / 50) * normals, rtol=1e-15)
    np.testing.assert_allclose(sgld.langevin_update(zero, normals, 0.1, 50.0, noise="original"), paper / 50)


def test_a_tracked_training_reports_the_variance_where_it_arrives():
    random = np.random.default_rng(0)
    data = random.normal(size=(30, 3)), random.normal(size=30)
    plain = training.supervised(
        linear, sgld.langevin(sgld.annealing()), lambda outputs, targets: (outputs - targets) ** 2
    )
    subsets = np.stack([np.arange(12), np.arange(15, 27)])

    def variances(**settings):
        system = sgld.track_gradient_variance(plain, squared_errors, **settings)
        states = jax.vmap(system.init)(jnp.zeros((2, 3)), subsets)
        plan = {"shared": data, "num_epochs": 3, "batch_size": 6, "subsets": subsets}
        trained = training.train_many(jax.random.split(KEY, 2), system.step, states, data, **plan)
        return trained.metrics["gradient_variance"].reshape(2, 6), trained.state

    values, tracked = variances(num_examples=12)
    for model, rows in enumerate(subsets):
        inputs, targets = data[0][rows], data[1][rows]
        gradients = (inputs @ tracked.state.params[model] - targets)[:, None] * inputs
        np.testing.assert_allclose(values[model, -1], np.var(gradients, axis=0).sum(), rtol=1e-12)
    held, _ = variances(num_examples=5, every=4, batch_size=2)
    assert (held[:, 1:4] == held[:, :1]).all()
    assert (held[:, 4] != held[:, 3]).all()
    assert (held[:, 5] == held[:, 4]).all()


def test_impossible_settings_are_refused(as_a_user_sees):
    with pytest.raises(ValueError, match=r"period must be positive, got 0"):
        sgld.annealing(period=0)
    with pytest.raises(ValueError, match="unknown noise 'pink'; choose one of 'paper', 'original'"):
        sgld.langevin(sgld.annealing(), noise="pink")
    with pytest.raises(ValueError, match="every must be at least 1, got 0"):
        sgld.track_gradient_variance(None, squared_errors, every=0)
