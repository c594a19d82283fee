"""Synergy against reference cases, brute force, closed forms of gates, Monte Carlo, and what must not matter."""

import functools
import itertools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linprog

from infotheory_dl.information import gaussian as gaussians
from infotheory_dl.information import synergy
from tests.conftest import reference

DISCRETE, GAUSSIAN = reference("minsyn_discrete"), reference("minsyn_gaussian")
SYSTEMS = [str(name) for name in DISCRETE["names"]]
TWO_SOURCES = [name for name in SYSTEMS if DISCRETE[f"{name}/p"].ndim == 3]
REFERENCE_NAMES = {
    "information": "I",
    "informations": "Ij",
    "target_entropy": "H_x",
    "total_correlation": "TC_z",
    "conditional_total_correlation": "TC_z_given_x",
    "whole_minus_sum": "WMS",
    "synergy": "S_CI",
    "independent_information": "I_CI",
    "mismatched_information": "I_mismatch",
    "mismatched_synergy": "S_mismatch",
    "maximum_synergy": "S_max",
    "redundancy": "I_min",
}
GAUSSIAN_NAMES = {
    "information": "I",
    "informations": "I_j",
    "whole_minus_sum": "WMS",
    "synergy": "S_CI",
    "independent_information": "I_CI",
    "calibrated_information": "I_cal",
    "calibrated_synergy": "S_cal",
    "coefficients": "nu_coef",
}
# bits: information, whole minus sum, conditional-independence synergy, maximum synergy
IN_BITS = {
    "XOR": (1, 1, 1, 1),
    "AND": (0.8113, 0.1887, 0.1038, 0.5),
    "SUM": (1.5, 0.5, 0.2925, 1),
    "COPY": (2, 0, 0, 1),
    "UNQ": (1, 0, 0, 0),
    "RDN": (1, -1, 0, 0),
    "RDNXOR": (2, 0, 1, 1),
    "PARITY3": (1, 1, 1, 1),
    "MAJ3": (1, 0.4338, 0.3244, 0.8113),
    "XORLOSES": (1, 0, 0, 0),
    "GRUE": (1, 1, 1, 1),
}


@functools.cache
def measured(name):
    return synergy.discrete(DISCRETE[f"{name}/p"])


@pytest.mark.parametrize("name", SYSTEMS)
def test_measures_and_decoder_are_those_of_the_reference(name):
    found = measured(name)
    for ours, theirs in REFERENCE_NAMES.items():
        tolerance = 1e-6 if "mismatched" in ours else 1e-10
        np.testing.assert_allclose(getattr(found, ours), DISCRETE[f"{name}/{theirs}"], atol=tolerance, err_msg=ours)
    decoder = synergy.independent_decoder(DISCRETE[f"{name}/p"])
    np.testing.assert_allclose(decoder, DISCRETE[f"{name}/q_x_given_z"], atol=1e-10)


@pytest.mark.parametrize("name", IN_BITS)
def test_gates_have_the_values_that_are_known(name):
    found = synergy.discrete(synergy.gates[name])
    values = found.information, found.whole_minus_sum, found.synergy, found.maximum_synergy
    np.testing.assert_allclose(np.array(values) / np.log(2), IN_BITS[name], atol=5e-5)


def test_measures_are_their_definitions_state_by_state():
    rng = np.random.default_rng(0)
    joint = rng.dirichlet(np.ones(3 * 2 * 4)).reshape(3, 2, 4)
    found = synergy.discrete(np.moveaxis(joint, 0, 1), target_axis=1)
    p_x = joint.sum((1, 2))
    loss = information = 0.0
    for x, first, second in itertools.product(range(3), range(2), range(4)):
        here, at_sources = joint[x, first, second], joint[:, first, second]
        naive = p_x * (joint.sum(2) / p_x[:, None])[:, first] * (joint.sum(1) / p_x[:, None])[:, second]
        loss += here * np.log((here / at_sources.sum()) / (naive[x] / naive.sum()))
        information += here * np.log(here / at_sources.sum() / p_x[x])
    np.testing.assert_allclose([found.synergy, found.information], [loss, information], rtol=1e-12)


