"""Which labels are wrong: scores of all examples, the higher the more suspect, and filters that give ids.

Where the flips are known, `metrics.area_under_roc` and `metrics.average_precision` rate any of the scores.
"""

from typing import get_args

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Integer

from infotheory_dl._validation import (
    edge,
    require_choice,
    require_count,
    require_finite,
    require_not_empty,
    require_rank,
)
from infotheory_dl.label_noise import _core
from infotheory_dl.label_noise._core import Filter
from infotheory_dl.label_noise._labels import Labels, checked_predictions, checked_rows
from infotheory_dl.label_noise.transition import warn_of_absent
from infotheory_dl.metrics.labels import forgetting_events, margins
from infotheory_dl.types import AnyArray, AnyLabels, Scalar

__all__ = [
    "FILTERS",
    "forgetting_counts",
    "gradient_distance",
    "ids_by_score",
    "low_margin",
    "low_self_confidence",
    "mean_epoch_loss",
    "mixture_suspicion",
    "noisy_ids",
]

FILTERS: tuple[Filter, ...] = get_args(Filter)


@edge
def gradient_distance(predicted: Float[AnyArray, "examples classes"], labels: Labels) -> Float[Array, " examples"]:
    """Distance of the predicted to the actual gradient of the cross-entropy by the logits, ‖q - y‖.

    The probabilities of the classifier, in both gradients, cancel.

    Args:
      predicted: q, probabilities that do not know the label of their example, such as those of the predictor of LIMIT.
      labels: classes in [0, classes), or distributions over them.

    Returns:
      The distances, in [0, sqrt 2].

    Raises:
      ValueError: if a shape does not fit, a prediction is no distribution, or a label is neither a class nor a
        distribution, naming the first.

    Source: Harutyunyan et al., 2020 (section 5).
    """
    return _core.gradient_distance(*checked_rows(predicted, labels, name="predicted", distributions=True))


@edge
def low_self_confidence(
    probabilities: Float[AnyArray, "examples classes"], labels: Labels
) -> Float[Array, " examples"]:
    """Probability that is not on the given label, 1 - p_y.

    Args:
      probabilities: of a classifier, best one that has not seen the label of the example.
      labels: as in `gradient_distance`, which see for the errors too.
    """
    probabilities, targets = checked_rows(probabilities, labels, name="probabilities", distributions=True)
    return 1 - (probabilities * targets).sum(-1)


@edge
def low_margin(predictions: Float[AnyArray, "examples classes"], labels: AnyLabels) -> Float[Array, " examples"]:
    """What the largest prediction for another class exceeds that for the given label by, max_{j ≠ y} p_j - p_y.

    Args:
      predictions: of a classifier, best one that has not seen the label of the example; of probabilities it is the
        normalized margin.
      labels: classes.

    Raises:
      ValueError: as in `gradient_distance`.

    Source: Northcutt, Jiang and Chuang, 2021 (normalized margin).
    """
    require_rank("labels", labels, 1, "(examples,)")
    predictions, targets = checked_rows(predictions, labels, name="predictions")
    return -margins(predictions, targets > 0)


@edge
def mean_epoch_loss(losses: Float[AnyArray, "epochs examples"]) -> Float[Array, " examples"]:
    """Mean loss of every example over the epochs: wrong labels are learned late.

    Args:
      losses: of every example after every epoch, or in it.

    Raises:
      ValueError: if the history is empty, or holds NaN or infinity.

    Source: Arpit et al., 2017.
    """
    require_rank("losses", losses, 2, "(epochs, examples)")
    require_not_empty(losses=losses)
    require_finite(losses=losses)
    return jnp.asarray(losses).mean(0)


@edge
def forgetting_counts(correct: Bool[AnyArray, "epochs examples"]) -> Int[Array, " examples"]:
    """How often each example turns from right to wrong between one epoch and the next.

    Args:
      correct: whether the given label was predicted, after every epoch.

    Returns:
      The counts of `metrics.forgetting_events`, which see for the source and the errors too.
    """
    return forgetting_events(correct)


