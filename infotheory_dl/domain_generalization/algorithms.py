"""The training algorithms of this room by name, each as a system of the training engine."""

import functools
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array

from infotheory_dl import networks
from infotheory_dl._validation import (
    edge,
    require_choice,
    require_count,
    require_not_negative,
    require_positive,
    require_within,
)
from infotheory_dl.domain_generalization import _by_domain, _penalized, objectives
from infotheory_dl.domain_generalization._adversarial import adversarial
from infotheory_dl.domain_generalization._penalized import Objective, penalized
from infotheory_dl.domain_generalization._states import DomainState, Optimizer, Parts, Setup, adam, with_head
from infotheory_dl.training import (
    AnyNetwork,
    Data,
    Metrics,
    Recipe,
    System,
    begin,
    predicted_classes,
)
from infotheory_dl.types import ApplyFn, Key, Params, Scalar

AlgorithmName = Literal[
    "erm",
    "irm",
    "vrex",
    "group_dro",
    "coral",
    "mmd",
    "sd",
    "mixup",
    "mldg",
    "dann",
    "cdann",
    "fishr",
    "ib_erm",
    "ib_irm",
    "iga",
    "and_mask",
    "sand_mask",
    "rsc",
    "fish",
    "cad",
    "cond_cad",
    "causirl_coral",
    "causirl_mmd",
    "eqrm",
]
Draw = Callable[[Key, Array], Any]


class Algorithm(NamedTuple):
    """A way to train a classifier on several domains.

    Attributes:
      name: of `ALGORITHMS`.
      system: trains it from data `(inputs, labels, domains)` in batches with an axis of domains, which
        `domain_minibatches` makes. `init(key, variables=None, **settings)` makes a `DomainState`; the settings that it
        takes, and their defaults, says `ALGORITHMS`; they can differ between models. An evaluation reports the `loss`
        and the `accuracy`, means over its data, and `domain_accuracies`.
      network: `network(variables, inputs)`, the representations and the logits.
      num_domains: those to train on.
      prepare: `prepare(settings)`, all settings, checked: those that are given and the defaults of the others.
    """

    name: AlgorithmName
    system: System
    network: ApplyFn
    num_domains: int
    prepare: Callable[[Mapping[str, Scalar]], dict[str, Scalar]]

    def classifier(self, variables: Params, inputs: Any) -> Array:
        """The logits."""
        return self.network(variables, inputs)[1]

    def featurizer(self, variables: Params, inputs: Any) -> Array:
        """The representations."""
        return self.network(variables, inputs)[0]


class Plan(NamedTuple):
    """What the training of an algorithm begins with.

    Attributes:
      num_domains: those to train on.
      settings: that are given.
    """

    num_domains: int
    settings: Mapping[str, Scalar]


@edge
def make_algorithm(
    name: AlgorithmName,
    featurizer: AnyNetwork,
    input_shape: Sequence[int],
    *,
    num_classes: int,
    num_domains: int,
    discriminator: AnyNetwork | None = None,
    optimizer: Optimizer = adam,
    update_before_loss: bool = True,
    draw: Draw | None = None,
) -> Algorithm:
    """Makes an algorithm by its name; equal arguments give the same one, for which nothing is compiled anew.

    Args:
      name: one of `ALGORITHMS`.
      featurizer: see `training.as_network`, with an `init`; its outputs are representations (rows, features). A linear
        head is put after it.
      input_shape: of an example.
      num_classes: of the labels.
      num_domains: of the domains to train on; those that are held out do not count.
      discriminator: of "dann" and "cdann", from representations to logits of the domains; default an MLP of two hidden
        layers of 256.
      optimizer: `optimizer(learning_rate, weight_decay)`; of "dann" and "cdann" it is given `momentum` besides.
      update_before_loss: whether the weights of "group_dro" are moved before they weigh the risks, as in DomainBed, or
        after it, as in WILDS.
      draw: `draw(key, steps)`, instead of what "mixup" (a `Mixing`), "mldg" (an order of the domains) and "causirl_..."
        (a cut of each domain) draw, such as to follow another program; `steps` are those made before.

    Returns:
      The algorithm.

    Raises:
      ValueError: if the name is unknown, or the domains are fewer than the algorithm needs; from `init`, if a setting
        is unknown or impossible.

    Source: as at the objectives; DomainBed (Gulrajani and Lopez-Paz, 2021), whose gradients these are.
    """
    require_choice("algorithm", name, tuple(ALGORITHMS))
    require_count(1, num_domains=num_domains)
    require_count(2, num_classes=num_classes)
    if discriminator is None:
        discriminator = networks.MLP((256, 256), num_domains)
    given = cast(Any, (featurizer, tuple(input_shape), num_classes, num_domains, discriminator))
    return _make_algorithm(name, *given, optimizer, update_before_loss, draw)