def test_order_of_states_and_axes_does_not_matter_and_a_batch_is_a_vmap():
    joint = DISCRETE["rand5/p"]
    permuted = np.moveaxis(joint, 0, 2)[:, ::-1, :, ::-1]
    found = synergy.discrete(permuted, target_axis=2)
    np.testing.assert_allclose(found.synergy, measured("rand5").synergy, rtol=1e-12)
    np.testing.assert_allclose(found.mismatched_information, measured("rand5").mismatched_information, atol=1e-12)
    batch = jax.vmap(synergy.discrete)(np.stack([joint, joint[::-1]]))
    np.testing.assert_allclose(batch.synergy, [measured("rand5").synergy] * 2, rtol=1e-12)


def test_small_synergy_holds_in_single_precision():
    """Sources that are nearly independent given the target."""
    p_x = np.array([0.3, 0.7])
    first, second = np.array([[0.2, 0.8], [0.6, 0.4]]), np.array([[0.5, 0.5], [0.1, 0.9]])
    bent = 1e-3 * np.array([[1, -1], [-1, 1]])
    joint = p_x[:, None, None] * (first[:, :, None] * second[:, None, :] + bent * np.array([1, -1])[:, None, None])
    exact, single = synergy.discrete(joint), synergy.discrete(joint.astype(np.float32))
    assert single.synergy.dtype == np.float32
    assert exact.synergy < 1e-4
    np.testing.assert_allclose(single.synergy, exact.synergy, rtol=2e-2)
    np.testing.assert_allclose(single.conditional_total_correlation, exact.conditional_total_correlation, rtol=2e-2)


def test_gradients_are_differences():
    joint = jnp.asarray(DISCRETE["rand3/p"])
    parts = lambda pmf: jnp.stack(
        [getattr(synergy.discrete(pmf, normalize=True), name) for name in ("synergy", "mismatched_information")]
    )
    slopes = jax.jit(jax.jacrev(parts))(joint)
    direction, step = np.random.default_rng(1).normal(size=joint.shape), 1e-5
    expected = (parts(joint + step * direction * joint) - parts(joint - step * direction * joint)) / (2 * step)
    np.testing.assert_allclose((slopes * direction * joint).reshape(2, -1).sum(1), expected, rtol=1e-6, atol=1e-9)


def test_states_without_mass_change_nothing():
    joint = DISCRETE["rand1/p"]
    padded = np.pad(joint, [(0, 1), (1, 0), (0, 2)])
    for ours, expected in zip(synergy.discrete(padded), measured("rand1"), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-12)
    assert (np.asarray(synergy.independent_decoder(padded))[:, 0] == 0).all()


@pytest.mark.parametrize("measure", ["minimum", "mmi"])
@pytest.mark.parametrize("name", TWO_SOURCES)
def test_decompositions_in_closed_form_are_those_of_the_peer(name, measure):
    parts = synergy.partial_information(DISCRETE[f"{name}/p"], measure=measure)
    peer = DISCRETE[f"{name}/dit_{'WB' if measure == 'minimum' else 'MMI'}"]
    np.testing.assert_allclose([parts.synergy, *parts.unique, parts.redundancy], peer, atol=1e-9)


@pytest.mark.parametrize("name", TWO_SOURCES)
def test_the_coupling_of_broja_is_the_best(name):
    """No coupling tells less by more than the gap of a linear program; the peer's ends above ours."""
    joint = DISCRETE[f"{name}/p"]
    parts, found = synergy.partial_information(joint), measured(name)
    ours = np.array([parts.synergy, *parts.unique, parts.redundancy])
    np.testing.assert_allclose(ours.sum(), found.information, atol=1e-9)
    assert ours.min() > -1e-9
    peer = DISCRETE[f"{name}/dit_BROJA"]
    # on two random systems the peer stops early: what it calls redundant is negative, or less synergy is found
    assert np.abs(ours - peer).max() < 1e-3 or peer[0] < ours[0]


