"""Experts and their reader against counting, decoders of pmfs and densities; fits against known causes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from infotheory_dl import data, networks, training
from infotheory_dl.information import synergy
from infotheory_dl.minsyn import _families, _reading, categorical, evaluation
from tests.conftest import reference

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)
NUM_SAMPLES, NUM_VARIABLES, SHAPE = 40, 5, (2, 3)
CODES = RANDOM.integers(0, 3, (NUM_SAMPLES, 2))
ONE_HOT = np.eye(3)[CODES]
SOFT = RANDOM.dirichlet(np.ones(3), (NUM_SAMPLES, 2))
BITS = RANDOM.integers(0, 2, (NUM_SAMPLES, NUM_VARIABLES))
LEVELS = RANDOM.integers(0, 4, (NUM_SAMPLES, NUM_VARIABLES))
REALS = 3 + 2 * RANDOM.normal(size=(NUM_SAMPLES, NUM_VARIABLES)) + CODES[:, :1]


def model_of(reading, moments=None):
    """A fit whose responsibilities are given, to read by."""
    one = jnp.zeros(1)
    return categorical.CategoricalMinSyn({}, reading, one, jnp.array(0), one > 0, moments)


@pytest.mark.parametrize("q", [ONE_HOT, SOFT], ids=["certain", "uncertain"])
def test_experts_and_the_reader_of_bits_are_counts_and_sums_of_logits(q):
    a = 0.1
    found = categorical.read_by_experts(q, BITS, smoothing=a, capacity_weight=0.5)
    margin = (BITS.sum(0) + a) / (NUM_SAMPLES + 2 * a)
    logit = lambda p: np.log(p) - np.log(1 - p)
    total = np.tile(logit(margin), (NUM_SAMPLES, 1))
    for j in range(2):
        for k in range(3):
            expert = (q[:, j, k] @ BITS + a * margin) / (q[:, j, k].sum() + a)
            np.testing.assert_allclose(found.experts[j, k, 1], expert, rtol=1e-12)
            total += np.outer(q[:, j, k], logit(expert) - logit(margin))
    chance = 1 / (1 + np.exp(-total))
    losses = -np.log(np.where(BITS, chance, 1 - chance)).mean(0)
    entropy = lambda p: -np.sum(p * np.log(np.where(p > 0, p, 1)), -1)
    informations = entropy(q.mean(0)) - entropy(q).mean(0)
    np.testing.assert_allclose(found.factor_informations, informations, rtol=1e-12)
    np.testing.assert_allclose(found.loss, losses.sum() + 0.5 * informations.sum(), rtol=1e-12)
    of_margin = -np.log(np.where(BITS, margin, 1 - margin)).mean(0)
    np.testing.assert_allclose(found.variable_informations, of_margin - losses, atol=1e-12)
    np.testing.assert_allclose(categorical.predict(model_of(found), q), chance, rtol=1e-10)


@pytest.mark.parametrize("num_levels", [2, 4])
def test_the_reader_of_certain_states_is_the_independent_decoder_of_their_pmf(num_levels):
    x = np.minimum(LEVELS, num_levels - 1)
    found = categorical.read_by_experts(ONE_HOT, x, variables="categorical", smoothing=1e-9)
    read = categorical.predict(model_of(found), ONE_HOT).reshape(NUM_SAMPLES, NUM_VARIABLES, -1)
    for i in range(NUM_VARIABLES):
        pmf = np.zeros((num_levels, 3, 3))
        np.add.at(pmf, (x[:, i], *CODES.T), 1 / NUM_SAMPLES)
        decoder = synergy.independent_decoder(pmf)
        expected = np.asarray(decoder)[:, CODES[:, 0], CODES[:, 1]].T
        np.testing.assert_allclose(read[:, i], expected[:, 1:] if num_levels == 2 else expected, atol=1e-7)
        information = synergy.discrete(pmf).independent_information
        np.testing.assert_allclose(found.variable_informations[i], information, atol=1e-6)


def test_gaussian_experts_are_means_with_one_variance_whose_densities_are_multiplied():
    found = categorical.read_by_experts(ONE_HOT, REALS, variables="gaussian", smoothing=1e-9)
    x = (REALS - REALS.mean(0)) / REALS.std(0)
    means = np.stack([[x[CODES[:, j] == k].mean(0) for k in range(3)] for j in range(2)])
    variances = np.stack([((x - means[j][CODES[:, j]]) ** 2).mean(0) for j in range(2)])
    np.testing.assert_allclose(found.experts[:, :, 0], means, rtol=1e-7)
    np.testing.assert_allclose(found.experts[:, 0, 1], variances, rtol=1e-7)
    np.testing.assert_allclose(found.experts[:, 2, 1], variances, rtol=1e-7)
    grid = np.linspace(-12, 12, 4001)
    of_experts = [norm.pdf(grid, means[j][CODES[0, j], 0], variances[j, 0] ** 0.5) for j in range(2)]
    density = of_experts[0] * of_experts[1] / norm.pdf(grid)
    density /= density.sum()
    moments = data.pixel_moments(REALS, per="pixel")
    read = categorical.predict(model_of(found, moments), ONE_HOT)
    np.testing.assert_allclose((read[0, 0] - REALS[:, 0].mean()) / REALS[:, 0].std(), density @ grid, atol=1e-6)
    assert found.variable_informations[0] > 0


def test_a_change_of_units_changes_nothing_of_gaussian_variables():
    one = categorical.read_by_experts(SOFT, REALS, variables="gaussian")
    two = categorical.read_by_experts(SOFT, 1e6 - 1e3 * REALS, variables="gaussian")
    np.testing.assert_allclose(two.loss, one.loss, rtol=1e-9)
    np.testing.assert_allclose(two.experts[:, :, 0], -one.experts[:, :, 0], atol=1e-9)


@settings(max_examples=10, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1))
def test_orders_of_samples_variables_factors_and_states_change_nothing(seed):
    random = np.random.default_rng(seed)
    rows, columns, states = (random.permutation(size) for size in (NUM_SAMPLES, NUM_VARIABLES, 3))
    one = categorical.read_by_experts(SOFT, BITS, capacity_weight=0.5)
    q, x = SOFT[rows][:, ::-1][:, :, states], pd.DataFrame(BITS[rows][:, columns])
    two = categorical.read_by_experts(q, x, capacity_weight=0.5)
    np.testing.assert_allclose(two.loss, one.loss, rtol=1e-12)
    np.testing.assert_allclose(two.variable_informations, one.variable_informations[columns], atol=1e-12)
    np.testing.assert_allclose(two.factor_informations, one.factor_informations[::-1], atol=1e-12)
    np.testing.assert_allclose(two.experts, one.experts[::-1][:, states][..., columns], atol=1e-12)


def test_states_that_no_sample_has_say_what_the_margin_says():
    q = np.zeros((NUM_SAMPLES, 1, 3))
    q[:, 0, 0] = 1
    found = categorical.read_by_experts(np.repeat(q, 2, axis=1), BITS)
    np.testing.assert_allclose(found.experts[0, 2], found.margin, rtol=1e-12)
    # nor do states that all samples have, but for the smoothing of the margin
    np.testing.assert_allclose(found.variable_informations, 0, atol=1e-6)
    gradient = jax.grad(lambda q: categorical.read_by_experts(q, BITS, capacity_weight=1.0).loss)(jnp.asarray(SOFT))
    assert np.isfinite(gradient).all()


def stepped(batches, decay, rate=0.0):
    """A state after steps on batches, and the metrics of the last, of a network whose outputs are given."""
    logits = np.log(SOFT).reshape(NUM_SAMPLES, -1)
    table = jnp.asarray(np.unique(BITS, axis=0))
    # a network that looks up what it was given for the bits of a sample
    places = np.array([np.flatnonzero((np.unique(BITS, axis=0) == row).all(1))[0] for row in BITS])
    kernel = jnp.zeros((len(table), logits.shape[1])).at[places].set(logits)
    family = _families.discrete(2)
    setting = _reading.setting_of(family, jnp.asarray(BITS, float), 0.1, 0.5)
    look_up = lambda kernel, inputs: kernel[
        jnp.argmax((jnp.abs(inputs[:, None] + setting.margin[1] - table) < 0.5).all(-1), axis=1)
    ]
    network = training.Network(lambda key, inputs: kernel, look_up)
    system = _reading.system_of(family, network, SHAPE, optax.sgd(rate), 10, decay, None)
    zero = jnp.zeros(())
    state = system.init(
        kernel,
        sums=jnp.zeros((*SHAPE, 2, NUM_VARIABLES)),
        noise=zero,
        temperature=jnp.ones(()),
        capacity_weight=jnp.asarray(0.5),
    )
    metrics, step = {}, jax.jit(system.step)
    for rows in batches:
        batch = training.Batch(jnp.asarray(BITS[rows], float), jnp.ones(len(rows), bool), rows, setting)
        state, metrics = step(state, batch, KEY)
    encoded = jax.nn.softmax(look_up(kernel, BITS - setting.margin[1]).reshape(NUM_SAMPLES, *SHAPE))
    return (
        state,
        metrics,
        encoded,
        jax.grad(
            lambda kernel: (
                _reading.reading(
                    family,
                    _reading.encoder(family, network, kernel, setting.margin, SHAPE),
                    (jnp.asarray(BITS, float),),
                    setting,
                ).loss
            )
        )(kernel),
    )


def test_a_step_on_all_samples_descends_the_loss_of_the_reading():
    everything = np.arange(NUM_SAMPLES)
    state, metrics, q, gradient = stepped([everything], decay=0.0, rate=1.0)
    before, *_ = stepped([], decay=0.0)
    np.testing.assert_allclose(metrics["loss"], categorical.read_by_experts(q, BITS, capacity_weight=0.5).loss)
    np.testing.assert_allclose(before.network.params - state.network.params, gradient, atol=1e-12)


def test_running_means_weigh_the_batches_before_by_the_decay():
    halves = np.split(np.arange(NUM_SAMPLES), 2)
    state, metrics, q, _ = stepped(halves, decay=0.75)
    first, second = (q[rows].mean(0) for rows in halves)
    np.testing.assert_allclose(state.shares, 0.25 * (0.75 * first + second), rtol=1e-12)
    products = [np.einsum("ljk,li->jki", q[rows], BITS[rows]) / len(rows) for rows in halves]
    np.testing.assert_allclose(state.sums[:, :, 1], 0.25 * (0.75 * products[0] + products[1]), rtol=1e-12)
    # what is read by are the means over what has been seen: here of two batches
    shares, sums = (0.75 * a + b for a, b in ((first, second), products))
    margin = (BITS.mean(0) + 0.1 / NUM_SAMPLES) / (1 + 0.2 / NUM_SAMPLES)
    weight = 0.1 / NUM_SAMPLES
    experts = (sums / 1.75 + weight * margin) / (shares / 1.75 + weight)[..., None]
    logit = lambda p: np.log(p) - np.log(1 - p)
    total = logit(margin) + np.einsum("ljk,jki->li", q[halves[1]], logit(experts) - logit(margin))
    losses = np.log1p(np.exp(np.where(BITS[halves[1]], -total, total))).sum(1).mean()
    entropy = lambda p: -np.sum(p * np.log(p), -1)
    capacity = (entropy(shares / 1.75) - entropy(q[halves[1]]).mean(0)).sum()
    np.testing.assert_allclose(metrics["loss"], losses + 0.5 * capacity, rtol=1e-9)


THINGS = data.grue_bleen(KEY, 200, flip=0.05)
CAUSES = np.stack([THINGS.colour, THINGS.time], axis=1)
SETTINGS = {"num_states": 2, "restarts": 3, "num_steps": 200}


@pytest.fixture(scope="module")
def things():
    return categorical.fit(KEY, THINGS.x, 2, **SETTINGS)


def test_grue_things_have_colour_and_time(things):
    q = categorical.transform(things, THINGS.x)
    assert evaluation.matched_information(q.argmax(-1), CAUSES).score > 0.9
    np.testing.assert_allclose(q.sum(-1), 1, rtol=1e-5)
    np.testing.assert_allclose(categorical.transform(things, THINGS.x, batch_size=64), q, atol=1e-6)
    assert things.reading.loss == things.losses[things.best] == things.losses.min()
    again = categorical.read_by_experts(q, THINGS.x)
    np.testing.assert_allclose(again.loss, things.reading.loss, rtol=1e-5)
    np.testing.assert_allclose(again.variable_informations, things.reading.variable_informations, atol=1e-5)
    right = (categorical.predict(things, q) > 0.5) == (CAUSES.repeat(8, axis=1) == 1)
    assert right.mean() > 0.95


def test_a_fit_is_kept_in_a_file(things, tmp_path):
    loaded = categorical.load(categorical.save(tmp_path / "things.npz", things))
    np.testing.assert_array_equal(categorical.transform(loaded, THINGS.x), categorical.transform(things, THINGS.x))


def test_batches_and_other_networks_find_them_too():
    network = networks.MLP(widths=(8,), outputs=4)
    changed = SETTINGS | {"learning_rate": 0.01, "restarts": 2, "initial_capacity_weight": [3.0, 1.0]}
    found = categorical.fit(KEY, THINGS.x, 2, network=network, batch_size=64, **changed)
    codes = categorical.transform(found, THINGS.x, network=network).argmax(-1)
    assert evaluation.matched_information(codes, CAUSES).score > 0.9


def test_correlated_groups_are_found():
    truth = data.correlated_groups(KEY, 12, 2, correlation=0.7)
    x = data.sample_latent_factors(jax.random.key(1), truth, 300)
    changed = SETTINGS | {"num_states": 3, "variables": "gaussian"}
    found = categorical.fit(KEY, x.astype(np.float32), 2, **changed)
    told = np.var(found.reading.experts[:, :, 0], axis=1)
    groups = told.argmax(0)
    assert (groups == truth.parents).all() or (groups == 1 - truth.parents).all()
    units = categorical.predict(found, categorical.transform(found, x))
    assert np.corrcoef(units[:, 0], x[:, 0])[0, 1] > 0.7


def test_letters_of_words_are_told_apart():
    case = reference("minsyn_words")
    glyphs = dict(zip(case["glyph_chars"].tolist(), case["glyphs"], strict=True))
    grid = data.word_grid()
    images = np.stack([np.hstack([glyphs[letter] for letter in word])[::2, ::2].ravel() for word in grid.words]) > 127
    x = images[:, images[grid.valid].std(0) > 0].astype(np.float32)
    found = categorical.fit(KEY, x[grid.valid], 3, restarts=4, num_steps=800)
    codes = categorical.transform(found, x).argmax(-1)
    # of sixteen restarts more than .99; how near the best of four comes differs between versions of jax
    assert evaluation.matched_information(codes, grid.labels).score > 0.8


@pytest.mark.usefixtures("as_a_user_sees")
@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"x": 2 * BITS}, r"x must be 0, 1 or a probability, got 2 at index .*variables='categorical'"),
        ({"x": BITS.astype(float) + np.where(np.arange(5) == 3, np.nan, 0)}, "x has 40 of 200 entries that are NaN"),
        ({"x": BITS[:1]}, "x must have at least 2 samples, got 1"),
        ({"x": BITS[0]}, r"x must have 2 axes \(samples, variables\)"),
        ({"x": REALS, "variables": "categorical"}, "x must hold whole numbers from 0 to"),
        ({"x": LEVELS, "variables": "categorical", "num_levels": 3}, "x must hold whole numbers from 0 to 2, got 3"),
        ({"num_levels": 3}, "num_levels is of variables='categorical', got variables='binary'"),
        ({"x": REALS * [1, 0, 1, 1, 0], "variables": "gaussian"}, "x has 2 of 5 columns that do not vary, the first"),
        ({"variables": "poisson"}, "unknown variables 'poisson'; choose one of 'binary'"),
        ({"num_factors": 0}, "num_factors must be at least 1, got 0"),
        ({"num_states": 1}, "num_states must be at least 2, got 1"),
        ({"restarts": 0}, "restarts must be at least 1"),
        ({"smoothing": 0.0}, "smoothing must be positive, got 0.0"),
        ({"capacity_weight": -1.0}, "capacity_weight must be finite and not negative"),
        ({"temperature": 0.0}, "temperature must be positive"),
        ({"decay": 1.0}, r"decay must lie in \[0, 1\), got 1.0"),
        ({"noise": [1.0, 2.0]}, r"noise must be one number, or one for each of 3 restarts, got \(2,\)"),
        ({"network": networks.MLP((4,), 5)}, r"outputs of the network must have the shape \(1, 6\)"),
    ],
)
def test_what_cannot_be_fitted_is_refused(changed, told):
    asked = {"x": BITS, "num_factors": 2, "num_states": 3, "restarts": 3} | changed
    with pytest.raises(ValueError, match=told):
        categorical.fit(KEY, **asked)


@pytest.mark.usefixtures("as_a_user_sees")
def test_what_cannot_be_read_is_refused(things):
    with pytest.raises(ValueError, match="must have the 16 variables of the training data"):
        categorical.transform(things, BITS)
    with pytest.raises(ValueError, match="x must be 0, 1 or a probability, got 3"):
        categorical.transform(things, 3 * THINGS.x)
    with pytest.raises(ValueError, match=r"responsibilities must have the shape \(40, 2, 2\), of the fit's factors"):
        categorical.predict(things, ONE_HOT)
    with pytest.raises(ValueError, match="responsibilities and x must have one length"):
        categorical.read_by_experts(ONE_HOT[:3], BITS)
    with pytest.raises(ValueError, match="responsibilities"):
        categorical.read_by_experts(2 * ONE_HOT, BITS)


def test_more_factors_than_variables_are_warned_of():
    with pytest.warns(UserWarning, match="more factors, 2, than variables, 1"):
        categorical.read_by_experts(ONE_HOT, BITS[:, :1])
