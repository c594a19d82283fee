"""The likelihood of labels under noise: its derivatives, and errors that are all alike as a pattern written out."""

import numpy as np
import pytest

from infotheory_dl.linearization import _noise

RNG = np.random.default_rng(0)
PREDICTIONS, LABELS = RNG.normal(size=(40, 5)), np.concatenate([np.arange(5), RNG.integers(0, 5, 35)])
FREQUENCIES = np.log(np.bincount(LABELS) / 40)
ALIKE = (1 - np.eye(5)) / 4
UNEVEN = ALIKE * RNG.uniform(0.5, 1.5, (5, 5))
GROUPS = {"apart": np.arange(5), "shared": np.array([0, 0, 1, 1, 0])}


def sample(groups: str, by_class: bool) -> _noise.Sample:
    return _noise.Sample(PREDICTIONS, LABELS, FREQUENCIES, GROUPS[groups], by_class)


@pytest.mark.parametrize("by_class", [False, True])
@pytest.mark.parametrize("groups", GROUPS)
def test_errors_that_are_alike_are_the_pattern_with_equal_entries(groups, by_class, monkeypatch):
    drawn = sample(groups, by_class)
    parameters = drawn.prior + RNG.normal(size=drawn.prior.shape)
    one = _noise._evaluate(drawn, None, 0.2, parameters)
    other = _noise._evaluate(drawn, ALIKE, 0.2, parameters)
    monkeypatch.setattr(_noise, "_ENTRIES_AT_ONCE", 35)
    in_blocks = _noise._evaluate(drawn, None, 0.2, parameters)
    for name in _noise._Evaluation._fields:
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-9, atol=1e-9, err_msg=name)
        np.testing.assert_allclose(getattr(one, name), getattr(in_blocks, name), rtol=1e-9, atol=1e-9, err_msg=name)
    fit = _noise.Fit(0.2, parameters, one.objective, one.log_likelihood, one.slope)
    np.testing.assert_allclose(_noise.posterior(drawn, fit, None), _noise.posterior(drawn, fit, ALIKE), atol=1e-12)
    np.testing.assert_allclose(_noise.posterior(drawn, fit, None).sum(1), 1, rtol=1e-12)


@pytest.mark.parametrize("pattern", [None, UNEVEN])
@pytest.mark.parametrize(("groups", "by_class"), [("apart", False), ("shared", True)])
def test_gradient_hessian_and_slope_are_the_derivatives_of_the_objective(groups, by_class, pattern):
    drawn = sample(groups, by_class)
    parameters = drawn.prior + RNG.normal(size=drawn.prior.shape)
    at = lambda moved, rate=0.2: _noise._evaluate(drawn, pattern, rate, moved)
    found, step = at(parameters), 1e-5
    for j, direction in enumerate(step * np.eye(len(parameters))):
        ahead, behind = at(parameters + direction), at(parameters - direction)
        np.testing.assert_allclose((ahead.objective - behind.objective) / (2 * step), found.gradient[j], atol=1e-6)
        np.testing.assert_allclose((ahead.gradient - behind.gradient) / (2 * step), found.hessian[j], atol=1e-6)
    slope = (at(parameters, 0.2 + step).objective - at(parameters, 0.2 - step).objective) / (2 * step)
    np.testing.assert_allclose(slope, found.slope, atol=1e-6)