# with the same functions the engine finds its program compiled
@functools.lru_cache(maxsize=64)
def _make_algorithm(
    name: AlgorithmName,
    featurizer: Any,
    input_shape: tuple[int, ...],
    num_classes: int,
    num_domains: int,
    discriminator: Any,
    optimizer: Optimizer,
    update_before_loss: bool,
    draw: Draw | None,
) -> Algorithm:
    network = with_head(featurizer, num_classes)
    recipe = ALGORITHMS[name]
    recipe.prepare(Plan(num_domains, {}))
    parts: Parts = recipe.make(
        Setup(network, num_domains, num_classes, optimizer, discriminator, update_before_loss, draw)
    )

    def prepare(settings: Mapping[str, Scalar]) -> dict[str, Scalar]:
        return recipe.prepare(Plan(num_domains, settings))

    def init(key: Key, variables: Params | None = None, **settings: Scalar) -> DomainState:
        network_key, memory_key = jax.random.split(key)
        example = jnp.zeros((1, *input_shape))
        drawn = network.init(network_key, example) if variables is None else variables
        state = begin(network, optimizer(0.0, 0.0), drawn)
        dtype = jnp.result_type(*jax.tree.leaves(state.params))
        leaves = {setting: jnp.asarray(value, dtype) for setting, value in prepare(settings).items()}
        representations, _ = network.apply(drawn, example.astype(dtype))
        return DomainState(state, leaves, jnp.int32(0), parts.begin(memory_key, state.params, representations))

    def evaluate(state: DomainState, data: Data, *shared: Any) -> Metrics:
        inputs, labels, domains = data
        _, logits = network.apply(state.variables, inputs)
        right = predicted_classes(logits) == labels
        counts = jnp.bincount(domains, length=num_domains)
        return {
            "loss": objectives.domain_risks(logits[None], labels[None])[0],
            "accuracy": right.mean(),
            "domain_accuracies": jnp.bincount(domains, right, length=num_domains) / counts,
        }

    return Algorithm(name, System(init, parts.step, evaluate), network.apply, num_domains, prepare)


# of the rows of a batch; a state that is infinite would be one that has diverged
_ALL = 1e9

_CHECKS: dict[str, Callable[..., None]] = {
    "batch_size": functools.partial(require_within, "[1, inf]"),
    "learning_rate": require_positive,
    "quantile_learning_rate": require_positive,
    "discriminator_learning_rate": require_positive,
    "temperature": require_positive,
    "concentration": require_positive,
    "momentum": functools.partial(require_within, "[0, 1)"),
    "average_decay": functools.partial(require_within, "[0, 1)"),
    "threshold": functools.partial(require_within, "[0, 1]"),
    "feature_share": functools.partial(require_within, "[0, 1]"),
    "row_share": functools.partial(require_within, "[0, 1]"),
    "meta_rate": functools.partial(require_within, "(0, 1]"),
    "quantile": functools.partial(require_within, "(0, 1)"),
}


def _recipe(make: Callable[[Setup], Parts], least: tuple[int, int] = (1, 1), /, **own: float) -> Recipe:
    """An algorithm that needs so many domains, and rows of each in a batch, and has settings with these defaults."""
    least_domains, least_rows = least
    defaults = {"learning_rate": 1e-3, "weight_decay": 0.0, "batch_size": _ALL, **own}

    def prepare(plan: Plan) -> dict[str, Scalar]:
        if plan.num_domains < least_domains:
            raise ValueError(
                f"the algorithm compares domains: it needs {least_domains} to train on at least, got {plan.num_domains}"
            )
        unknown = [name for name in plan.settings if name not in defaults]
        if unknown:
            raise ValueError(
                f"unknown setting {unknown[0]!r} of the algorithm; it takes {', '.join(map(repr, defaults))}"
            )
        settings = {**defaults, **plan.settings}
        for name, value in settings.items():
            _CHECKS.get(name, require_not_negative)(**{name: value})
        require_within(f"[{least_rows}, inf]", batch_size=settings["batch_size"])
        if "num_test_domains" in own:
            # with all domains to test on there would be none to learn from
            largest = plan.num_domains - 1
            if "num_test_domains" not in plan.settings:
                settings["num_test_domains"] = min(settings["num_test_domains"], largest)
            require_within(
                f"[1, {largest}]",
                "one less than the domains to train on",
                num_test_domains=settings["num_test_domains"],
            )
        return settings

    return Recipe(make, prepare, tuple(defaults))


