"""The information of examples in the network that is really trained: derivatives of its training by their weights."""

import math
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from jaxtyping import Key as Keys

from infotheory_dl._validation import (
    edge,
    is_concrete,
    require_choice,
    require_count,
    require_finite,
    require_positive,
    require_rank,
    require_shape,
)
from infotheory_dl.results import concise
from infotheory_dl.sample_information._passes import (
    Measure,
    Plan,
    Problem,
    checked,
    pull,
    push,
    shape_of_outputs,
)
from infotheory_dl.sample_information._spot_checks import RetrainedAgreement, check_by_retraining, number_checked
from infotheory_dl.sample_information._tame import require_tame
from infotheory_dl.sample_information.problem import checked_indices
from infotheory_dl.training import Data, Schedule, State, System
from infotheory_dl.types import AnyArray, Scalar

Place: TypeAlias = Literal["midpoint", "full", "mean"]
Method: TypeAlias = Literal["auto", "forward", "reverse", "projections"]


@concise
class TrainedInformation(NamedTuple):
    """The information of training examples in a network as it is trained.

    Attributes:
      weight_change: ‖w_-i - w‖², in squared units of the weights.
      output_change: ‖f_-i - f‖², mean over the reference data, in squared units of the outputs.
      weight_information: weight_change / (2 sigma²), in nats; None without sigma.
      function_information: output_change / (2 sigma²), in nats; None without sigma.
      weight_standard_error: of `weight_change`; None where it is exact.
      output_standard_error: of `output_change`; None where it is exact.
      output_changes: f_-i - f on each of the reference data, if they are asked for.
      passes: through the training, after one for all.
      agreement: with really training without a few of the examples; None where none was left out.
    """

    weight_change: Float[Array, "*models examples"]
    output_change: Float[Array, "*models examples"]
    weight_information: Float[Array, "*models examples"] | None
    function_information: Float[Array, "*models examples"] | None
    weight_standard_error: Float[Array, "*models examples"] | None
    output_standard_error: Float[Array, "*models examples"] | None
    output_changes: Float[Array, "*models examples references outputs"] | None
    passes: Int[Array, ""]
    agreement: RetrainedAgreement | None = None


@concise
class SeedShares(NamedTuple):
    """How the scores of examples differ between them, and between seeds: shares of the variance, which add up to one.

    Attributes:
      mean: of each example over the seeds.
      of_examples: what is the examples' own, in every training.
      of_seeds: what raises or lowers all scores of a training together.
      of_both: the rest, by which a seed changes the order of the examples.
    """

    mean: Float[Array, " examples"]
    of_examples: Float[Array, ""]
    of_seeds: Float[Array, ""]
    of_both: Float[Array, ""]


