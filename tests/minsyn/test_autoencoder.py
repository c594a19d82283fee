"""Readers of continuous codes against products of densities, what trains what, and errors by their words."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.stats import norm

from infotheory_dl import data, training
from infotheory_dl.minsyn import _decoding, _families, autoencoder

KEY = jax.random.key(0)
THINGS = data.grue_bleen(KEY, 200, pixels=4, flip=0.05)
SETTINGS = {"variables": "binary", "widths": (8,), "head_widths": (4,), "batch_size": 64, "learning_rate": 0.02}
TRUTH = data.correlated_groups(KEY, 6, 2, correlation=0.5)
ONE_OUTPUT = training.Network(lambda key, inputs: jnp.zeros(()), lambda variables, inputs: inputs[:, :1])
REALS = 1e3 + np.asarray(data.sample_latent_factors(jax.random.key(1), TRUTH, 200))


@pytest.fixture(scope="module")
def things():
    return autoencoder.fit(KEY, THINGS.x, 2, num_epochs=60, restarts=2, **SETTINGS)


def test_codes_of_grue_things_are_colour_and_time(things):
    codes = np.asarray(autoencoder.transform(things, THINGS.x))
    np.testing.assert_allclose(codes.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(codes.std(0), 1, atol=1e-3)
    of = np.abs(np.corrcoef(codes.T, [THINGS.colour, THINGS.time, THINGS.grue])[:2, 2:])
    assert of[:, :2].max(1).min() > 0.85
    assert set(of.argmax(1)) == {0, 1}
    assert things.variable_informations.sum() > 2
    assert things.objectives[things.best] == things.objectives.min()
    np.testing.assert_allclose(things.capacities, np.log(1 + 1 / things.codes.noise**2) / 2, rtol=1e-6)
    weighed = things.losses.independent.sum() + 8e-3 * things.capacities.sum()
    np.testing.assert_allclose(things.objectives[things.best], weighed, rtol=1e-6)
    np.testing.assert_allclose(things.synergies, things.losses.independent - things.losses.joint)


def test_logits_that_heads_say_beyond_the_margin_are_added_up(things):
    codes = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    logit = lambda p: np.log(p) - np.log(1 - p)
    total = logit(np.asarray(things.margin[1])) * np.ones((5, 1))
    for j in range(2):
        hidden = codes[:, j : j + 1]
        layers = jax.tree.map(lambda leaf, j=j: leaf[j], things.heads)["params"]
        for place in range(2):
            layer = layers[f"Dense_{place}"]
            hidden = np.maximum(hidden, 0) if place else hidden
            hidden = hidden @ layer["kernel"] + layer["bias"]
        total += hidden
    read = autoencoder.predict(things, codes)
    np.testing.assert_allclose(read, 1 / (1 + np.exp(-total)), rtol=1e-4)
    together = autoencoder.predict(things, codes, reader="joint")
    assert together.shape == read.shape
    assert not np.allclose(together, read)


def test_a_fit_is_kept_in_a_file(things, tmp_path):
    loaded = autoencoder.load(autoencoder.save(tmp_path / "things.npz", things))
    found = autoencoder.transform(loaded, THINGS.x, batch_size=64)
    np.testing.assert_allclose(found, autoencoder.transform(things, THINGS.x), atol=1e-5)


def test_densities_of_gaussian_heads_are_multiplied_and_divided_by_the_margin():
    family = _families.GAUSSIAN
    # heads surer than the margin, whose product is a density
    outputs = np.abs(np.random.default_rng(0).normal(size=(1, 3, 2, 4)))
    margin = jnp.stack([jnp.zeros(4), jnp.ones(4)])
    said = family.of_head(jnp.asarray(outputs), family.natural(margin))
    grid = np.linspace(-30, 30, 20001)
    for i in range(4):
        density = norm.pdf(grid)
        for j in range(3):
            mean, log_precision = outputs[0, j, :, i]
            density = density * norm.pdf(grid, mean, np.exp(-log_precision / 2)) / norm.pdf(grid)
        natural = _decoding.added_up(family, said, margin)[0, :, i : i + 1]
        density /= density.sum() * (grid[1] - grid[0])
        np.testing.assert_allclose(family.mean(natural)[0], grid @ density * (grid[1] - grid[0]), atol=1e-6)
        at = jnp.full((1,), 0.7)
        found = _families.cross_entropies(family, natural, family.statistics(at))
        np.testing.assert_allclose(found[0], -np.log(np.interp(0.7, grid, density)), atol=1e-4)


def test_reals_are_read_in_their_units_whatever_these_are():
    settings = SETTINGS | {"variables": "gaussian", "num_epochs": 20}
    found = autoencoder.fit(KEY, REALS.astype(np.float32), 2, **settings)
    codes = autoencoder.transform(found, REALS)
    for reader in ("independent", "joint"):
        read = autoencoder.predict(found, codes, reader=reader)
        assert np.mean((read - REALS) ** 2) < 0.8 * REALS.var(0).mean()
    # a margin of mean zero and variance one loses log(2 pi e) / 2
    np.testing.assert_allclose(found.losses.margin, np.log(2 * np.pi * np.e) / 2, rtol=1e-4)


@pytest.fixture(scope="module")
def step():
    """What one step of gradient descent moves, by reader and by the share of the heads in its loss."""
    family = _families.discrete(2)
    x = jnp.asarray(THINGS.x[:16], float)
    margin = family.margin(family.statistics(x).mean(0), jnp.asarray(0.01))
    linear = training.Network(lambda key, inputs: jnp.eye(8)[:, ::4], lambda kernel, inputs: inputs @ kernel)
    decoders = _decoding.decoders_of(family, 8, (4,), (4,))

    def moved(reader, share, learns_noise=True):
        system = _decoding.system_of(family, linear, decoders, optax.sgd(1.0), reader, share, learns_noise, 16)
        state = system.init(jnp.eye(8)[:, ::4], key=KEY, noise=jnp.full(2, 0.1))
        shared = (margin, jnp.asarray(0.5), jnp.zeros((16, 2)))
        batch = training.Batch(x, jnp.ones(16, bool), np.arange(16), shared)
        after, _ = jax.jit(system.step)(state, batch, KEY)
        part = lambda state: {"encoder": state.encoder.params, **state.decoders.params}
        return jax.tree.map(lambda a, b: np.asarray(a - b), part(after), part(state))

    return moved


def same(one, two):
    return all(np.allclose(a, b, atol=1e-12) for a, b in zip(*map(jax.tree.leaves, (one, two)), strict=True))


def test_readers_differ_in_what_trains_encoder_and_heads(step):
    tied, soft, free, joint = (
        step("independent", 0.0),
        step("independent", 0.5),
        step("free_additive", 1.0),
        step("joint", 0.0),
    )
    # the loss of the encoder is the reader's, whatever trains the heads
    assert same(tied["encoder"], free["encoder"])
    assert not same(tied["encoder"], joint["encoder"])
    # heads of their own likelihood know of no reader, and soft ones are between
    assert same(tied["heads"], joint["heads"])
    assert not same(tied["heads"], free["heads"])
    halfway = jax.tree.map(lambda a, b: (a + b) / 2, tied["heads"], free["heads"])
    assert same(soft["heads"], halfway)
    # the decoder of all factors is trained beside each
    assert same(tied["joint"], joint["joint"])


def test_noise_that_costs_nothing_stays(step):
    assert same(step("independent", 0.0, learns_noise=False)["log_noise"], np.zeros(2))


@pytest.mark.usefixtures("as_a_user_sees")
@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"encoder": ONE_OUTPUT},
            r"outputs of the encoder must have the shape \(1, 2\), one for each factor",
        ),
        ({"reader": "both"}, "unknown reader 'both'; choose one of 'independent', 'joint', 'free_additive'"),
        ({"reader": "joint", "tie": "soft"}, "tie='soft' is of the heads of reader='independent', got reader='joint'"),
        ({"tie": "loose"}, "unknown tie 'loose'"),
        ({"num_factors": 0}, "num_factors must be at least 1"),
        ({"batch_size": 1}, "batch_size must be at least 2"),
        ({"widths": (8, 0)}, r"widths\[1\] must be at least 1, got 0"),
        ({"noise": 0.0}, "noise must be positive"),
        ({"capacity_weight": -1.0}, "capacity_weight must be finite and not negative"),
        ({"x": THINGS.x + 1}, "x must be 0, 1 or a probability, got 2"),
        ({"x": REALS[:, :1] * [0, 1], "variables": "gaussian"}, "x has 1 of 2 columns that do not vary"),
    ],
)
def test_what_cannot_be_fitted_is_refused(settings, told):
    given = {"x": THINGS.x, "num_factors": 2} | SETTINGS | settings
    with pytest.raises(ValueError, match=told):
        autoencoder.fit(KEY, **given)


@pytest.mark.usefixtures("as_a_user_sees")
def test_what_cannot_be_read_is_refused(things):
    with pytest.raises(ValueError, match="must have the 8 variables of the training data"):
        autoencoder.transform(things, THINGS.x[:, :3])
    with pytest.raises(ValueError, match=r"codes must have the shape \(1, 2\), of the fit's factors"):
        autoencoder.predict(things, np.zeros((1, 3)))
    with pytest.raises(ValueError, match="unknown reader 'free_additive'"):
        autoencoder.predict(things, np.zeros((1, 2)), reader="free_additive")
