"""Retraining is the ground truth: it must be what the original's retraining was, example by example."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from infotheory_dl.sample_information.network import sample_information
from infotheory_dl.sample_information.removal import StepSizeError
from infotheory_dl.sample_information.retraining import (
    agreement,
    linear_datamodeling_score,
    retrain_leave_one_out,
)
from tests.sample_information.reference_networks import cnn_case, flatten, mlp_case

CASES = {"mlp": mlp_case, "cnn": cnn_case}
RETRAINED = ("weights", "pred_test", "weights_diff_sq", "pred_diff")


def retrain(case, **settings):
    arrays = case.arrays
    settings = {"num_steps": 300, "learning_rate": float(arrays["lr"])} | settings
    data = arrays["X_train"], arrays["Y_train"], arrays["X_test"]
    return retrain_leave_one_out(case.apply_fn, case.params, *data, **settings)


def assert_close(actual, expected, tolerance):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("weight_decay", [0.0, 0.05])
def test_retraining_is_that_of_the_original(name, weight_decay):
    case = CASES[name]()
    truth = {key: case.arrays[f"gt_{key}_l2mean_{weight_decay}_T300"] for key in RETRAINED}
    retrained = retrain(case, weight_decay=weight_decay, keep_weight_changes=True)
    assert_close(flatten(retrained.params), truth["weights"], 1e-9)
    assert_close(case.apply_fn(retrained.params, case.arrays["X_test"]), truth["pred_test"], 1e-9)
    assert_close(retrained.weight_change, truth["weights_diff_sq"], 1e-9)
    assert_close(retrained.output_changes, truth["pred_diff"], 1e-9)
    np.testing.assert_allclose(retrained.output_change, (truth["pred_diff"] ** 2).sum(-1).mean(-1), rtol=1e-9)
    changes = flatten(retrained.weight_changes, leading=1)
    np.testing.assert_allclose((changes**2).sum(1), retrained.weight_change, rtol=1e-12)
    assert not retrained.diverged.any()


@pytest.mark.parametrize(
    ("name", "weight_decay", "weights", "predictions"),
    [("mlp", 0.0, 0.965, 0.934), ("mlp", 0.05, 0.979, 0.901), ("cnn", 0.0, 0.871, 0.718), ("cnn", 0.05, 0.747, 0.780)],
)
def test_linearized_scores_agree_with_retraining_as_published(name, weight_decay, weights, predictions):
    apply_fn, params, arrays = CASES[name]()
    tag = f"l2mean_{weight_decay}_T300"
    inputs = arrays["X_train"], arrays["Y_train"], arrays["X_test"]
    training = {"time": 300, "learning_rate": float(arrays["lr"]), "weight_decay": weight_decay}
    linear = sample_information(apply_fn, params, *inputs, **training, dynamics="discrete")
    np.testing.assert_allclose(linear.weight_change, arrays[f"gt_lin_si_weights_{tag}"], rtol=1e-9)
    np.testing.assert_allclose(linear.output_change, arrays[f"gt_lin_si_pred_{tag}"], rtol=1e-9)
    truth = (arrays[f"gt_pred_diff_{tag}"] ** 2).sum(-1).mean(-1)
    np.testing.assert_allclose(
        agreement(linear.weight_change, arrays[f"gt_weights_diff_sq_{tag}"]).pearson, weights, atol=5e-4
    )
    np.testing.assert_allclose(agreement(linear.output_change, truth).pearson, predictions, atol=5e-4)


def test_side_by_side_and_one_after_the_other_are_the_same():
    case = mlp_case()
    expected, actual = retrain(case, num_steps=20), retrain(case, num_steps=20, models_at_once=5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-15), actual, expected)


def test_a_group_is_left_out_together():
    case = mlp_case()
    groups = [[0], [3, 4, 7], np.arange(6)]
    retrained = retrain(case, num_steps=20, groups=groups)
    assert retrained.output_changes.shape == (3, 5, 2)
    np.testing.assert_allclose(retrained.weight_change[0], retrain(case, num_steps=20).weight_change[0], rtol=1e-9)

    arrays, rate = case.arrays, float(case.arrays["lr"])
    kept = np.setdiff1d(np.arange(12), groups[1])
    params = case.params

    def loss(params):
        return 0.5 * ((case.apply_fn(params, arrays["X_train"][kept]) - arrays["Y_train"][kept]) ** 2).sum() / len(kept)

    for _ in range(20):
        params = jax.tree.map(lambda p, g: p - rate * g, params, jax.grad(loss)(params))
    expected = case.apply_fn(params, arrays["X_test"]) - case.apply_fn(retrained.params, arrays["X_test"])
    np.testing.assert_allclose(retrained.output_changes[1], expected, rtol=1e-9, atol=1e-15)


def test_single_precision_stays_single():
    case = mlp_case()
    arrays = {key: case.arrays[key].astype(np.float32) for key in ("X_train", "Y_train", "X_test", "lr")}
    params = jax.tree.map(lambda leaf: leaf.astype(np.float32), case.params)
    retrained = retrain(case._replace(params=params, arrays=arrays), num_steps=20, weight_decay=0.1)
    assert {leaf.dtype for leaf in jax.tree.leaves(retrained)} == {jnp.dtype(jnp.float32), jnp.dtype(bool)}


def test_agreement_is_that_of_scipy():
    estimate, truth = np.random.default_rng(0).normal(size=(2, 6, 4))
    measured = agreement(estimate, truth)
    np.testing.assert_allclose(measured.pearson, scipy.stats.pearsonr(estimate.ravel(), truth.ravel())[0], rtol=1e-12)
    np.testing.assert_allclose(measured.spearman, scipy.stats.spearmanr(estimate.ravel(), truth.ravel())[0], rtol=1e-12)
    np.testing.assert_allclose(jax.jit(agreement)(estimate, truth), measured, rtol=1e-12)


def test_the_datamodeling_score_is_the_mean_rank_correlation_of_sums_over_groups():
    random = np.random.default_rng(0)
    singles, groups = random.normal(size=(30, 3, 2)), [random.permutation(30)[:15] for _ in range(10)]
    sums = np.stack([singles[group].sum(0) for group in groups])
    np.testing.assert_allclose(linear_datamodeling_score(singles, sums, groups), 1, rtol=1e-12)
    real = sums + random.normal(size=sums.shape)
    expected = [scipy.stats.spearmanr(sums[:, j, c], real[:, j, c])[0] for j in range(3) for c in range(2)]
    score = jax.jit(lambda singles, real: linear_datamodeling_score(singles, real, groups))(singles, real)
    np.testing.assert_allclose(score, np.mean(expected), rtol=1e-12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_steps": 0}, "num_steps must be at least 1, got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be positive, got 0.0"),
        ({"weight_decay": -1.0}, "weight_decay must be finite and not negative, got -1.0"),
        ({"groups": [[0], []]}, r"group 1 must not be empty"),
        ({"groups": [[12]]}, r"group 0 must lie in \[0, 12\), got 12 at index 0"),
        ({"groups": [range(12)]}, "a group must leave at least one of the 12 examples, got all of them"),
    ],
)
def test_impossible_retraining_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        retrain(mlp_case(), **settings)


def test_a_diverging_step_size_is_named():
    with pytest.raises(StepSizeError, match=r"diverges with learning_rate=100\.0: take a smaller one"):
        retrain(mlp_case(), learning_rate=100.0)


def test_one_example_cannot_be_left_out():
    case = mlp_case()
    arrays = case.arrays | {"X_train": case.arrays["X_train"][:1], "Y_train": case.arrays["Y_train"][:1]}
    with pytest.raises(ValueError, match="leave at least one of the 1 examples"):
        retrain(case._replace(arrays=arrays))


@pytest.mark.usefixtures("as_a_user_sees")
def test_an_estimate_is_compared_with_truth_of_its_own_shape():
    with pytest.raises(ValueError, match=r"one shape, got \(3,\) and \(4,\)"):
        agreement(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match="of the 2 groups, at least 2, got 3"):
        linear_datamodeling_score(np.ones((5, 1, 1)), np.ones((3, 1, 1)), [[0], [1]])
