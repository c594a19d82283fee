"""What can be left out, and what repairs are worth: networks that are trained on parts of the examples."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from infotheory_dl.audit import retraining
from infotheory_dl.audit.retraining import TrainingSet
from infotheory_dl.audit.solution import solver, training_of
from infotheory_dl.audit.stages import Work
from infotheory_dl.data.preprocessing import centred_targets
from infotheory_dl.linearization.ridge import principal_coordinates
from infotheory_dl.results import concise
from infotheory_dl.sample_information.problem import Problem
from infotheory_dl.sample_information.summarization import summarized, summarized_features

# of the principal coordinates, those that the rounds see
_LEADING = 512
_KEPT_FRACTIONS = (0.8, 0.6, 0.4, 0.2, 0.1)


@concise
class Repair(NamedTuple):
    """Accuracy on the held-out examples of networks that were trained on all audited ones, seed by seed.

    Attributes:
      given: with the labels as they are.
      repaired: with the repairs.
      dropped: without the examples whose labels are to be repaired.
      true: with the labels before the flips; None if there are none.
    """

    given: Float[np.ndarray, " seeds"]
    repaired: Float[np.ndarray, " seeds"]
    dropped: Float[np.ndarray, " seeds"]
    true: Float[np.ndarray, " seeds"] | None


@concise
class Summarization(NamedTuple):
    """Accuracy on the held-out examples of networks that were trained on parts of the audited ones.

    Attributes:
      fractions: kept shares of the examples, descending.
      most: after keeping the most informative, found in rounds.
      random: after keeping a random part.
      least: after keeping the least informative, that is, dropping the top.
    """

    fractions: Float[np.ndarray, " fractions"]
    most: Float[np.ndarray, "fractions seeds"]
    random: Float[np.ndarray, "fractions seeds"]
    least: Float[np.ndarray, "fractions seeds"]


class Parts(NamedTuple):
    """What trainings on parts of the examples say.

    Attributes:
      repair: what repairs are worth.
      summarization: what can be left out.
    """

    repair: Repair
    summarization: Summarization


def removal_orders(work: Work) -> tuple[Int[np.ndarray, " examples"], Int[np.ndarray, " examples"]]:
    """In which order to remove examples: the least informative first, in rounds, and the most informative first."""
    found, labels = work.representation, work.repaired_labels
    num_classes = len(work.examples.class_names)
    if found.eigen is not None:
        with jax.enable_x64(True):
            residuals = -jnp.asarray(centred_targets(labels, num_classes))
            problem = Problem(found.eigen, residuals, jnp.asarray(found.held_out_kernel), len(labels))
            training = training_of(work, work.settings.time)
            orders = [summarized(problem, training, strategy) for strategy in ("iterative", "top")]
        least_first, most_first = (np.asarray(order.order) for order in orders)
        return least_first, most_first
    assert found.moments is not None
    stream, n = work.stream(found.name, False), len(labels)
    coordinates = principal_coordinates(stream, found.moments, min(_LEADING, stream.num_features))
    targets = centred_targets(labels, num_classes)
    least_first = summarized_features(coordinates, targets, n * work.solution.weight_decay)
    return least_first, np.argsort(-solver(work)(targets).output_change, kind="stable")


def train_on_parts(work: Work, classifier: nn.Module) -> Parts:
    """Trains networks on repaired labels, and on parts of the examples with these, and measures their accuracy."""
    examples, repaired = work.examples, work.repaired_labels
    orders_key, training_key = jax.random.split(work.key)
    seeds = work.settings.seeds
    is_trained = ~np.isin(np.arange(len(repaired)), examples.measured)
    least_first, most_first = (order[is_trained[order]] for order in removal_orders(work))
    everything = np.flatnonzero(is_trained)
    n = len(everything)
    keys = jax.random.split(training_key, seeds)
    random_orders = [np.asarray(jax.random.permutation(key, everything)) for key in jax.random.split(orders_key, seeds)]
    sets = [
        [TrainingSet(everything, examples.labels)],
        [TrainingSet(everything, repaired)],
        [TrainingSet(everything[~work.label_errors.repaired[everything]], examples.labels)],
        [TrainingSet(everything, examples.true_labels)],
    ]
    for fraction in _KEPT_FRACTIONS:
        removed = n - round(fraction * n)
        for orders in ([least_first], random_orders, [most_first]):
            sets.append([TrainingSet(order[removed:], repaired) for order in orders])
    accuracies = retraining.held_out_accuracy(keys, classifier, examples, sets)
    given, mended, dropped, true = accuracies[:4]
    parts = accuracies[4:].reshape(len(_KEPT_FRACTIONS), 3, seeds)
    # of all examples every part is the same
    parts = np.concatenate([np.broadcast_to(mended, (1, 3, seeds)), parts])
    return Parts(
        Repair(given, mended, dropped, true if examples.flipped.any() else None),
        Summarization(np.array([1.0, *_KEPT_FRACTIONS]), parts[:, 0], parts[:, 1], parts[:, 2]),
    )
