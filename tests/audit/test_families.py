"""Examples that are equal are left out together: by really fitting without them."""

import jax
import numpy as np
import pytest

from infotheory_dl import data
from infotheory_dl.audit import Settings
from infotheory_dl.audit.examples import Examples
from infotheory_dl.audit.results import Representation
from infotheory_dl.audit.solution import solver
from infotheory_dl.audit.stages import Work
from infotheory_dl.linearization import FeatureStream, SingularKernelError, feature_moments, kernel_eigen
from infotheory_dl.linearization.dynamics import candidate_weight_decays
from infotheory_dl.linearization.families import families_of, left_open, without_families

RANDOM = np.random.default_rng(0)
ORDER = RANDOM.permutation(48)
# of 30 examples ten are there twice, and two of these five times; the labels of copies differ
PLACES = np.r_[np.arange(30), np.arange(10), np.zeros(3, int), np.ones(3, int), 20, 21][ORDER]
X = RANDOM.normal(size=(30, 5))[PLACES].astype(np.float32)
TARGETS = np.eye(3)[(X[:, 0] > 0).astype(int) + (RANDOM.random(48) < 0.2)] - 1 / 3
SIZE = len(X)
EVERYTHING = np.arange(SIZE)


def fit(rows, targets, shift, has_intercept):
    """What a fit to these rows predicts for all."""
    columns = np.concatenate([X, np.ones((SIZE, 1))], axis=1).astype(float)
    penalty = shift * np.diag([1.0] * 5 + [0.0])
    if not has_intercept:
        columns, penalty = X.astype(float), shift * np.eye(5)
    own = columns[rows]
    return columns @ np.linalg.solve(own.T @ own + penalty, own.T @ targets[rows])


def without(weight_decay, has_intercept):
    """The residual of every example by the fit to all that are not equal to it."""
    predictions = [
        fit(place != PLACES, TARGETS, SIZE * weight_decay, has_intercept)[row] for row, place in enumerate(PLACES)
    ]
    return TARGETS - np.array(predictions)


def solved(name, weight_decay, rows=EVERYTHING, together=True):
    x, targets = X[rows], TARGETS[rows]
    labels = targets.argmax(1)
    examples = Examples(rows, x, x, labels, labels, x[:9], labels[:9], ("a", "b", "c"), None, SIZE)
    examples = examples._replace(measured=np.arange(9))
    found = Representation(name, moments=feature_moments(x))
    if name == "kernel":
        kernel = x.astype(float) @ x.T.astype(float)
        found = Representation(name, kernel=kernel, held_out_kernel=kernel[:9], eigen=kernel_eigen(kernel))
    stream = lambda name, held_out, columns: FeatureStream(x, batch_size=20)
    families, table = families_of(x) if together else None, data.as_table(x, labels)
    work = Work(
        jax.random.key(0),
        Settings(weight_decay=weight_decay),
        table,
        examples,
        1e9,
        stream,
        {"representation": found},
        families=families,
    )
    return solver(work)(targets)


@pytest.mark.parametrize("name", ["kernel", "features"])
def test_every_example_is_predicted_without_all_that_are_equal_to_it(name):
    found = solved(name, 0.05)
    np.testing.assert_allclose(found.residuals, without(0.05, name == "features"), atol=1e-4)
    other = RANDOM.permutation(SIZE)
    np.testing.assert_allclose(solved(name, 0.05, other).residuals, found.residuals[other], atol=1e-4)
    # what the example alone changes is not that of its family
    np.testing.assert_allclose(found.leverage, solved(name, 0.05, together=False).leverage)


@pytest.mark.parametrize("name", ["kernel", "features"])
def test_weight_decay_is_the_best_for_examples_without_their_copies(name):
    found = solved(name, None)
    error = lambda weight_decay: np.square(without(weight_decay, name == "features")).sum()
    if name == "kernel":
        candidates = np.asarray(candidate_weight_decays(kernel_eigen(X.astype(float) @ X.T.astype(float)), SIZE))
    else:
        candidates = np.logspace(-7, 1, 33) * np.square(X - X.mean(0)).sum() / 5 / SIZE
    best = candidates[np.argmin([error(one) for one in candidates])]
    assert found.weight_decay == pytest.approx(best, rel=1e-4)


def test_what_a_family_leaves_open_is_its_share_of_the_noise():
    columns = np.concatenate([X, np.ones((SIZE, 1))], axis=1).astype(float)
    projection = columns @ np.linalg.inv(columns.T @ columns) @ columns.T
    families = families_of(X)
    found = left_open(np.diag(projection), families)
    for row in range(SIZE):
        own = np.flatnonzero(PLACES[row] == PLACES)
        variance = np.linalg.inv(np.eye(len(own)) - projection[np.ix_(own, own)])
        assert found[row] == pytest.approx(1 / variance[list(own).index(row)][list(own).index(row)])


def test_no_two_equal_examples_are_no_families_and_change_nothing():
    assert families_of(np.arange(6.0)[:, None]) is None
    residuals = RANDOM.normal(size=(6, 2))
    assert without_families(residuals, np.full(6, 0.2), None) is residuals
    found = families_of(np.array([[0.0, 1], [2, 3], [-0.0, 1], [2, 3], [4, 5]]))
    assert (found.rows.tolist(), found.codes.tolist()) == ([0, 1, 2, 3], [0, 1, 0, 1])
    assert (found.sizes.tolist(), found.firsts.tolist()) == ([2, 2, 2, 2, 1], [0, 1, 0, 1, 4])


def test_a_family_that_alone_determines_its_prediction_is_named():
    families = families_of(np.array([[0.0], [1], [1]]))
    with pytest.raises(SingularKernelError, match="the 2 examples that are equal to example 1 alone determine"):
        without_families(np.zeros((3, 1)), np.full(3, 0.5), families)
