"""The penalties by their definitions; by DomainBed's gradients they are tested with the algorithms."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.stats import norm

from infotheory_dl.domain_generalization import objectives as ob

RANDOM = np.random.default_rng(0)
Z, LOGITS, LABELS = RANDOM.normal(size=(3, 6, 4)), RANDOM.normal(size=(3, 6, 2)), RANDOM.integers(0, 2, (3, 6))
EVEN = np.arange(6) % 2 == 0
MASK = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 0, 0]], bool)


def test_the_irm_penalty_is_the_product_of_two_derivatives():
    def risk(scale, half):
        losses = optax.softmax_cross_entropy_with_integer_labels(scale * LOGITS[:, half::2], LABELS[:, half::2])
        return losses.mean(1)

    slopes = [jax.jacfwd(risk)(1.0, half) for half in (0, 1)]
    np.testing.assert_allclose(ob.irm_penalty(LOGITS, LABELS), (slopes[0] * slopes[1]).mean(), rtol=1e-12)


def test_coral_is_a_mean_over_pairs():
    means, covariances = Z.mean(1), np.stack([np.cov(part.T) for part in Z])
    pairs = list(itertools.combinations(range(3), 2))
    expected = np.mean(
        [((means[i] - means[j]) ** 2).mean() + ((covariances[i] - covariances[j]) ** 2).mean() for i, j in pairs]
    )
    np.testing.assert_allclose(ob.coral_penalty(Z), expected, rtol=1e-12)


def test_the_discrepancy_is_a_mean_over_pairs():
    def kernel(a, b):
        distances = ((a[:, None] - b) ** 2).sum(-1)
        return sum(np.exp(-gamma * distances) for gamma in (0.3, 2.0)).mean()

    pairs = list(itertools.combinations(range(3), 2))
    expected = np.mean([kernel(Z[i], Z[i]) + kernel(Z[j], Z[j]) - 2 * kernel(Z[i], Z[j]) for i, j in pairs])
    np.testing.assert_allclose(ob.mmd_penalty(Z, gammas=(0.3, 2.0)), expected, rtol=1e-12)
    np.testing.assert_allclose(ob.mmd_penalty(Z + 1e6, gammas=(0.3, 2.0)), expected, rtol=1e-7)


def test_variances_of_gradients_are_those_of_single_rows():
    weights = RANDOM.normal(size=(2, 4))

    def loss(bias, weights, z, label):
        return optax.softmax_cross_entropy_with_integer_labels(weights @ z + bias, label)

    logits = Z @ weights.T
    of_rows = jax.vmap(jax.vmap(jax.grad(loss, argnums=(0, 1)), (None, None, 0, 0)), (None, None, 0, 0))
    bias, weight = of_rows(jnp.zeros(2), jnp.asarray(weights), Z, LABELS)
    expected = np.concatenate([np.var(bias, axis=1), np.var(weight, axis=1).reshape(3, -1)], axis=1)
    np.testing.assert_allclose(ob.gradient_variances(Z, logits, LABELS), expected, rtol=1e-10)


def test_mixtures_of_domains_are_compared_as_two_domains():
    cuts = np.array([1, 3, 2])
    first = np.concatenate([part[:cut] for part, cut in zip(Z, cuts, strict=True)])
    second = np.concatenate([part[cut:] for part, cut in zip(Z, cuts, strict=True)])
    size = len(second)
    both = np.stack([np.resize(first, second.shape), second])
    mask = np.stack([np.arange(size) < len(first), np.ones(size, bool)])
    for distance, penalty in (("coral", ob.coral_penalty), ("mmd", ob.mmd_penalty)):
        expected = penalty(both, mask=mask)
        np.testing.assert_allclose(ob.halves_penalty(Z, cuts, distance=distance), expected, rtol=1e-12)
        # a covariance of one row there is not
        assert ob.halves_penalty(Z, np.array([1, 0, 0]), distance=distance) == 0
        assert ob.halves_penalty(Z, np.zeros(3, int), distance=distance) == 0


@pytest.mark.parametrize("conditional", [False, True])
def test_contrast_is_what_a_softmax_over_other_rows_gives_other_domains(conditional):
    z, y, domain = Z.reshape(-1, 4), LABELS.reshape(-1), np.repeat(np.arange(3), 6)
    losses = []
    for row in range(18):
        others = [j for j in range(18) if j != row and (y[j] == y[row] or not conditional)]
        weights = {j: np.exp(z[row] @ z[j] / 2.0) for j in others}
        elsewhere = sum(weights[j] for j in others if domain[j] != domain[row])
        losses.append(-np.log(elsewhere / sum(weights.values())) * 2.0 / 0.07)
    found = ob.contrast_penalty(Z, LABELS, temperature=2.0, conditional=conditional)
    np.testing.assert_allclose(found, np.mean(losses), rtol=1e-12)


def test_rows_of_whose_class_there_is_no_other_have_no_contrast():
    alone = np.arange(18).reshape(3, 6)
    for conditional in (False, True):
        value, gradient = jax.value_and_grad(ob.contrast_penalty)(Z, alone, conditional=conditional)
        assert value == 0
        np.testing.assert_array_equal(gradient, 0)


def test_features_that_the_head_relies_on_are_left_out():
    kernel, bias = RANDOM.normal(size=(4, 2)), RANDOM.normal(size=2)
    kept = np.asarray(ob.challenge_mask(Z, LABELS, kernel, bias, feature_share=0.4, row_share=0.3)).reshape(-1, 4)
    z, y = Z.reshape(-1, 4), LABELS.reshape(-1)
    slopes = kernel.T[y]
    muted = slopes < np.percentile(slopes, 60, axis=1, keepdims=True)
    probability = lambda logits: np.asarray(jax.nn.softmax(logits))[np.arange(18), y]
    drops = probability(z @ kernel + bias) - probability(z * muted @ kernel + bias)
    spared = drops < np.percentile(drops, 70)
    np.testing.assert_array_equal(kept, muted | spared[:, None])


def test_the_quantile_of_risks_is_that_of_kernels_around_them():
    risks = np.array([0.3, 0.9, 0.5, 1.4])
    width = 1.06 * risks.std(ddof=1) * 4**-0.2
    for quantile in (0.05, 0.5, 0.9):
        found = ob.quantile_risk(risks, quantile=quantile)
        np.testing.assert_allclose(norm.cdf((found - risks) / width).mean(), quantile, rtol=1e-9)
    value, gradient = jax.value_and_grad(ob.quantile_risk)(np.full(4, 0.7))
    np.testing.assert_allclose(value, 0.7)
    np.testing.assert_allclose(gradient, 1 / 4)


@pytest.mark.parametrize(
    "penalty",
    [
        lambda z, logits, y, mask: ob.domain_risks(logits, y, mask=mask),
        lambda z, logits, y, mask: ob.irm_penalty(logits, y, mask=mask),
        lambda z, logits, y, mask: ob.coral_penalty(z, mask=mask),
        lambda z, logits, y, mask: ob.mmd_penalty(z, mask=mask),
        lambda z, logits, y, mask: ob.logit_penalty(logits, mask=mask),
        lambda z, logits, y, mask: ob.fishr_penalty(ob.gradient_variances(z, logits, y, mask=mask)),
        lambda z, logits, y, mask: ob.bottleneck_penalty(z, mask=mask),
        lambda z, logits, y, mask: ob.halves_penalty(z, np.array([2, 1, 1]), mask=mask),
        lambda z, logits, y, mask: ob.halves_penalty(z, np.array([2, 1, 1]), distance="mmd", mask=mask),
        lambda z, logits, y, mask: ob.contrast_penalty(z, y, mask=mask),
        lambda z, logits, y, mask: ob.contrast_penalty(z, y, conditional=True, mask=mask),
    ],
)
def test_rows_that_do_not_count_have_no_part(penalty):
    other = np.where(MASK[..., None], Z, np.nan), np.where(MASK[..., None], LOGITS, np.inf), np.where(MASK, LABELS, 0)
    np.testing.assert_allclose(penalty(Z, LOGITS, LABELS, MASK), penalty(*other, MASK), rtol=1e-12)
    few = np.zeros_like(MASK)
    few[:, :4] = True
    of_few = penalty(Z[:, :4], LOGITS[:, :4], LABELS[:, :4], None)
    np.testing.assert_allclose(penalty(Z, LOGITS, LABELS, few), of_few, rtol=1e-12)


def test_equal_domains_have_no_penalty():
    same = np.broadcast_to(Z[:1], Z.shape)
    for penalty in (ob.coral_penalty, ob.mmd_penalty):
        np.testing.assert_allclose(penalty(same), 0, atol=1e-13)
    assert ob.vrex_penalty(np.ones(3)) == 0
    # all agree, but no more than the threshold asks for
    np.testing.assert_array_equal(ob.sand_mask({"w": same}, threshold=1.0)["w"], 0)
    np.testing.assert_allclose(ob.sand_mask({"w": same}, threshold=0.5)["w"], Z[0])
    np.testing.assert_allclose(ob.group_dro_weights(np.ones(3), np.full(3, 1e3)), np.full(3, 1 / 3))


def test_single_precision_stays_single():
    z, logits = Z.astype(np.float32), LOGITS.astype(np.float32)
    for function, *given in (
        (ob.irm_penalty, logits, LABELS),
        (ob.mmd_penalty, z),
        (ob.quantile_risk, z[:, 0, 0]),
        (ob.gradient_variances, z, logits, LABELS),
    ):
        assert jax.eval_shape(function, *given).dtype == np.float32


def test_weights_of_large_risks_do_not_overflow():
    weights = ob.group_dro_weights(np.ones(2), np.array([1e6, 1.0]), step_size=1.0)
    np.testing.assert_array_equal(weights, [1, 0])


@pytest.mark.usefixtures("as_a_user_sees")
def test_what_has_no_penalty_is_told():
    for call, text in (
        (lambda: ob.coral_penalty(Z[:1]), "representations must be of two domains at least"),
        (lambda: ob.coral_penalty(Z[:, :1]), "representations must have 2 rows in each domain at least"),
        (lambda: ob.irm_penalty(LOGITS[:, :1], LABELS[:, :1]), "logits must have 2 rows in each domain at least"),
        (lambda: ob.vrex_penalty(np.ones(1)), "risks must be of two domains at least"),
        (lambda: ob.domain_risks(LOGITS, LABELS + 1), "labels must lie in"),
        (lambda: ob.domain_risks(LOGITS, LABELS[:, :3]), "one for each row of logits"),
        (lambda: ob.mmd_penalty(Z, gammas=(0.0,)), "gammas must be positive"),
        (lambda: ob.mmd_penalty(Z, mask=MASK[:2]), "mask must have the shape"),
        (lambda: ob.mmd_penalty(Z, mask=MASK & False), "mask must let 1 of the rows of each domain count at least"),
        (lambda: ob.coral_penalty(Z, mask=np.arange(6) < MASK[:, :1]), "mask must let 2 of the rows of each domain"),
        (lambda: ob.irm_penalty(LOGITS, LABELS, mask=MASK & EVEN), "mask must let 1 of the odd rows of each domain"),
        (lambda: ob.halves_penalty(Z, np.array([1, 7, 1])), "cuts must lie in"),
        (lambda: ob.halves_penalty(Z, np.ones(3, int), distance="l2"), "unknown distance 'l2'; choose one of 'coral'"),
        (lambda: ob.contrast_penalty(Z, LABELS, temperature=0.0), "temperature must be positive"),
        (lambda: ob.challenge_mask(Z, LABELS, np.ones((4, 2)), np.ones(2), row_share=2.0), "row_share must lie in"),
        (lambda: ob.quantile_risk(np.ones(2), quantile=1.0), "quantile must lie in"),
        (lambda: ob.and_mask({"w": Z}, threshold=2.0), "threshold must lie in"),
        (lambda: ob.and_mask({"w": Z[:1]}), "gradients must be of two domains at least"),
        (lambda: ob.iga_penalty({}), "gradients must have arrays, with an axis of domains in front, got none"),
        (
            lambda: ob.sand_mask({"b": Z[:1], "w": Z}),
            "must have an axis of domains in front, the same of all",
        ),
        (lambda: ob.group_dro_weights(np.ones(2), np.ones(3)), "must have one shape"),
    ):
        with pytest.raises(ValueError, match=text):
            call()
