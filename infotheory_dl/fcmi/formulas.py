"""Bounds on the generalization gap from numbers: an information, a training loss, a dimension, a history of training.

Losses lie in [0, 1], information is in nats. A bound on the gap is on ghost loss less training loss, one on the
population loss on the ghost loss itself. Everything works elementwise on arrays, under `jit`, `vmap` and `grad`; the
slope at zero information is infinite.
"""

import math

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import xlog1py
from jaxtyping import Array, Float

from infotheory_dl._roots import bisection, golden_section
from infotheory_dl._validation import edge, require_count, require_positive
from infotheory_dl.types import AnyArray, Scalar

Numbers = Scalar | Float[AnyArray, "..."]
"""One number or an array of them; arrays broadcast among the arguments."""


@edge
def input_output(information: Numbers, *, subset_size: Numbers = 1, sigma: Numbers = 0.5) -> Float[Array, "..."]:
    """Bounds the gap by sqrt(2 sigma² I(weights; subset of the sample) / m); average it over subsets of m examples.

    Args:
      information: I, of a training algorithm's weights and m of its training examples.
      subset_size: m.
      sigma: the loss is sigma-subgaussian; 1/2 for losses in [0, 1].

    Source: Xu and Raginsky, 2017; Bu, Zou and Veeravalli, 2020.
    """
    return jnp.sqrt(2 * jnp.square(sigma) * _floating(information) / subset_size)


@edge
def input_output_squared_gap(
    information: Numbers, *, num_examples: Numbers, sigma: Numbers = 0.5
) -> Float[Array, "..."]:
    """Bounds the expected squared gap by 4 sigma² (I(weights; sample) + ln 3) / n.

    Args:
      information: I, of the weights and the whole training sample.
      num_examples: n.
      sigma: the loss is sigma-subgaussian.

    Source: Harutyunyan et al., 2021.
    """
    return 4 * jnp.square(sigma) * (_floating(information) + math.log(3)) / num_examples


@edge
def weight_cmi(information: Numbers, *, subset_size: Numbers = 1) -> Float[Array, "..."]:
    """Bounds the gap by sqrt(2 I(weights; selection of a subset) / m); average it over subsets of m rows.

    The same formula holds for any output of the training in the place of the weights: predictions (`fcmi`), losses
    (`ecmi`) or their difference (`ldcmi`).

    Args:
      information: I, with the supersample fixed.
      subset_size: m, 1 for the information about single rows.

    Source: Steinke and Zakynthinou, 2020; Harutyunyan et al., 2021.
    """
    return jnp.sqrt(2 * _floating(information) / subset_size)


@edge
def squared_gap(information: Numbers, *, num_examples: Numbers) -> Float[Array, "..."]:
    """Bounds the expected squared gap by 8 (I + 2) / n.

    Args:
      information: I, of the weights or the predictions, and the whole selection, given the supersample.
      num_examples: n.

    Source: Steinke and Zakynthinou, 2020; Harutyunyan et al., 2021.
    """
    return 8 * (_floating(information) + 2) / num_examples


@edge
def vapnik_chervonenkis(dimension: Numbers, *, num_examples: Numbers) -> Float[Array, "..."]:
    """Bounds the gap of binary classifiers by the VC dimension d of their class.

    sqrt((2 / n) max{(d + 1) ln 2, d ln(2 e n / d)}): the predictions on 2n examples can take no more values.

    Args:
      dimension: d, positive.
      num_examples: n.

    Raises:
      ValueError: if the dimension is not positive.

    Source: Harutyunyan et al., 2021; Sauer, 1972.
    """
    require_positive(dimension=dimension, num_examples=num_examples)
    d = _floating(dimension)
    return weight_cmi(
        jnp.maximum((d + 1) * math.log(2), d * (1 + jnp.log(2 * num_examples / d))), subset_size=num_examples
    )


@edge
def stability(beta: Numbers, *, dimension: Numbers, lipschitz: Numbers = 1.0) -> Float[Array, "..."]:
    """Bounds the gap of a stable algorithm by 2^(3/2) d^(1/4) sqrt(gamma beta).

    Args:
      beta: self-stability: the prediction on a training example moves by no more, in root mean square, when that
        example is replaced by its ghost.
      dimension: d, of the predictions.
      lipschitz: gamma, the constant of the loss in the prediction.

    Source: Harutyunyan et al., 2021.
    """
    return 2**1.5 * _floating(dimension) ** 0.25 * jnp.sqrt(lipschitz * _floating(beta))


