"""Whether derivatives of a training tell what leaving examples out does: a few of them are really left out."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from infotheory_dl._validation import warn
from infotheory_dl.metrics import spearman_correlation
from infotheory_dl.results import concise
from infotheory_dl.sample_information._passes import Plan, Problem
from infotheory_dl.sample_information.counterfactuals import retrained_without

# of fewer examples a rank correlation tells nothing, of more it tells little more
_FEWEST, _MOST = 8, 24
# a pass takes the time of a training or more: one training for ten of them is a tenth of it at most
_PASSES_OF_ONE = 10
_LOW = 0.9


@concise
class RetrainedAgreement(NamedTuple):
    """How scores agree with really training without a few of the examples.

    Attributes:
      weight_change: rank correlation of the changes of the weights with the real ones.
      output_change: that of the outputs.
      examples: which were really left out: they are spread evenly over the ranks of the scores.
    """

    weight_change: Float[Array, "*models"]
    output_change: Float[Array, "*models"]
    examples: Int[Array, " checked"]


def number_checked(passes: int, num_examples: int) -> int:
    """How many examples can be really left out at a tenth of the cost of the passes; zero where that is too few."""
    count = min(_MOST, num_examples, passes // _PASSES_OF_ONE)
    return count if count >= _FEWEST else 0


def check_by_retraining(
    plan: Plan,
    problem: Problem,
    rows: Int[np.ndarray, " chosen"],
    weight_change: Float[Array, "*models chosen"],
    output_change: Float[Array, "*models chosen"],
    count: int,
) -> RetrainedAgreement:
    """Trains without `count` of the examples, and warns where the scores do not rank them as they really are.

    Args:
      plan, problem: of `checked`.
      rows: the examples that have scores.
      weight_change, output_change: their scores.
      count: of the examples to leave out.
    """
    estimates = np.stack([np.asarray(weight_change), np.asarray(output_change)])
    order = np.argsort(estimates[1].reshape(-1, len(rows)).mean(0))
    chosen = np.sort(order[((np.arange(count) + 0.5) * len(rows) / count).astype(int)])
    members = rows[chosen][:, None] == np.arange(len(problem.weights))
    # without the example from all the others, wherever the derivative is taken
    whole = problem._replace(weights=jnp.ones_like(problem.weights))

    def of_one(model: Problem, estimates: Float[np.ndarray, "scores chosen"]) -> Any:
        truth = retrained_without(plan, model, members, models_at_once=plan.at_once)
        real = np.stack([truth.weight_change, truth.output_change])
        return jax.vmap(spearman_correlation)(jnp.asarray(estimates[:, chosen]), jnp.asarray(real))

    if problem.key.ndim:
        models = (
            whole._replace(key=key, state=jax.tree.map(lambda leaf, place=place: leaf[place], problem.state))
            for place, key in enumerate(problem.key)
        )
        found = jnp.stack([of_one(model, estimates[:, place]) for place, model in enumerate(models)], axis=1)
    else:
        found = of_one(whole, estimates)
    low = float(jnp.min(found))
    if low < _LOW:
        warn(
            f"the scores have a rank correlation of only {low:.2f} with what really leaving out {count} of the examples"
            " changes. Units with kinks, such as relu, change what no derivative sees, and few projections say little:"
            " take smooth units, such as gelu, at='midpoint' and more projections, or ask retrain_without or the"
            " linearized sample_information"
        )
    return RetrainedAgreement(found[0], found[1], jnp.asarray(rows[chosen]))
