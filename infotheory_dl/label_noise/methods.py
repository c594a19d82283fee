"""The methods of this room by name, each as a system of the training engine with its networks inside."""

import functools
from collections.abc import Callable, Hashable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypedDict, Unpack, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from infotheory_dl import networks
from infotheory_dl._validation import edge, require_choice
from infotheory_dl.data.label_noise import require_transition
from infotheory_dl.label_noise import ablations, losses
from infotheory_dl.label_noise._early_learning import early_learning
from infotheory_dl.label_noise._joint import classification_metrics, joint
from infotheory_dl.label_noise._labels import checked_rows
from infotheory_dl.label_noise.co_teaching import co_teaching
from infotheory_dl.label_noise.leave_one_out import LeaveOneOutTargets, leave_one_out_targets
from infotheory_dl.label_noise.limit import Distribution, limit
from infotheory_dl.linearization import KernelEigen
from infotheory_dl.training import AnyNetwork, Metrics, Network, Recipe, State, System, as_network, supervised
from infotheory_dl.types import AnyArray, ApplyFn, Key, Params, Scalar

MethodName = Literal[
    "cross_entropy",
    "mean_squared_error",
    "mean_absolute_error",
    "generalized_cross_entropy",
    "symmetric_cross_entropy",
    "active_passive",
    "bootstrapping",
    "bi_tempered",
    "forward_correction",
    "backward_correction",
    "dmi",
    "early_learning",
    "co_teaching",
    "limit_gaussian",
    "limit_laplace",
    "limit_cross_entropy",
    "limit_dot",
    "penalize",
    "leave_one_out",
]
Transition = Float[AnyArray, "classes classes"] | Sequence[Sequence[float]]


class Method(NamedTuple):
    """A way to train a classifier on labels of which some are wrong.

    Attributes:
      system: trains it from data `(inputs, labels)`. `init(key, variables=None, **settings)` makes a state, whose
        `variables` are those of the classifier. Variables of a trained classifier are where the predictor of LIMIT and
        "penalize" starts from, and the classifier of every other method. Which settings a method takes says its recipe
        in `METHODS`; they can differ between models.
      classifier: `classifier(variables, inputs)`, the logits.
      predictor: the second network of LIMIT and "penalize", with the variables `state.networks[1].variables`; None
        elsewhere.
    """

    system: System
    classifier: ApplyFn
    predictor: ApplyFn | None


class StateSettings(TypedDict, total=False):
    """Settings that can differ between models, besides `learning_rate` and `weight_decay`.

    Keys:
      gradient_weight_decay: of LIMIT, see `limit.loss`, and of "penalize".
      gradient_l1_penalty: of LIMIT.
      noise_scale: of LIMIT.
      weight: of "penalize".
      forget_rate: of "co_teaching".
    """

    gradient_weight_decay: Scalar
    gradient_l1_penalty: Scalar
    noise_scale: Scalar
    weight: Scalar
    forget_rate: Scalar


class Plan(NamedTuple):
    """A task, and what a method can ask for before its training.

    Attributes:
      labels: as given, a column for each variant.
      training_rows: the examples of each variant to train on.
      num_classes: of the labels.
      kernel: `kernel(variant)`, of the training examples of a variant, for the leave-one-out targets.
      plain: `plain()`, variables of classifiers that cross-entropy has trained, with axes of variants and seeds.
    """

    labels: Int[np.ndarray, "examples variants"]
    training_rows: Int[np.ndarray, "variants training"]
    num_classes: int
    kernel: Callable[[int], KernelEigen]
    plain: Callable[[], Params]


class Start(NamedTuple):
    """What the training of a method begins with.

    Attributes:
      labels: to train on, as `train_grid` takes them.
      variables: of trained classifiers, likewise.
      targets: of each variant, where the labels of the training examples are leave-one-out targets.
    """

    labels: Int[np.ndarray, "examples variants"] | Float[np.ndarray, "examples variants classes"]
    variables: Params | None = None
    targets: list[LeaveOneOutTargets] | None = None


def adam(learning_rate: Scalar = 1e-3, weight_decay: Scalar = 0.0) -> optax.GradientTransformation:
    """Adam with the decay of weights in the gradient, as PyTorch has it, for all parameters of two axes or more.

    Both settings are leaves of its state and can differ between models.
    """

    def chain(learning_rate: Scalar, weight_decay: Scalar) -> optax.GradientTransformation:
        matrices = lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params)
        return optax.chain(optax.add_decayed_weights(weight_decay, matrices), optax.adam(learning_rate))

    return optax.inject_hyperparams(chain)(learning_rate=learning_rate, weight_decay=weight_decay)