def test_what_the_best_coupling_tells_is_bounded_from_below():
    joint = DISCRETE["rand2/p"]
    parts, found = synergy.partial_information(joint), measured("rand2")
    least = float(found.information - parts.synergy)
    # couplings of a grid of random feasible directions around the independent one tell no less
    rng = np.random.default_rng(0)
    p_x = joint.sum((1, 2), keepdims=True)
    coupling = joint.sum(2, keepdims=True) * joint.sum(1, keepdims=True) / p_x
    # rows that hold both pairs of marginals
    rows = [
        np.where(np.indices(joint.shape)[axis] == place, np.indices(joint.shape)[0] == x, 0).ravel()
        for x in range(joint.shape[0])
        for axis in (1, 2)
        for place in range(joint.shape[axis])
    ]
    held = np.array(rows) @ joint.ravel()
    for _ in range(20):
        corner = linprog(rng.normal(size=joint.size), A_eq=np.array(rows), b_eq=held).x.reshape(joint.shape)
        for share in (0.1, 0.5, 0.9):
            mixed = np.clip((1 - share) * coupling + share * corner, 0, None)
            assert synergy.discrete(mixed, normalize=True).information > least - 1e-9


def test_decompositions_of_gates():
    synergies = {"COPY": 0.0, "AND": 0.5, "SUM": 1.0, "RDNXOR": 1.0}
    for name, bits in synergies.items():
        parts = synergy.partial_information(synergy.gates[name])
        np.testing.assert_allclose(parts.synergy, bits * np.log(2), atol=1e-6)


def test_estimates_from_samples_are_those_of_their_frequencies():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 2, (2, 400))
    target = np.array(["no", "yes"])[first ^ second]
    found = synergy.discrete_from_samples(target, np.stack([first, second], axis=1))
    counts = np.zeros((2, 2, 2))
    np.add.at(counts, (first ^ second, first, second), 1)
    for ours, exact in zip(found.estimate, synergy.discrete(counts, normalize=True), strict=True):
        np.testing.assert_allclose(ours, exact, atol=1e-12)
    assert found.samples_per_cell == 50
    assert np.isnan(found.lower.synergy)
    np.testing.assert_allclose(found.estimate.synergy, found.estimate.information, rtol=0.02)


def test_the_correction_takes_the_bias_off_and_intervals_cover():
    """A naive Bayes system has no synergy; frequencies of 150 samples suggest some."""
    rng = np.random.default_rng(0)
    exact = np.log(2) - 0.75 * np.log(4 / 3) - 0.25 * np.log(4)
    plain, corrected, covered = [], [], []
    for draw in range(60):
        target = rng.integers(0, 2, 150)
        sources = (rng.random((150, 2)) < np.where(target[:, None] == 1, 0.75, 0.25)).astype(int)
        plain.append(float(synergy.discrete_from_samples(target, sources).estimate.synergy))
        found = synergy.discrete_from_samples(
            target, sources, correction="miller_madow", key=jax.random.key(draw), resamples=50
        )
        corrected.append(float(found.estimate.synergy))
        covered.append(found.lower.informations[0] <= exact <= found.upper.informations[0])
    bias, error = np.mean(plain), np.std(corrected) / np.sqrt(60)
    assert bias > 5 * error
    assert abs(np.mean(corrected)) < 3 * error
    assert np.mean(covered) > 0.85


