"""The methods of this room by name, each as a system of the training engine with its networks inside."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, get_args

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from infotheory_dl import networks
from infotheory_dl._validation import require_choice
from infotheory_dl.data.label_noise import require_transition
from infotheory_dl.label_noise import ablations, losses
from infotheory_dl.label_noise._labels import checked_rows
from infotheory_dl.label_noise.co_teaching import co_teaching
from infotheory_dl.label_noise.early_learning import early_learning
from infotheory_dl.label_noise.joint import classification_metrics, joint
from infotheory_dl.label_noise.limit import limit
from infotheory_dl.training import Metrics, State, Step, as_network, supervised
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
METHODS: tuple[str, ...] = get_args(MethodName)

_OF_EXAMPLES: dict[str, Callable[..., Array]] = {
    "cross_entropy": losses.cross_entropy,
    "mean_squared_error": losses.mean_squared_error,
    "mean_absolute_error": losses.mean_absolute_error,
    "generalized_cross_entropy": functools.partial(losses.generalized_cross_entropy, q=0.7),
    "symmetric_cross_entropy": losses.symmetric_cross_entropy,
    "active_passive": losses.active_passive,
    "bootstrapping": losses.bootstrapping,
    "bi_tempered": losses.bi_tempered,
    # its labels are the targets of `leave_one_out_targets`
    "leave_one_out": losses.cross_entropy,
}


class Method(NamedTuple):
    """A way to train a classifier on labels of which some are wrong, for the training engine.

    Attributes:
      begin: `begin(key, variables=None, **settings)` makes a state, whose `variables` are those of the classifier.
        Variables of a trained classifier are where the predictor of LIMIT and "penalize" starts from, and the
        classifier of every other method. All methods take the settings `learning_rate` and `weight_decay`, LIMIT in
        addition `gradient_weight_decay`, `gradient_l1_penalty` and `noise_scale`, "co_teaching" the `forget_rate`; they
        can differ between models.
      step: one update, from data `(inputs, labels)`.
      classifier: `classifier(variables, inputs)`, the logits.
      predictor: the second network of LIMIT and "penalize", with the variables `state.networks[1].variables`; None
        elsewhere.
    """

    begin: Callable[..., State]
    step: Step
    classifier: ApplyFn
    predictor: ApplyFn | None


def adam(learning_rate: Scalar = 1e-3, weight_decay: Scalar = 0.0) -> optax.GradientTransformation:
    """Adam with the decay of weights in the gradient, as PyTorch has it, for all parameters of two axes or more.

    Both settings are leaves of its state and can differ between models.
    """

    def chain(learning_rate: Scalar, weight_decay: Scalar) -> optax.GradientTransformation:
        matrices = lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params)
        return optax.chain(optax.add_decayed_weights(weight_decay, matrices), optax.adam(learning_rate))

    return optax.inject_hyperparams(chain)(learning_rate=learning_rate, weight_decay=weight_decay)


def make_method(
    name: MethodName,
    classifier: nn.Module,
    input_shape: Sequence[int],
    *,
    predictor: nn.Module | None = None,
    transition: Float[AnyArray, "classes classes"] | Sequence[Sequence[float]] | None = None,
    num_examples: int | None = None,
    num_classes: int | None = None,
    sample: bool = False,
    warm_up_steps: int = 0,
) -> Method:
    """Makes the system of a method; equal arguments give the same one.

    Args:
      name: the method. "leave_one_out" is cross-entropy on labels that `leave_one_out_targets` has made soft;
        "penalize" is `ablations.penalize`, where a bias of the last layer counts as a weight of an activation of one;
        of the two equal networks of "co_teaching" the first is the classifier.
      classifier: a flax network whose outputs are logits; called with `train` and `mask`, as those of `networks` are.
      input_shape: of an example.
      predictor: the second network of LIMIT and "penalize"; default one like the classifier.
      transition: T[i][j] = p(noisy j | clean i), of "forward_correction" and "backward_correction".
      num_examples: rows of the training data, of which "early_learning" keeps a memory.
      num_classes: likewise.
      sample: whether LIMIT draws the gradients, see `limit.loss`.
      warm_up_steps: of LIMIT and "penalize", see `joint`; of "co_teaching", see there.

    Returns:
      The method. Its optimizer is `adam`.

    Raises:
      ValueError: if the name is unknown, the transition is no matrix of distributions, or the method lacks what it
        needs, saying where to get it.
    """
    require_choice("method", name, METHODS)
    frozen = None if transition is None else tuple(map(tuple, require_transition(np.asarray(transition)).tolist()))
    needs = predictor, frozen, num_examples, num_classes, sample, warm_up_steps
    return _make_method(name, classifier, tuple(input_shape), *needs)


# with the same functions the engine finds its program compiled
@functools.lru_cache(maxsize=32)
def _make_method(
    name: MethodName,
    classifier: nn.Module,
    input_shape: tuple[int, ...],
    predictor: nn.Module | None,
    transition: tuple[tuple[float, ...], ...] | None,
    num_examples: int | None,
    num_classes: int | None,
    sample: bool,
    warm_up_steps: int,
) -> Method:
    optimizer, of_classifier = adam(), as_network(classifier)
    modules, predictor_fn = [classifier], None
    if name.startswith("limit_") or name == "penalize":
        modules.append(classifier if predictor is None else predictor)
        predictor_fn = modules[1].apply
        of_predictor = as_network(modules[1])
    if name.startswith("limit_"):
        distribution: Any = name.removeprefix("limit_")
        system = limit(
            of_classifier,
            of_predictor,
            optimizer,
            distribution=distribution,
            sample=sample,
            warm_up_steps=warm_up_steps,
        )
    elif name == "penalize":
        with_features = of_classifier._replace(train=networks.features_train_fn(classifier))
        system = joint(ablations.penalize, (with_features, of_predictor), optimizer, warm_up_steps=warm_up_steps)
    elif name == "co_teaching":
        modules.append(classifier)
        system = co_teaching((of_classifier,) * 2, optimizer, warm_up_steps=warm_up_steps)
    elif name == "early_learning":
        if num_examples is None or num_classes is None:
            raise ValueError("early_learning remembers every example: it needs num_examples and num_classes")
        system = early_learning(of_classifier, optimizer, num_examples=num_examples, num_classes=num_classes)
    elif name == "dmi":
        system = joint(_determinant, (of_classifier,), optimizer)
    else:
        loss = _OF_EXAMPLES[name] if name in _OF_EXAMPLES else _corrected(name, transition)
        system = supervised(of_classifier, optimizer, loss)

    def begin(
        key: Key,
        variables: Params | None = None,
        *,
        learning_rate: Scalar = 1e-3,
        weight_decay: Scalar = 0.0,
        **settings: Scalar,
    ) -> State:
        example = jnp.zeros((1, *input_shape))
        drawn = [module.init(jax.random.fold_in(key, i), example) for i, module in enumerate(modules)]
        if variables is not None:
            drawn[0 if predictor_fn is None else 1] = variables
        state = system.init(*drawn, **settings)
        return optax.tree.set(state, learning_rate=learning_rate, weight_decay=weight_decay)

    return Method(begin, system.step, classifier.apply, predictor_fn)


def _determinant(logits: Array, labels: Array, *, mask: Array, key: Key) -> tuple[Array, Metrics]:
    logits, targets = checked_rows(logits, labels)
    return losses.dmi(logits, labels, mask=mask), classification_metrics(logits, targets, mask)


def _corrected(name: str, transition: Sequence[Sequence[float]] | None) -> Callable[[Array, Array], Array]:
    if transition is None:
        raise ValueError(
            f"{name} needs a transition: the known one, or that of `estimate_noise` or `estimate_transition` on the"
            " probabilities of a classifier"
        )
    correct = {"forward_correction": losses.forward_correction, "backward_correction": losses.backward_correction}[name]
    return lambda logits, labels: correct(logits, labels, np.asarray(transition))