@edge
def stability_squared_gap(
    beta: Numbers,
    *,
    test_beta: Numbers,
    strong_test_beta: Numbers,
    dimension: Numbers,
    num_examples: Numbers,
    lipschitz: Numbers = 1.0,
    constant: Numbers = 12**1.5,
) -> Float[Array, "..."]:
    """Bounds the expected squared gap of a stable algorithm.

    32 / n + constant sqrt(d) gamma sqrt(2 beta² + n beta_1² + n beta_2²).

    Args:
      beta: self-stability, as in `stability`.
      test_beta: beta_1, test stability: how far the prediction on an example outside the training set moves.
      strong_test_beta: beta_2, the same with that example also replaced.
      dimension, lipschitz: as in `stability`.
      num_examples: n.
      constant: the paper's by default; 8 sqrt 2 follows from (a + b)² <= 2 a² + 2 b².

    Source: Harutyunyan et al., 2021.
    """
    movement = 2 * _floating(beta) ** 2 + num_examples * (_floating(test_beta) ** 2 + _floating(strong_test_beta) ** 2)
    return jnp.sqrt(dimension * movement) * constant * lipschitz + 32 / num_examples


@edge
def ensemble(information: Float[AnyArray, "members *batch"], *, num_examples: Numbers) -> Float[Array, "*batch"]:
    """Bounds the gap of any function of several predictors by the sum of their informations.

    Args:
      information: I(predictions of a member; selection), of the whole selection: of single rows it does not add up.
        The members are trained independently of each other, given the selection.
      num_examples: n.

    Source: Harutyunyan et al., 2021.
    """
    return weight_cmi(_floating(information).sum(0), subset_size=num_examples)


@edge
def sgld(
    learning_rates: Float[AnyArray, "*batch steps_and_initial"],
    inverse_temperatures: Float[AnyArray, "*batch steps_and_initial"],
    gradient_variances: Float[AnyArray, "*batch steps"],
    *,
    num_examples: int,
    batch_size: int,
) -> Float[Array, "*batch"]:
    """Bounds the gap of stochastic gradient Langevin dynamics after T steps by the variance of its gradients.

    sqrt(n / (4 b (n - 1)²) sum over t = 1 … T - 1 of lr_t beta_t V_t / 4): without the first step, as published.

    Args:
      learning_rates: lr_0 … lr_T, initially and after each update.
      inverse_temperatures: beta_0 … beta_T, likewise. The noise of a step has the variance 2 lr / beta.
      gradient_variances: V_1 … V_T, after each update: trace of the covariance of the gradients of single examples.
      num_examples: n, at least 2.
      batch_size: b.

    Raises:
      ValueError: if the lengths do not fit, or n < 2 or b < 1.

    Source: Negrea et al., 2019; Harutyunyan et al., 2021.
    """
    steps = np.shape(gradient_variances)[-1]
    lengths = np.shape(learning_rates)[-1], np.shape(inverse_temperatures)[-1]
    if lengths != (steps + 1, steps + 1):
        raise ValueError(
            f"learning_rates and inverse_temperatures must have T + 1 = {steps + 1} entries for T = {steps} gradient"
            f" variances, got {lengths[0]} and {lengths[1]}"
        )
    require_count(2, num_examples=num_examples)
    require_count(1, batch_size=batch_size)
    rates, temperatures, variances = map(jnp.asarray, (learning_rates, inverse_temperatures, gradient_variances))
    total = (rates[..., 1:steps] * temperatures[..., 1:steps] / 4 * variances[..., :-1]).sum(-1)
    return jnp.sqrt(num_examples / (4 * batch_size * (num_examples - 1) ** 2) * total)


def binary_kl_loss(information: Numbers, training_loss: Numbers) -> Float[Array, "..."]:
    """Bounds the population loss by the largest R in [q, 1] with d(q || (q + R) / 2) <= I.

    Args:
      information: I of the pair of losses and the selection, the mean over rows.
      training_loss: q, in expectation.

    Source: Hellström and Durisi, 2022.
    """
    information, q = _together(information, training_loss)

    def divergence(population_loss: Array) -> Array:
        # as a sum of terms that are each non-negative: near q the logarithms would cancel
        half = (population_loss - q) / 2
        middle = q + half
        below = jnp.where(q > 0, middle * _relative(-half, jnp.where(q > 0, middle, 1)), half)
        return below + (1 - middle) * _relative(half, 1 - middle)

    return bisection(lambda population_loss: divergence(population_loss) - information, q, jnp.ones_like(q))