@pytest.mark.parametrize("case", range(3))
def test_gaussian_measures_are_those_of_the_reference_and_of_monte_carlo(case):
    joint = {name: GAUSSIAN[f"joint{case}/{name}"] for name in [*GAUSSIAN_NAMES.values(), "corr", "mc_S_CI"]}
    found = synergy.gaussian(joint["corr"])
    for ours, theirs in GAUSSIAN_NAMES.items():
        np.testing.assert_allclose(getattr(found, ours), joint[theirs], atol=1e-9, err_msg=ours)
    mean, error = joint["mc_S_CI"]
    assert abs(float(found.synergy) - mean) < 3 * error
    sources = np.arange(1, len(joint["corr"]))
    whole = gaussians.mutual_information(joint["corr"], np.array([0]), sources)
    np.testing.assert_allclose(found.information, whole, rtol=1e-10)


def test_a_covariance_in_other_units_and_another_order_gives_the_same():
    correlations = GAUSSIAN["joint0/corr"]
    units, order = np.array([3.0, 1e-3, 1e4, 2.0]), [2, 0, 3, 1]
    covariance = (correlations * np.outer(units, units))[np.ix_(order, order)]
    ours, expected = synergy.gaussian(covariance, target=1), synergy.gaussian(correlations)
    np.testing.assert_allclose(ours.synergy, expected.synergy, rtol=1e-9)
    np.testing.assert_allclose(ours.informations, np.asarray(expected.informations)[[1, 2, 0]], rtol=1e-9)


def test_sources_that_are_independent_given_the_target_have_no_synergy():
    loadings = np.array([1.0, 0.8, -0.5, 0.3])
    correlations = np.outer(loadings, loadings)
    np.fill_diagonal(correlations, 1)
    found = synergy.gaussian(correlations.astype(np.float32))
    assert 0 <= found.synergy < 1e-7
    assert 0 <= found.calibrated_synergy < 1e-7


def test_copies_with_their_noise_look_like_synergy_and_are_told():
    """The reader counts them twice: what the calibrated measure takes back."""
    correlations = np.array([[1, 0.8, 0.8], [0.8, 1, 1 - 1e-9], [0.8, 1 - 1e-9, 1]])
    with pytest.warns(UserWarning, match="sources 0 and 1 are near copies"):
        found = synergy.gaussian(correlations)
    np.testing.assert_allclose(
        [found.information, found.synergy, found.calibrated_synergy], [0.511, 0.143, 0.041], atol=5e-4
    )


def test_samples_give_all_targets_at_once():
    weights, x = GAUSSIAN["W"], GAUSSIAN["X"]
    rng = np.random.default_rng(0)
    codes = x @ weights.T + rng.normal(size=(len(x), len(weights)))
    found = synergy.gaussian_from_samples(1e6 + 5 * x, codes - 3)
    for column in (0, 7):
        expected = synergy.gaussian(np.corrcoef(np.column_stack([x[:, column], codes]).T))
        for name in GAUSSIAN_NAMES:
            np.testing.assert_allclose(getattr(found, name)[column], getattr(expected, name), atol=1e-9, err_msg=name)
    traced = jax.jit(synergy.gaussian_from_samples)(1e6 + 5 * x, codes - 3)
    np.testing.assert_allclose(traced.synergy, found.synergy, atol=1e-9)
    ranked = synergy.gaussian_from_samples(np.exp(x), codes**3, rank_gaussianize=True)
    unwarped = synergy.gaussian_from_samples(x, codes, rank_gaussianize=True)
    np.testing.assert_allclose(ranked.synergy, unwarped.synergy, atol=1e-12)


def test_what_does_not_vary_tells_nothing():
    rng = np.random.default_rng(0)
    targets, sources = rng.normal(size=(50, 2)), rng.normal(size=(50, 3))
    targets[:, 1], sources[:, 2] = 4.0, -1.0
    found = synergy.gaussian_from_samples(targets, sources)
    expected = synergy.gaussian_from_samples(targets[:, :1], sources[:, :2])
    np.testing.assert_allclose(found.information, [expected.information[0], 0], atol=1e-12)
    np.testing.assert_allclose(found.informations[:, 2], 0, atol=1e-12)


