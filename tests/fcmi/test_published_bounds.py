"""Bounds from arrays against the values of the published implementations."""

from functools import cache

import numpy as np
import pytest

from infotheory_dl.fcmi import bounds
from infotheory_dl.fcmi.bounds import evaluate_all, generalization_gap, predicted_labels, zero_one_losses
from tests.conftest import reference

PUBLISHED = reference("fcmi_bounds")
CASES = (0, 1, 2, 3, 5, 6)  # case 4 has one run, which is an error here


def published(case):
    return {key.removeprefix(f"c{case}_"): value for key, value in PUBLISHED.items() if key.startswith(f"c{case}_")}


@cache
def evaluated(case):
    arrays = published(case)
    return evaluate_all(
        arrays["masks"],
        predictions=arrays["pred_labels"],
        labels=arrays["labels"],
        num_classes=int(arrays["num_classes"]),
    )


@pytest.mark.parametrize("case", CASES)
def test_information_and_square_root_bounds_equal_the_published_implementation(case):
    expected = published(case)
    predictions, selection = predicted_labels(expected["logits"]), expected["masks"]
    np.testing.assert_array_equal(predictions, expected["pred_labels"])
    all_bounds = evaluated(case)
    by_information = {
        "mi_per_example": ("fcmi", "fcmi_bound", 1),
        "mi_loss_pair": ("ecmi", "ecmi_sqrt_bound", 1),
        "mi_loss_diff": ("ldcmi", "ldcmi_sqrt_bound", 1),
        "mi_loss0": ("single_loss_0", "peer_single_loss_bound0", 2),
        "mi_loss1": ("single_loss_1", "peer_single_loss_bound1", 2),
    }
    for key, (name, value, factor) in by_information.items():
        bound = all_bounds[name]
        np.testing.assert_allclose(bound.per_example, expected[key], atol=1e-12)
        # the published rows without information have some 1e-16 of rounding, of which the bound is the square root
        exact = np.where(expected[key] < 1e-15, 0, expected[key])
        np.testing.assert_allclose(bound.value, factor * np.sqrt(2 * exact).mean(), atol=1e-12)
        np.testing.assert_allclose(bound.value, expected[value], atol=1e-8)
    gap = generalization_gap(zero_one_losses(predictions, expected["labels"]), selection)
    np.testing.assert_allclose(gap.value, expected["gap"], atol=1e-6)
    np.testing.assert_allclose(1 - gap.training_loss, [expected["train_acc"].mean()], atol=1e-6)
    np.testing.assert_allclose(1 - gap.ghost_loss, [expected["val_acc"].mean()], atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_solved_bounds_equal_exact_solvers_and_are_no_looser_than_the_published_ones(case):
    expected, all_bounds = published(case), evaluated(case)
    # the published training errors are in single precision
    for name, key in [
        ("binary_kl", "binary_kl_population_bound"),
        ("linear", "linear_population_bound"),
        ("fast_rate", "fast_rate_exact"),
        ("fast_rate_simple", "peer_fast_rate_simple"),
    ]:
        np.testing.assert_allclose(all_bounds[name].value, expected[key], rtol=1e-6)
    for name in ("fast_rate", "variance", "sharpness"):
        assert all_bounds[name].value <= expected[f"peer_{name}_opt"] + 2e-5


def test_every_function_gives_its_bound():
    case, all_bounds = published(1), evaluated(1)
    losses, selection = zero_one_losses(case["pred_labels"], case["labels"]), case["masks"]
    functions = [bounds.ecmi, bounds.ldcmi, bounds.binary_kl, bounds.linear, bounds.interpolating]
    functions += [bounds.fast_rate, bounds.fast_rate_simple, bounds.variance, bounds.sharpness]
    for function in functions:
        bound, name = function(losses, selection), function.__name__
        np.testing.assert_allclose(bound.value, all_bounds[name].value, rtol=1e-12)
    for column in (0, 1):
        bound = bounds.single_loss(losses, selection, column=column)
        np.testing.assert_allclose(bound.value, all_bounds[f"single_loss_{column}"].value, rtol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_interpolation_bounds_equal_the_published_ones(case):
    expected = published(case)
    losses = zero_one_losses(expected["pred_labels"], expected["labels"])
    for coding, key in [
        ("loss_pair", "interp_pair_population_bound"),
        ("loss_difference", "peer_exact_01_interp"),
        ("single_loss", "peer_interp_single"),
    ]:
        bound = bounds.interpolating(losses, expected["masks"], coding=coding)
        np.testing.assert_allclose(bound.value, expected[key], rtol=1e-12, atol=1e-15)


def test_one_run_is_an_error():
    case = published(4)
    with pytest.raises(ValueError, match="needs at least 2 runs on every supersample, got 1"):
        bounds.fcmi(case["pred_labels"], case["masks"], num_classes=2)