@edge
def make_method(
    name: MethodName,
    classifier: AnyNetwork,
    input_shape: Sequence[int],
    *,
    predictor: AnyNetwork | None = None,
    transition: Transition | None = None,
    num_examples: int | None = None,
    num_classes: int | None = None,
    sample: bool = False,
    warm_up_steps: int = 0,
    growth_steps: int = 0,
) -> Method:
    """Makes a method by its name; equal arguments, or others that it does not take, give the same one.

    Args:
      name: one of `METHODS`. "leave_one_out" is cross-entropy on labels that `leave_one_out_targets` has made soft;
        "penalize" is `ablations.penalize`, where a bias of the last layer counts as a weight of an activation of one;
        of the two equal networks of "co_teaching" the first is the classifier.
      classifier: see `training.as_network`, with an `init`; its outputs are logits. For "penalize" it is a flax module.
      input_shape: of an example.
      predictor: the second network of LIMIT and "penalize"; default one like the classifier.
      transition: `T[i][j] = p(noisy j | clean i)`, of "forward_correction" and "backward_correction".
      num_examples: rows of the training data, of which "early_learning" keeps a memory.
      num_classes: likewise.
      sample: whether LIMIT draws the gradients, see `limit.loss`.
      warm_up_steps: of LIMIT and "penalize", see `joint`.
      growth_steps: of "co_teaching", see there.

    Returns:
      The method. Its optimizer is `adam`.

    Raises:
      ValueError: if the name is unknown, the transition is no matrix of distributions, or the method lacks what it
        needs, saying where to get it.
      TypeError: if the classifier of "penalize" is no flax module.
    """
    require_choice("method", name, tuple(METHODS))
    frozen = None if transition is None else tuple(map(tuple, require_transition(np.asarray(transition)).tolist()))
    settings = {
        "predictor": predictor,
        "transition": frozen,
        "num_examples": num_examples,
        "num_classes": num_classes,
        "sample": sample,
        "warm_up_steps": warm_up_steps,
        "growth_steps": growth_steps,
    }
    given = tuple(METHODS[name].taken(settings).items())
    return _make_method(name, cast(Hashable, classifier), tuple(input_shape), given)


class _Parts(NamedTuple):
    """What a recipe makes.

    Attributes:
      system: whose `init` takes the variables of the networks.
      networks: the classifier first.
      predictor: that of them which predicts gradients, if one does.
    """

    system: System
    networks: tuple[Network, ...]
    predictor: Network | None = None


# with the same functions the engine finds its program compiled
@functools.lru_cache(maxsize=32)
def _make_method(
    name: MethodName, classifier: Any, input_shape: tuple[int, ...], settings: tuple[tuple[str, Any], ...]
) -> Method:
    parts: _Parts = METHODS[name].make(classifier, **dict(settings))

    def init(
        key: Key,
        variables: Params | None = None,
        *,
        learning_rate: Scalar = 1e-3,
        weight_decay: Scalar = 0.0,
        **settings: Unpack[StateSettings],
    ) -> State:
        example = jnp.zeros((1, *input_shape))
        drawn = [network.init(jax.random.fold_in(key, i), example) for i, network in enumerate(parts.networks)]
        if variables is not None:
            drawn[0 if parts.predictor is None else 1] = variables
        state = parts.system.init(*drawn, **settings)
        dtype = jnp.result_type(*jax.tree.leaves(drawn[0]))
        of_optimizer = {"learning_rate": learning_rate, "weight_decay": weight_decay}
        return optax.tree.set(state, **{name: jnp.asarray(value, dtype) for name, value in of_optimizer.items()})

    predictor = None if parts.predictor is None else parts.predictor.apply
    return Method(parts.system._replace(init=init), parts.networks[0].apply, predictor)


def _by_example(loss: Callable[[Array, Array], Array], classifier: AnyNetwork) -> _Parts:
    network = as_network(classifier)
    return _Parts(supervised(network, _ADAM, loss), (network,))


def _corrected(
    correction: Callable[..., Array],
    classifier: AnyNetwork,
    *,
    transition: Sequence[Sequence[float]] | None,
) -> _Parts:
    if transition is None:
        raise ValueError(
            f"{correction.__name__} needs a transition: the known one, or that of `estimate_noise` or"
            " `estimate_transition` on the probabilities of a classifier"
        )
    return _by_example(lambda logits, labels: correction(logits, labels, np.asarray(transition)), classifier)


def _dmi(classifier: AnyNetwork) -> _Parts:
    def determinant(logits: Array, labels: Array, *, mask: Array, key: Key) -> tuple[Array, Metrics]:
        logits, targets = checked_rows(logits, labels)
        return losses.dmi(logits, labels, mask=mask), classification_metrics(logits, targets, mask)

    network = as_network(classifier)
    return _Parts(joint(determinant, (network,), _ADAM), (network,))


def _early_learning(classifier: AnyNetwork, *, num_examples: int | None, num_classes: int | None) -> _Parts:
    if num_examples is None or num_classes is None:
        raise ValueError("early_learning remembers every example: it needs num_examples and num_classes")
    network = as_network(classifier)
    return _Parts(early_learning(network, _ADAM, num_examples=num_examples, num_classes=num_classes), (network,))


