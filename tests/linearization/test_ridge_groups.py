import numpy as np
import pytest

from infotheory_dl.linearization import (
    FeatureStream,
    SingularKernelError,
    ridge_leave_groups_out,
    ridge_leave_one_out,
)

N, D = 30, 5
# a pair, one alone, groups that are smaller and larger than the features are many
GROUPS = np.array([7, 7, 3] + [1] * 4 + [2] * 11 + [9] * 12)[np.random.default_rng(1).permutation(N)]


@pytest.fixture(scope="module")
def problem() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(N, D)) + 20, rng.normal(size=(N, 3))


def refit(features, targets, shift):
    """Weights, and the intercept below, by the normal equations."""
    rows = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    return np.linalg.solve(rows.T @ rows + np.diag([shift] * features.shape[1] + [0.0]), rows.T @ targets)


def test_each_group_is_predicted_by_a_fit_to_all_others(problem):
    features, targets = problem
    rows = np.concatenate([features, np.ones((N, 1))], axis=1)
    found = ridge_leave_groups_out(features, targets, GROUPS, weight_decay=0.3)
    whole = refit(features, targets, N * 0.3)
    np.testing.assert_array_equal(found.groups, [1, 2, 3, 7, 9])
    for place, group in enumerate(found.groups):
        own = group == GROUPS
        weights = refit(features[~own], targets[~own], N * 0.3)
        np.testing.assert_allclose(found.residuals[own], targets[own] - rows[own] @ weights, rtol=1e-9)
        np.testing.assert_allclose(found.weight_change[place], np.square((weights - whole)[:-1]).sum(), rtol=1e-9)
        change = np.square(rows[~own] @ (weights - whole)).sum(1).mean()
        np.testing.assert_allclose(found.output_change[place], change, rtol=1e-9)


def test_groups_of_one_are_leave_one_out(problem):
    features, targets = (values.astype(np.float32) for values in problem)
    stream = FeatureStream(features, batch_size=7)
    groups = ridge_leave_groups_out(stream, targets, np.arange(N))
    alone = ridge_leave_one_out(*problem, weight_decay=groups.weight_decay)
    np.testing.assert_allclose(groups.residuals, alone.residuals, atol=2e-4)


@pytest.mark.usefixtures("as_a_user_sees")
def test_what_cannot_be_left_out_is_told(problem):
    with pytest.raises(ValueError, match="all examples are in one group: without it none is left"):
        ridge_leave_groups_out(*problem, np.zeros(N, int))
    with pytest.raises(ValueError, match="features of 30 examples need as many targets and groups, got 30 and 29"):
        ridge_leave_groups_out(*problem, np.arange(N - 1))
    with pytest.raises(SingularKernelError, match="without group 1, 27 of 30 examples, the weights are not determined"):
        ridge_leave_groups_out(*problem, (np.arange(N) < N - 3).astype(int), weight_decay=0.0)