@edge
def trained_information(
    key: Keys[Array, "*models"],
    system: System,
    state: State,
    data: Data,
    reference: Any,
    *,
    num_epochs: int,
    batch_size: int | Schedule | None = None,
    shared: Any = None,
    examples: Int[AnyArray, " chosen"] | None = None,
    at: Place = "midpoint",
    method: Method = "auto",
    num_projections: int = 64,
    sigma: Scalar | None = None,
    measure: Measure | None = None,
    keep_output_changes: bool = False,
    passes_at_once: int | None = None,
    num_retrained: int | None = None,
) -> TrainedInformation:
    """Computes how much training examples inform the weights and the function of a network that is really trained.

    A training is differentiated by the weight of an example, which is one with it and zero without it: the change
    without the example is minus the derivative, at a place between. Nothing is linearized but this one step, so that
    it holds where the network moves far from its initial weights. What becomes of the place of an example in its batch
    is the affair of the system: see `weighting` of `training.supervised`.

    A forward pass gives all of one example. A reverse pass gives one number of the trained network for all examples: an
    output, or the sum of all weights with random signs. The mean square of such sums is the squared norm, up to a
    standard error of √(2 / num_projections) of it. On small networks either pass, side by side with others, takes the
    time of one or two trainings.

    A derivative does not see what happens at kinks, such as those of relu. So the network is really trained without a
    few of the examples, and `agreement` tells how the scores rank them.

    Args:
      key: of the training, as `training.train` takes it; or of several ones, whose states have a leading axis.
      system: what trains, and looks at the weights of the examples.
      state: before the training.
      data: of the training.
      reference: what the functions are compared on, such as the inputs of a validation set.
      num_epochs, batch_size, shared: of the training, see `training.train`.
      examples: indices of those that are looked at; default all.
      at: where the derivative is taken. "midpoint", where the weight of the example itself is a half, is right to
        second order, and needs a training of its own for each example. "full", where all weights are one, and "mean",
        where they are a half, that of the mean subset of the examples, share one training.
      method: "forward", one pass for each example; "reverse", one for each output of the reference data, and random
        projections of the weights; "projections" of weights and outputs, for all examples at once. "auto" takes the one
        of fewest passes; at the midpoint it is always "forward".
      num_projections: random projections of the weights, and as many of the outputs.
      sigma: standard deviation of the noise, on weights and on outputs; with it come the scores in nats.
      measure: `measure(state, reference)`, rows of numbers of a trained state in place of its outputs, such as losses.
      keep_output_changes: whether to return the changes of the outputs; there are none of projections.
      passes_at_once: passes side by side, to bound the memory: each holds a state, and in reverse mode as many as twice
        the root of the number of steps are kept besides; by default 16, fewer of large networks.
      num_retrained: of the examples, that the network is really trained without; 0 for none. By default at most 24, at
        a tenth of the cost of the passes, and none where that would be fewer than 8, or values are traced.

    Returns:
      The information, and the standard errors of what is estimated.

    Raises:
      ValueError: if the arguments do not fit together, or the training is not differentiable.
      StepSizeError: if the training diverges, or its derivatives explode.

    Warns:
      UserWarning: if the steps round, or take signs, of what depends on the weights of the examples, or a rank
        correlation of `agreement` is below .9.

    Source: Harutyunyan et al., 2021 (the scores); Ilyas and Engstrom, 2025 (derivatives through trainings).
    """
    require_choice("at", at, get_args(Place))
    require_choice("method", method, get_args(Method))
    require_count(2, num_projections=num_projections)
    require_positive(sigma=sigma)
    if sigma is not None:
        require_shape("sigma", sigma, (), "a number")
    plan, problem = checked(
        key,
        system,
        state,
        data,
        reference,
        measure=measure,
        shared=shared,
        num_epochs=num_epochs,
        batch_size=batch_size,
        passes_at_once=passes_at_once,
        weight=0.5 if at == "mean" else 1.0,
    )
    rows = np.arange(len(problem.weights))
    if examples is not None:
        rows = checked_indices("examples", examples, len(rows))
    if num_retrained is not None:
        _require_retrainable(num_retrained, len(rows))
    method = _cheapest(plan, problem, len(rows), at, method, num_projections, keep_output_changes)
    if method == "forward":
        passed, pushed = push(plan, problem, jnp.asarray(rows), midway=at == "midpoint", keep=keep_output_changes)
        result = _result(*pushed, passes=len(rows))
    else:
        passed, result = _reversed(plan, problem, method, num_projections, keep_output_changes)
        if examples is not None:
            axis = problem.key.ndim
            of_examples = lambda leaf: jnp.take(leaf, rows, axis) if leaf.ndim else leaf
            result = jax.tree.map(of_examples, result)
    require_tame(plan, problem, passed, result.weight_change, result.output_change)
    if all(map(is_concrete, jax.tree.leaves((problem, result)))):
        count = number_checked(int(result.passes), len(rows)) if num_retrained is None else num_retrained
        if count:
            agreement = check_by_retraining(plan, problem, rows, result.weight_change, result.output_change, count)
            result = result._replace(agreement=agreement)
    if sigma is None:
        return result
    nats = 1 / (2 * jnp.square(sigma))
    return result._replace(
        weight_information=nats * result.weight_change, function_information=nats * result.output_change
    )