def linear_loss(information: Numbers, training_loss: Numbers) -> Float[Array, "..."]:
    """Bounds the population loss by the least g L + I / l with l (1 - g) + (e^l - 1 - l)(1 + g²) <= 0 and g >= 1.

    Args:
      information: I of the pair of losses and the selection, the mean over rows.
      training_loss: L, in expectation.

    Source: Hellström and Durisi, 2022.
    """
    information, training_loss = _together(information, training_loss)
    # there is a feasible g as long as e^l - 1 - l <= (sqrt 2 - 1) l / 2
    limit = bisection(
        lambda rate: jnp.expm1(rate) - (math.sqrt(2) + 1) / 2 * rate,
        jnp.asarray(0.1, information.dtype),
        jnp.asarray(1.0, information.dtype),
    )

    def objective(rate: Array) -> Array:
        a = jnp.expm1(rate) - rate
        # the smaller root in g, without its cancellation
        g = 2 * (a + rate) / (rate + jnp.sqrt(jnp.maximum(rate**2 - 4 * a * (a + rate), 0)))
        return g * training_loss + information / rate

    return golden_section(objective, jnp.zeros_like(information), limit)


def fast_rate_gap(information: Numbers, training_loss: Numbers) -> Float[Array, "..."]:
    """Bounds the gap by the least c L + I / C(c) over c >= 0, with C the positive root of e^(2C) + e^(-2C(c + 1)) = 2.

    Args:
      information: I of a single loss and the selection, the mean over rows and columns.
      training_loss: L, in expectation.

    Returns:
      The bound; at L = 0 it is 2 I / ln 2.

    Source: Wang and Mao, 2023.
    """
    information, training_loss = _together(information, training_loss)

    def objective(root: Array) -> Array:
        # c L in terms of the root C, -ln(2 - e^(2C)) L / (2C) - L
        logarithm = xlog1py(training_loss, jnp.maximum(-jnp.expm1(2 * root), -1))
        return -logarithm / (2 * root) - training_loss + information / root

    limit = jnp.full_like(information, math.log(2) / 2)
    bound = golden_section(objective, jnp.zeros_like(information), limit)
    return jnp.where(training_loss > 0, bound, information / limit)


def fast_rate_simple_gap(information: Numbers, training_loss: Numbers) -> Float[Array, "..."]:
    """Bounds the gap by 4 I + 4 sqrt(I L), looser than `fast_rate_gap`, which see for the arguments."""
    information, training_loss = _together(information, training_loss)
    return 4 * information + 4 * jnp.sqrt(information * training_loss)


def moment_gap(
    information: Numbers, training_loss: Numbers, moment: Numbers, *, gamma: Numbers = 1.0
) -> Float[Array, "..."]:
    """Bounds the gap by a second moment of the training losses beside their mean.

    The least c (L - (1 - gamma²) M) + I / C over c >= 0, with C the positive root of
    e^(2C) + e^(-2C(c gamma² + 1)) = 2. In terms of c gamma² this is `fast_rate_gap` at the loss
    M + (L - M) / gamma². Losses in [0, 1] have M <= L, so the best gamma is the limit 1, where both bounds agree.

    Args:
      information: as in `fast_rate_gap`.
      training_loss: L, in expectation.
      moment: M; with E[L²] it is the variance bound, with the mean squares of the rows' losses the sharpness bound.
      gamma: in (0, 1].

    Source: Wang and Mao, 2023; the reduction is ours.
    """
    require_positive(gamma=gamma)
    # with few runs the two are estimated from different runs, and may come in the wrong order
    moment = jnp.minimum(_floating(moment), training_loss)
    return fast_rate_gap(information, moment + (training_loss - moment) / gamma**2)


def _relative(change: Array, base: Array) -> Array:
    """r log r - r + 1 of the ratio r = 1 + change / base; zero at a base of zero, which then does not change."""
    ratio = change / jnp.where(base > 0, base, 1)
    return xlog1py(1 + ratio, ratio) - ratio


def _floating(value: Numbers) -> Array:
    return jnp.asarray(value, jnp.result_type(value, float))


def _together(*values: Numbers) -> tuple[Array, ...]:
    # a list in jax 0.10, a tuple in 0.12
    return tuple(jnp.broadcast_arrays(*map(_floating, values)))