def _of_objective(loss: Callable[..., Any], /, **parts: Any) -> Callable[[Setup], Parts]:
    return functools.partial(penalized, Objective(loss, **parts))


def _group_dro(setup: Setup) -> Parts:
    loss = functools.partial(_penalized.group_dro, update_before_loss=setup.update_before_loss)
    return penalized(Objective(loss, begin=_penalized.equal_weights), setup)


def _causirl(distance: Literal["coral", "mmd"]) -> Callable[[Setup], Parts]:
    return _of_objective(functools.partial(_penalized.causirl, distance=distance), draw=_penalized.draw_cuts)


def _contrast(conditional: bool) -> Callable[[Setup], Parts]:
    return _of_objective(functools.partial(_penalized.contrast, conditional=conditional))


_ANNEALED = {"resets": ("anneal_steps",)}
_ADVERSARIAL = {
    "penalty_weight": 1.0,
    "gradient_penalty": 0.0,
    "discriminator_steps": 1.0,
    "discriminator_learning_rate": 1e-3,
    "discriminator_weight_decay": 0.0,
    "momentum": 0.5,
}

ALGORITHMS: Mapping[AlgorithmName, Recipe] = MappingProxyType(
    {
        "erm": _recipe(_of_objective(_penalized.erm)),
        "irm": _recipe(_of_objective(_penalized.irm, **_ANNEALED), (1, 2), penalty_weight=100.0, anneal_steps=500.0),
        "vrex": _recipe(_of_objective(_penalized.vrex, **_ANNEALED), (2, 1), penalty_weight=10.0, anneal_steps=500.0),
        "group_dro": _recipe(_group_dro, (2, 1), step_size=1e-2),
        "coral": _recipe(_of_objective(_penalized.coral), (2, 2), penalty_weight=1.0),
        "mmd": _recipe(_of_objective(_penalized.mmd), (2, 1), penalty_weight=1.0),
        "sd": _recipe(_of_objective(_penalized.sd), penalty_weight=0.1),
        "mixup": _recipe(
            _of_objective(_penalized.mixup, draw=_penalized.draw_mixing, mix=_penalized.mix),
            (2, 1),
            concentration=0.2,
        ),
        "mldg": _recipe(_by_domain.mldg, (2, 1), test_weight=1.0, num_test_domains=2.0),
        "dann": _recipe(functools.partial(adversarial, conditional=False), (2, 1), **_ADVERSARIAL),
        "cdann": _recipe(functools.partial(adversarial, conditional=True), (2, 1), **_ADVERSARIAL),
        "fishr": _recipe(
            _of_objective(_penalized.fishr, begin=_penalized.no_variances, **_ANNEALED),
            (2, 2),
            penalty_weight=1000.0,
            anneal_steps=1500.0,
            average_decay=0.95,
        ),
        "ib_erm": _recipe(
            _of_objective(_penalized.ib_erm, **_ANNEALED), (1, 2), penalty_weight=100.0, anneal_steps=500.0
        ),
        "ib_irm": _recipe(
            _of_objective(_penalized.ib_irm, resets=("anneal_steps", "bottleneck_anneal_steps")),
            (1, 2),
            penalty_weight=100.0,
            anneal_steps=500.0,
            bottleneck_weight=100.0,
            bottleneck_anneal_steps=500.0,
        ),
        "iga": _recipe(_by_domain.iga, (2, 1), penalty_weight=1000.0),
        "and_mask": _recipe(
            functools.partial(_by_domain.masked, objectives.and_mask, ("threshold",)), (2, 1), threshold=1.0
        ),
        "sand_mask": _recipe(
            functools.partial(_by_domain.masked, objectives.sand_mask, ("threshold", "sharpness")),
            (2, 1),
            threshold=1.0,
            sharpness=10.0,
        ),
        "rsc": _recipe(_of_objective(_penalized.rsc), feature_share=1 / 3, row_share=1 / 3),
        "fish": _recipe(_by_domain.fish, meta_rate=0.5),
        "cad": _recipe(_contrast(False), (2, 1), penalty_weight=0.1, temperature=0.1),
        "cond_cad": _recipe(_contrast(True), (2, 1), penalty_weight=0.1, temperature=0.1),
        "causirl_coral": _recipe(_causirl("coral"), penalty_weight=1.0),
        "causirl_mmd": _recipe(_causirl("mmd"), penalty_weight=1.0),
        "eqrm": _recipe(
            _of_objective(_penalized.eqrm, learning_rate=_penalized.eqrm_learning_rate, **_ANNEALED),
            (2, 1),
            anneal_steps=2500.0,
            quantile=0.75,
            quantile_learning_rate=1e-6,
        ),
    }
)
"""The registry: how each algorithm is made, what its training begins with, and which settings it takes."""