@edge
def seed_shares(scores: Float[AnyArray, "seeds examples"]) -> SeedShares:
    """Splits the variance of the scores of several trainings into what is the examples' and what is the seeds'.

    The components are those of a random effect of the example, one of the seed, and an error; a negative one is zero.

    Args:
      scores: such as the `weight_change` of `trained_information` for several keys, or their logarithms. Of scores that
        are all equal the shares are NaN.

    Raises:
      ValueError: if there are fewer than two seeds or examples, or a score is NaN or infinite.
    """
    require_rank("scores", scores, 2, "(seeds, examples)")
    num_seeds, num_examples = scores.shape
    require_count(2, seeds=num_seeds, examples=num_examples)
    require_finite(scores=scores)
    scores = jnp.asarray(scores)
    by_example, by_seed, grand = scores.mean(0), scores.mean(1), scores.mean()
    residual = scores - by_example - by_seed[:, None] + grand
    of_both = jnp.square(residual).sum() / ((num_seeds - 1) * (num_examples - 1))
    of_examples = jnp.maximum(by_example.var(ddof=1) - of_both / num_seeds, 0)
    of_seeds = jnp.maximum(by_seed.var(ddof=1) - of_both / num_examples, 0)
    total = of_examples + of_seeds + of_both
    return SeedShares(by_example, *(part / total for part in (of_examples, of_seeds, of_both)))


def _require_retrainable(num_retrained: int, num_examples: int) -> None:
    if num_retrained and not 2 <= num_retrained <= num_examples:
        raise ValueError(
            f"num_retrained must be 0, or from 2 to the {num_examples} examples that have scores, got {num_retrained}"
        )


def _cheapest(
    plan: Plan, problem: Problem, num_examples: int, at: Place, method: Method, num_projections: int, keep: bool
) -> Method:
    """The method of fewest passes, where the choice is free."""
    if at == "midpoint" and method in ("reverse", "projections"):
        raise ValueError(
            f"at the midpoint every example has a training of its own, and method {method!r} goes back through one:"
            " take method='forward', or at='full'"
        )
    if keep and method == "projections":
        raise ValueError("projections tell the size of the changes of the outputs: for themselves take another method")
    if method != "auto" or at == "midpoint":
        return "forward" if method == "auto" else method
    num_outputs = math.prod(shape_of_outputs(plan, problem))
    passes: dict[Method, int] = {"forward": num_examples, "reverse": num_outputs + num_projections}
    if not keep:
        passes["projections"] = 2 * num_projections
    return min(passes, key=lambda name: passes[name])


def _reversed(
    plan: Plan, problem: Problem, method: Method, num_projections: int, keep: bool
) -> tuple[Any, TrainedInformation]:
    """The scores of all examples by reverse passes."""
    shape = shape_of_outputs(plan, problem)
    of_outputs = None if method == "reverse" else num_projections
    passed, rows = pull(plan, problem, of_weights=num_projections, of_outputs=of_outputs)
    weight_change, weight_error = _mean_square(rows[..., :num_projections, :])
    if method == "reverse":
        changes = jnp.moveaxis(rows[..., num_projections:, :], -1, -2).reshape(*rows.shape[:-2], -1, *shape)
        output_change, output_error = jnp.square(changes).sum(-1).mean(-1), None
    else:
        changes = None
        output_change, output_error = (part / shape[0] for part in _mean_square(rows[..., num_projections:, :]))
    return passed, _result(
        weight_change, output_change, changes if keep else None, weight_error, output_error, passes=rows.shape[-2]
    )


def _mean_square(rows: Float[Array, "*models projections examples"]) -> tuple[Array, Array]:
    """The mean square of each column, and its standard error."""
    squares = jnp.square(rows)
    return squares.mean(-2), squares.std(-2, ddof=1) / np.sqrt(rows.shape[-2])


def _result(
    weight_change: Array,
    output_change: Array,
    output_changes: Array | None,
    weight_error: Array | None = None,
    output_error: Array | None = None,
    *,
    passes: int,
) -> TrainedInformation:
    return TrainedInformation(
        weight_change,
        output_change,
        None,
        None,
        weight_error,
        output_error,
        output_changes,
        jnp.int32(passes),
    )
