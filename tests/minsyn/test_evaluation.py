"""Measures of disentanglement against the published numbers, closed forms and scikit-learn."""

import itertools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import normalized_mutual_info_score

from infotheory_dl.minsyn import evaluation
from tests.conftest import reference

KEY = jax.random.key(0)
GRID = np.array(list(itertools.product(range(4), range(3), range(2))))


def all_words(case):
    """The images of all words, every second pixel, standardised as in the published experiment."""
    glyphs = dict(zip(case["glyph_chars"].tolist(), case["glyphs"], strict=True))
    words = ["".join(word) for word in itertools.product(*case["letters"].tolist())]
    images = np.stack([np.hstack([glyphs[letter] for letter in word])[::2, ::2].ravel() for word in words]) / 255
    return (images[:, case["keep"]] - case["mean"]) / case["std"], np.isin(words, case["valid"])


@pytest.mark.parametrize("m", [3, 6, 12])
def test_purity_of_principal_components_of_words_is_the_published_one(m):
    case = reference("minsyn_words")
    x, valid = all_words(case)
    directions = np.linalg.svd(x[valid] - x[valid].mean(0), full_matrices=False)[2][:m]
    found = evaluation.factorial_purity(x @ directions.T, case["labels_all"])
    # the published components are of single precision, and two of them are nearly alike
    np.testing.assert_allclose(found.shares, case[f"m{m}/pca_eta2"], atol=5e-6)
    np.testing.assert_allclose(found.purity, case[f"m{m}/pca_purity"], atol=1e-6)
    np.testing.assert_allclose(found.shares.sum(1), 1, atol=1e-6)
    published = case[f"m{m}/minsyn_W_seed0"]
    found = evaluation.factorial_purity(x @ published.T, case["labels_all"])
    np.testing.assert_allclose(found.shares, case[f"m{m}/minsyn_eta2_seed0"], atol=1e-5)


def test_units_orders_and_repetitions_make_no_difference():
    codes = np.random.default_rng(0).normal(size=(24, 5))
    found = evaluation.factorial_purity(codes, GRID)
    order = np.random.default_rng(1).permutation(48)
    again = evaluation.factorial_purity((np.tile(1e6 + codes, (2, 1)) * 1e3)[order], np.tile(7 * GRID, (2, 1))[order])
    np.testing.assert_allclose(again.shares, found.shares, rtol=1e-6)


def test_codes_that_are_factors_are_pure_and_those_that_do_not_vary_are_nothing():
    codes = np.column_stack([GRID[:, 2] ** 2, -GRID[:, 0], np.ones(24)]).astype(float)
    found = evaluation.factorial_purity(codes, GRID)
    np.testing.assert_allclose(found.shares, [[0, 0, 1], [1, 0, 0], [0, 0, 0]], atol=1e-12)
    assert found.purity == pytest.approx(2 / 3)


def test_matched_information_is_the_best_match_of_scikit_learns_scores():
    rng = np.random.default_rng(0)
    factors = rng.integers(0, 3, (200, 3))
    codes = np.where(rng.random((200, 3)) < 0.3, rng.integers(0, 5, (200, 3)), factors[:, [2, 0, 1]])
    scores = np.array([[normalized_mutual_info_score(f, c) for f in factors.T] for c in codes.T])
    found = evaluation.matched_information(codes, factors)
    np.testing.assert_allclose(found.informations, scores, atol=1e-12)
    best = max(itertools.permutations(range(3)), key=lambda order: scores[list(order), range(3)].sum())
    assert tuple(found.code_of) == best == (1, 2, 0)
    np.testing.assert_allclose(found.score, scores[list(best), range(3)].mean(), atol=1e-12)


def test_a_factor_without_a_code_counts_nothing():
    found = evaluation.matched_information(GRID[:, :1], GRID)
    assert found.score == pytest.approx(1 / 3)
    assert found.code_of.tolist() == [0, -1, -1]
    assert evaluation.matched_information(np.column_stack([GRID, GRID]), GRID).score == pytest.approx(1)


def test_the_gap_is_one_for_factors_and_zero_for_two_copies():
    codes = GRID.astype(float)
    assert evaluation.mutual_information_gap(codes, GRID) == pytest.approx(1)
    assert evaluation.mutual_information_gap(np.column_stack([codes, codes]), GRID) == pytest.approx(0, abs=1e-12)
    # a code of both others tells a factor as much as its own code
    both = np.column_stack([codes[:, 0], 4 * codes[:, 1] + codes[:, 0], codes[:, 2]])
    assert evaluation.mutual_information_gap(both, GRID) == pytest.approx((0 + 1 + 1) / 3)
    moved = codes + 1e-3 * np.linspace(0, 1, 24)[:, None]
    assert evaluation.mutual_information_gap(moved, GRID, bins=7) == pytest.approx(1)


def test_a_forest_says_that_factors_are_disentangled_and_mixtures_are_not():
    factors = np.tile(GRID, (6, 1))
    pure = evaluation.disentanglement(KEY, factors.astype(float), factors, num_trees=10)
    assert min(pure.disentanglement, pure.completeness, pure.informativeness) > 0.98
    mixed = evaluation.disentanglement(
        KEY, factors @ np.array([[1.0, 1, 1], [1, -1, 1], [1, 1, -1]]), factors, num_trees=10
    )
    assert mixed.disentanglement < 0.6
    np.testing.assert_allclose(mixed.importances.sum(0), 1)


@pytest.mark.usefixtures("as_a_user_sees")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: evaluation.factorial_purity(np.ones((23, 1)), GRID[:23]), "all 24 combinations equally often, got 23"),
        (lambda: evaluation.factorial_purity(np.full((24, 1), np.nan), GRID), "codes"),
        (lambda: evaluation.factorial_purity(np.ones((23, 1)), GRID), "codes and factors"),
        (lambda: evaluation.matched_information(GRID[0], GRID), "codes must"),
        (lambda: evaluation.mutual_information_gap(np.ones((24, 1)), GRID, bins=1), "bins must be at least 2, got 1"),
        (lambda: evaluation.disentanglement(KEY, np.ones((24, 1)), GRID, test_size=1.0), r"test_size must lie in \(0"),
    ],
)
def test_what_cannot_be_measured_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@settings(max_examples=15, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1))
def test_names_and_orders_of_codes_factors_and_samples_make_no_difference(seed):
    rng = np.random.default_rng(seed)
    factors = GRID[rng.permutation(24)]
    codes = rng.integers(0, 4, (24, 3))
    rows, columns, names = rng.permutation(24), rng.permutation(3), rng.permutation(9)
    found = evaluation.matched_information(codes, factors)
    again = evaluation.matched_information(names[codes[rows]][:, columns], names[factors[rows]])
    np.testing.assert_allclose(again.score, found.score, atol=1e-9)
    np.testing.assert_allclose(again.informations, found.informations[columns], atol=1e-9)
    values = codes + 0.1 * rng.normal(size=(24, 3))
    pure = evaluation.factorial_purity(values, factors)
    moved = evaluation.factorial_purity((1e4 - 1e-2 * values)[rows][:, columns], names[factors[rows]])
    np.testing.assert_allclose(moved.shares, pure.shares[columns], atol=1e-6)
    for bins in (4, 30):
        gaps = [
            evaluation.mutual_information_gap(values, factors, bins=bins),
            evaluation.mutual_information_gap(values[rows][:, columns] * 8, names[factors[rows]], bins=bins),
        ]
        np.testing.assert_allclose(*gaps, atol=1e-6)