def test_linear_corex_is_calibrated_synergy_minimised():
    """Σ I_cal - Σ I(Zⱼ; X) is TC(X; Z) - TC(Z) - Σ S_cal, of factors with independent noise."""
    covariance, weights = GAUSSIAN["Sx"], GAUSSIAN["W"]
    of_factors = weights @ covariance @ weights.T + np.eye(len(weights))
    scale = np.sqrt(np.diag(of_factors))
    joint = np.block(
        [
            [covariance, (weights @ covariance).T / scale],
            [weights @ covariance / scale[:, None], of_factors / np.outer(scale, scale)],
        ]
    )
    variables = len(covariance)
    found = [
        synergy.gaussian(joint[np.ix_(kept, kept)])
        for kept in ([column, *range(variables, len(joint))] for column in range(variables))
    ]
    left = sum(one.calibrated_information for one in found) - np.log(scale).sum()
    whole = np.linalg.slogdet(of_factors)[1] / 2
    shared = np.log(scale).sum() - whole
    right = sum(one.information for one in found) - whole - shared - sum(one.calibrated_synergy for one in found)
    np.testing.assert_allclose(left, right, atol=1e-12)
    np.testing.assert_allclose(left, GAUSSIAN["objective"], atol=1e-9)


PMF, CORRELATIONS = synergy.gates["AND"], GAUSSIAN["joint0/corr"]
SIX = np.eye(3)[np.arange(6) % 3] + np.arange(6)[:, None] / 10


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: synergy.discrete(np.array([0.5, 0.5])), "at least two, got shape (2,)"),
        (lambda: synergy.discrete(-PMF), "pmf must be finite and not negative"),
        (lambda: synergy.discrete(PMF / 2), "pmf must add up to 1, got 0.5; set normalize"),
        (lambda: synergy.discrete(0 * PMF), "mass somewhere"),
        (lambda: synergy.discrete(PMF, target_axis=3), "target_axis"),
        (lambda: synergy.partial_information(synergy.gates["PARITY3"]), "two for the sources"),
        (lambda: synergy.partial_information(PMF, measure="best"), "choose one of 'minimum', 'mmi', 'broja'"),
        (lambda: synergy.discrete_from_samples([0, 1], [[0, 1, 1]]), "source 0"),
        (lambda: synergy.discrete_from_samples([0, 1], [[0, 1]], resamples=5), "give key=jax.random.key(seed)"),
        (lambda: synergy.gaussian(CORRELATIONS[:3]), "(variables, variables)"),
        (lambda: synergy.gaussian(np.array([[1, 0.5], [0.4, 1]])), "symmetric"),
        (lambda: synergy.gaussian(np.array([[1, 1.0], [1.0, 1]])), "variables [0, 1] follow from each other"),
        (lambda: synergy.gaussian(np.full((2, 2), np.nan)), "NaN"),
        (lambda: synergy.gaussian(CORRELATIONS, target=4), "target"),
        (lambda: synergy.gaussian_from_samples(SIX, SIX[:5]), "5"),
        (lambda: synergy.gaussian_from_samples(SIX[:3], SIX[:3]), "more samples than sources"),
        (lambda: synergy.gaussian_from_samples(SIX, np.hstack([SIX[:, :1], SIX[:, :1]])), "follow from each other"),
    ],
)
def test_impossible_input_is_refused_in_words(as_a_user_sees, call, message):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises((ValueError, TypeError)) as caught:
            call()
    assert message in str(caught.value)


def test_few_samples_are_told():
    with pytest.warns(UserWarning, match="fewer than 5: estimates are biased upwards"):
        synergy.discrete_from_samples([0, 1, 1], [[0, 1, 0]])


def test_what_sources_tell_together_exactly_is_finite_in_single_precision():
    sources = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    for target in (sources @ np.float32([1, -1]), sources[:, 0]):
        found = synergy.gaussian_from_samples(target[:, None], sources)
        assert np.isfinite(found.synergy).all()
        assert np.isfinite(found.calibrated_synergy).all()
