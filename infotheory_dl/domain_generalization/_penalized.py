"""Algorithms that minimise one loss of a whole step: the risk and a penalty, by a gradient through the network."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from infotheory_dl.domain_generalization import objectives
from infotheory_dl.domain_generalization._states import (
    DomainState,
    Parts,
    RowsOfStep,
    Settings,
    Setup,
    by_domain,
    flat_rows,
    reported,
    rows_of,
)
from infotheory_dl.domain_generalization.objectives._rows import require_domains
from infotheory_dl.results import concise
from infotheory_dl.training import Batch, Metrics, NetworkState, descend, forward
from infotheory_dl.types import Key, Params


class Moment(NamedTuple):
    """What a loss is made of.

    Attributes:
      representations: of every row of every domain.
      logits: likewise.
      head: the parameters of the classifier.
      rows: of the step.
      settings: of the algorithm.
      steps: those made before.
      memory: of the algorithm.
      draws: of the step.
    """

    representations: Float[Array, "domains rows features"]
    logits: Float[Array, "domains rows classes"]
    head: Params
    rows: RowsOfStep
    settings: Settings
    steps: Int[Array, ""]
    memory: Any
    draws: Any

    @property
    def risks(self) -> Float[Array, " domains"]:
        """The mean cross-entropy of each domain."""
        return self.risks_of(self.logits)

    def risks_of(self, logits: Array) -> Float[Array, " domains"]:
        """The mean cross-entropy of each domain with other logits."""
        return objectives.domain_risks(logits, self.rows.labels, mask=self.rows.mask)

    def of_all_rows(self, risks: Float[Array, " domains"]) -> Float[Array, ""]:
        """The mean over all rows that count, of the means of the domains."""
        return risks @ (self.rows.mask.sum(1) / self.rows.mask.sum())

    def annealed(self, early: float, weight: str = "penalty_weight", steps: str = "anneal_steps") -> Float[Array, ""]:
        """The weight of a penalty: another one in the first steps."""
        return jnp.where(self.steps >= self.settings[steps], self.settings[weight], early)


class Loss(NamedTuple):
    """A loss.

    Attributes:
      total: what is minimised.
      penalty: at weight one; zero without any.
      memory: of the algorithm, after the step.
    """

    total: Float[Array, ""]
    penalty: Array | float = 0.0
    memory: Any = ()


class Objective(NamedTuple):
    """An algorithm of this kind.

    Attributes:
      loss: of a `Moment`.
      begin: `begin(params, num_domains)`, the memory before the first step.
      resets: settings that are numbers of steps, before which the optimizer begins anew.
      draw: `draw(key, rows, settings)`, what is drawn in a step.
      mix: `mix(inputs, draws)`, the inputs of the network.
      learning_rate: of the settings and the steps made.
    """

    loss: Callable[[Moment], Loss]
    begin: Callable[[Params, int], Any] = lambda params, num_domains: ()
    resets: tuple[str, ...] = ()
    draw: Callable[[Key, RowsOfStep, Settings], Any] = lambda key, rows, settings: ()
    mix: Callable[[Any, Any], Any] = lambda inputs, draws: inputs
    learning_rate: Callable[[Settings, Array], Array] = lambda settings, steps: settings["learning_rate"]


def penalized(objective: Objective, setup: Setup) -> Parts:
    """The parts of an algorithm that minimises an objective."""
    network = setup.network

    def begin(key: Key, params: Params, representations: Array) -> Any:
        return objective.begin(params, setup.num_domains)

    def step(state: DomainState, batch: Batch, key: Key) -> tuple[DomainState, Metrics]:
        rows, settings = rows_of(state, batch), state.settings
        draw_key, network_key, optimizer_key = jax.random.split(key, 3)
        draws = setup.draw(draw_key, state.steps) if setup.draw else objective.draw(draw_key, rows, settings)
        inputs, mask = flat_rows((objective.mix(rows.inputs, draws), rows.mask))

        def loss(params: Params) -> tuple[Array, Any]:
            outputs, collections = forward(network_key, network, state.network._replace(params=params), inputs, mask)
            representations, logits = by_domain(outputs, rows.labels)
            moment = Moment(
                representations, logits, params["classifier"], rows, settings, state.steps, state.memory, draws
            )
            found = objective.loss(moment)
            return found.total, (found, collections, reported(found.total, found.penalty, moment.risks, logits, rows))

        gradient, (found, collections, metrics) = jax.grad(loss, has_aux=True)(state.network.params)
        rate = objective.learning_rate(settings, state.steps)
        optimizer = setup.optimizer(rate, settings["weight_decay"])
        now = [state.steps == settings[name] for name in objective.resets]
        before = _reset(optimizer, state.network, jnp.array(now).any()) if now else state.network
        moved = descend(optimizer_key, optimizer, before, gradient, collections)
        return DomainState(moved, settings, state.steps + 1, found.memory), metrics

    return Parts(begin, step)


def _reset(optimizer: optax.GradientTransformation, state: NetworkState, now: Array) -> NetworkState:
    fresh = optimizer.init(state.params)
    kept = jax.tree.map(lambda new, old: jnp.where(now, new, old), fresh, state.optimizer)
    return state._replace(optimizer=kept)


def erm(moment: Moment) -> Loss:
    """The mean risk of all rows."""
    return Loss(moment.of_all_rows(moment.risks))


def irm(moment: Moment) -> Loss:
    """Invariant risk minimisation."""
    penalty = objectives.irm_penalty(moment.logits, moment.rows.labels, mask=moment.rows.mask)
    return Loss(moment.risks.mean() + moment.annealed(1.0) * penalty, penalty)


def vrex(moment: Moment) -> Loss:
    """Risk extrapolation by the variance."""
    penalty = objectives.vrex_penalty(moment.risks)
    return Loss(moment.risks.mean() + moment.annealed(1.0) * penalty, penalty)


def group_dro(moment: Moment, *, update_before_loss: bool) -> Loss:
    """Distributionally robust optimisation of domains. Of a domain that is not in the step the risk counts as zero."""
    risks, present = moment.risks, moment.rows.domains
    of_all = jnp.zeros_like(moment.memory).at[present].set(risks)
    weights = objectives.group_dro_weights(moment.memory, of_all, step_size=moment.settings["step_size"])
    used = weights if update_before_loss else moment.memory
    return Loss(used[present] @ risks, memory=weights)


def equal_weights(params: Params, num_domains: int) -> Float[Array, " domains"]:
    """The weights of group_dro before the first step."""
    return jnp.full(num_domains, 1 / num_domains, jnp.result_type(*jax.tree.leaves(params)))


def coral(moment: Moment) -> Loss:
    """Means and covariances of representations."""
    return _weighted(moment, objectives.coral_penalty(moment.representations, mask=moment.rows.mask))


def mmd(moment: Moment) -> Loss:
    """Maximum mean discrepancy of representations."""
    return _weighted(moment, objectives.mmd_penalty(moment.representations, mask=moment.rows.mask))


def sd(moment: Moment) -> Loss:
    """Spectral decoupling."""
    penalty = objectives.logit_penalty(moment.logits, mask=moment.rows.mask)
    return Loss(moment.of_all_rows(moment.risks) + moment.settings["penalty_weight"] * penalty, penalty)


def fishr(moment: Moment) -> Loss:
    """Variances of gradients, averaged over steps without correction: the average over one minus its decay."""
    decay, present = moment.settings["average_decay"], moment.rows.domains
    variances = objectives.gradient_variances(
        moment.representations, moment.logits, moment.rows.labels, mask=moment.rows.mask
    )
    average = decay * moment.memory[present] + (1 - decay) * variances
    penalty = objectives.fishr_penalty(average / (1 - decay))
    total = moment.of_all_rows(moment.risks) + moment.annealed(0.0) * penalty
    return Loss(total, penalty, moment.memory.at[present].set(jax.lax.stop_gradient(average)))


def no_variances(params: Params, num_domains: int) -> Float[Array, "domains parameters"]:
    """The average of fishr before the first step."""
    leaves = jax.tree.leaves(params["classifier"])
    return jnp.zeros((num_domains, sum(leaf.size for leaf in leaves)), leaves[0].dtype)


def ib_erm(moment: Moment) -> Loss:
    """The information bottleneck."""
    penalty = objectives.bottleneck_penalty(moment.representations, mask=moment.rows.mask)
    return Loss(moment.risks.mean() + moment.annealed(0.0) * penalty, penalty)


def ib_irm(moment: Moment) -> Loss:
    """Both penalties; the one that is reported is that of irm."""
    invariance = irm(moment)
    bottleneck = objectives.bottleneck_penalty(moment.representations, mask=moment.rows.mask)
    weight = moment.annealed(0.0, "bottleneck_weight", "bottleneck_anneal_steps")
    return Loss(invariance.total + weight * bottleneck, invariance.penalty)


def rsc(moment: Moment) -> Loss:
    """The risk without the features that the head relies on most; the one that is reported is that with them."""
    kernel, bias, rows = moment.head["kernel"], moment.head["bias"], moment.rows
    shares = {name: moment.settings[name] for name in ("feature_share", "row_share")}
    kept = objectives.challenge_mask(moment.representations, rows.labels, kernel, bias, mask=rows.mask, **shares)
    return Loss(moment.of_all_rows(moment.risks_of(moment.representations * kept @ kernel + bias)))


def contrast(moment: Moment, *, conditional: bool) -> Loss:
    """The contrast between domains of representations."""
    penalty = objectives.contrast_penalty(
        moment.representations,
        moment.rows.labels,
        temperature=moment.settings["temperature"],
        conditional=conditional,
        mask=moment.rows.mask,
    )
    return Loss(moment.of_all_rows(moment.risks) + moment.settings["penalty_weight"] * penalty, penalty)


def causirl(moment: Moment, *, distance: Any) -> Loss:
    """Two mixtures of the domains."""
    return _weighted(
        moment,
        objectives.halves_penalty(moment.representations, moment.draws, distance=distance, mask=moment.rows.mask),
    )


def draw_cuts(key: Key, rows: RowsOfStep, settings: Settings) -> Int[Array, " domains"]:
    """How many rows of each domain are of the first mixture of causirl: none to all but one."""
    sizes = rows.mask.sum(1)
    return jnp.minimum(jax.random.uniform(key, sizes.shape) * sizes, sizes - 1).astype(int)


def eqrm(moment: Moment) -> Loss:
    """A quantile of the risks, after steps on their mean."""
    quantile = objectives.quantile_risk(moment.risks, quantile=moment.settings["quantile"])
    late = moment.steps >= moment.settings["anneal_steps"]
    return Loss(jnp.where(late, quantile, moment.risks.mean()), quantile)


def eqrm_learning_rate(settings: Settings, steps: Int[Array, ""]) -> Float[Array, ""]:
    """Another one when the quantile is minimised."""
    return jnp.where(steps >= settings["anneal_steps"], settings["quantile_learning_rate"], settings["learning_rate"])


@concise
class Mixing(NamedTuple):
    """How mixup mixes.

    Attributes:
      order: of the domains: each is mixed with the next one, the last with the first.
      shares: of the first of each pair.
    """

    order: Int[Array, " domains"]
    shares: Float[Array, " domains"]

    @property
    def partners(self) -> Int[Array, " domains"]:
        """The second of each pair."""
        return jnp.roll(self.order, -1)


def mixup(moment: Moment) -> Loss:
    """The risk of mixed inputs, between the labels of both."""
    mixing, rows = moment.draws, moment.rows
    require_domains(logits=moment.logits)
    both = rows.mask[mixing.order] & rows.mask[mixing.partners]
    of_labels = lambda places: objectives.domain_risks(moment.logits, rows.labels[places], mask=both)
    shares = mixing.shares
    return Loss((shares * of_labels(mixing.order) + (1 - shares) * of_labels(mixing.partners)).mean())


def draw_mixing(key: Key, rows: RowsOfStep, settings: Settings) -> Mixing:
    """A random order, and shares that are Beta(α, α)."""
    order_key, share_key = jax.random.split(key)
    count, concentration = len(rows.domains), settings["concentration"]
    shares = jax.random.beta(share_key, concentration, concentration, (count,), concentration.dtype)
    return Mixing(jax.random.permutation(order_key, count), shares)


def mix(inputs: Any, mixing: Mixing) -> Any:
    """The inputs of every pair."""
    shares = mixing.shares.reshape(-1, *[1] * (inputs.ndim - 1))
    return shares * inputs[mixing.order] + (1 - shares) * inputs[mixing.partners]


def _weighted(moment: Moment, penalty: Array) -> Loss:
    return Loss(moment.risks.mean() + moment.settings["penalty_weight"] * penalty, penalty)