@edge
def mixture_suspicion(losses: Float[AnyArray, " examples"], *, seed: int = 0) -> Float[np.ndarray, " examples"]:
    """Probability that the loss of an example is of the upper one of two normal distributions, fitted to all losses.

    Args:
      losses: of the examples, early in training or their `mean_epoch_loss`.
      seed: of the initial guess.

    Raises:
      ValueError: if there are fewer than two different losses, or one is NaN or infinite.

    Source: Arazo et al., 2019; Li, Socher and Hoi, 2020, for normal distributions.
    """
    from sklearn.mixture import GaussianMixture

    require_rank("losses", losses, 1, "(examples,)")
    require_finite(losses=losses)
    values = np.asarray(losses, float)
    if len(np.unique(values)) < 2:
        raise ValueError(f"a mixture of two distributions needs two different losses, got {values[:1].tolist()}")
    scaled = ((values - values.min()) / np.ptp(values))[:, None]
    mixture = GaussianMixture(2, reg_covar=5e-4, max_iter=1000, random_state=seed).fit(scaled)
    return mixture.predict_proba(scaled)[:, mixture.means_[:, 0].argmax()]


@edge
def ids_by_score(
    scores: Float[AnyArray, " examples"] | Integer[AnyArray, " examples"],
    *,
    count: int | None = None,
    threshold: Scalar | None = None,
) -> Int[np.ndarray, " chosen"]:
    """The ids of the most suspect examples, the most suspect first; of equal scores the smaller id.

    Args:
      scores: higher for more suspect examples.
      count: how many; default all that reach the threshold.
      threshold: the least score; default any.

    Raises:
      ValueError: if there are fewer examples than `count`, or a score is NaN or infinite.
    """
    require_rank("scores", scores, 1, "(examples,)")
    require_finite(scores=scores)
    scores = np.asarray(scores)
    require_count(0, len(scores), "the number of examples", count=count)
    order = _core.ids_by_score(scores)
    return order[scores[order] >= (-np.inf if threshold is None else threshold)][:count]


@edge
def noisy_ids(
    probabilities: Float[AnyArray, "examples classes"],
    labels: AnyLabels,
    *,
    filter: Filter = "prune_by_noise_rate",
    paper: bool = False,
) -> Int[np.ndarray, " noisy"]:
    """Decides which labels are wrong, and how many. A label that the classifier itself predicts is none of them.

    - "prune_by_noise_rate": for each pair of a given label i and another class j as many examples as the calibrated
      confident joint counts, those of the largest p_j - p_i.
    - "prune_by_class": for each given label i as many examples as the joint counts off its diagonal, those of the least
      p_i.
    - "both": what both of these find.
    - "confident_learning": examples that confidently belong to another class than their label.
    - "predicted_is_not_given": examples of which another class is the most likely.

    Args:
      probabilities: by classifiers that have not seen the label of the example, such as
        `cross_validated_probabilities`.
      labels: given labels, in [0, classes).
      filter: one of these.
      paper: whether to keep to the paper alone. By default what the authors' program has beside it is done too: a label
        that is predicted is not wrong; where several classes are confident the most likely of all counts; and every
        class keeps an example, and counts at least one as confidently right.

    Returns:
      Ids of the examples, in order of their `low_margin`, the most suspect first.

    Raises:
      ValueError: if the filter is unknown, the probabilities are not rows of distributions, or the labels not one class
        for each row, naming the first.

    Warns:
      UserWarning: if no example has some label, except with "predicted_is_not_given".

    Source: Northcutt, Jiang and Chuang, 2021 (section 3.2), and their program.
    """
    require_choice("filter", filter, FILTERS)
    rows, given = checked_predictions(probabilities, labels)
    if filter != "predicted_is_not_given":
        warn_of_absent(given, rows.shape[1])
    return _core.noisy_ids(rows, given, filter, paper=paper)