def _co_teaching(classifier: AnyNetwork, *, growth_steps: int) -> _Parts:
    both = (as_network(classifier),) * 2
    return _Parts(co_teaching(both, _ADAM, growth_steps=growth_steps), both)


def _limit(
    distribution: Distribution,
    classifier: AnyNetwork,
    *,
    predictor: AnyNetwork | None,
    sample: bool,
    warm_up_steps: int,
) -> _Parts:
    both = as_network(classifier), as_network(classifier if predictor is None else predictor)
    system = limit(*both, _ADAM, distribution=distribution, sample=sample, warm_up_steps=warm_up_steps)
    return _Parts(system, both, both[1])


def _penalize(classifier: AnyNetwork, *, predictor: AnyNetwork | None, warm_up_steps: int) -> _Parts:
    if not isinstance(classifier, nn.Module):
        raise TypeError(
            f"penalize needs the last layer of a flax module, got {type(classifier).__name__} for a classifier"
        )
    with_features = as_network(classifier)._replace(train=networks.features_train_fn(classifier))
    both = with_features, as_network(classifier if predictor is None else predictor)
    return _Parts(joint(ablations.penalize, both, _ADAM, warm_up_steps=warm_up_steps), both, both[1])


def _as_given(plan: Plan) -> Start:
    return Start(plan.labels)


def _with_plain_classifier(plan: Plan) -> Start:
    """The determinant alone does not know which class is which."""
    return Start(plan.labels, variables=plan.plain())


def _with_leave_one_out_targets(plan: Plan) -> Start:
    targets = [
        leave_one_out_targets(plan.kernel(variant), plan.labels[rows, variant], plan.num_classes)
        for variant, rows in enumerate(plan.training_rows)
    ]
    dtype = np.result_type(*(found.probabilities for found in targets))
    labels = np.eye(plan.num_classes, dtype=dtype)[plan.labels]
    for variant, (rows, found) in enumerate(zip(plan.training_rows, targets, strict=True)):
        labels[rows, variant] = found.probabilities
    return Start(labels, targets=targets)


def _recipe(make: Callable[..., _Parts], *settings: str, prepare: Callable[[Plan], Start] = _as_given) -> Recipe:
    return Recipe(make, prepare, ("learning_rate", "weight_decay", *settings))


def _recipe_by_example(
    loss: Callable[..., Array], prepare: Callable[[Plan], Start] = _as_given, **settings: float
) -> Recipe:
    of_examples = functools.partial(loss, **settings) if settings else loss
    return _recipe(functools.partial(_by_example, of_examples), prepare=prepare)


_ADAM = adam()
_OF_PREDICTOR = ("predictor", "warm_up_steps", "gradient_weight_decay")
_OF_LIMIT = (*_OF_PREDICTOR, "sample", "gradient_l1_penalty", "noise_scale")

METHODS: Mapping[MethodName, Recipe] = MappingProxyType(
    {
        "cross_entropy": _recipe_by_example(losses.cross_entropy),
        "mean_squared_error": _recipe_by_example(losses.mean_squared_error),
        "mean_absolute_error": _recipe_by_example(losses.mean_absolute_error),
        "generalized_cross_entropy": _recipe_by_example(losses.generalized_cross_entropy, q=0.7),
        "symmetric_cross_entropy": _recipe_by_example(losses.symmetric_cross_entropy),
        "active_passive": _recipe_by_example(losses.active_passive),
        "bootstrapping": _recipe_by_example(losses.bootstrapping),
        "bi_tempered": _recipe_by_example(losses.bi_tempered),
        "forward_correction": _recipe(functools.partial(_corrected, losses.forward_correction), "transition"),
        "backward_correction": _recipe(functools.partial(_corrected, losses.backward_correction), "transition"),
        "dmi": _recipe(_dmi, prepare=_with_plain_classifier),
        "early_learning": _recipe(_early_learning, "num_examples", "num_classes"),
        "co_teaching": _recipe(_co_teaching, "growth_steps", "forget_rate"),
        "limit_gaussian": _recipe(functools.partial(_limit, "gaussian"), *_OF_LIMIT),
        "limit_laplace": _recipe(functools.partial(_limit, "laplace"), *_OF_LIMIT),
        "limit_cross_entropy": _recipe(functools.partial(_limit, "cross_entropy"), *_OF_LIMIT),
        "limit_dot": _recipe(functools.partial(_limit, "dot"), *_OF_LIMIT),
        "penalize": _recipe(_penalize, *_OF_PREDICTOR, "weight"),
        "leave_one_out": _recipe_by_example(losses.cross_entropy, _with_leave_one_out_targets),
    }
)
"""The registry: how each method is made, what its training begins with, and which settings it takes."""
