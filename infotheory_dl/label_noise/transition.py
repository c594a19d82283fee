"""How labels are corrupted, estimated from the predictions of a classifier and the labels that were given."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from infotheory_dl._validation import edge, require_within, warn
from infotheory_dl.label_noise import _core
from infotheory_dl.label_noise._labels import checked_predictions, checked_probabilities
from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, AnyLabels


@concise
class NoiseEstimate(NamedTuple):
    """The joint distribution of given and true labels, and what follows from it.

    Attributes:
      joint: p(given i, true j).
      prior: p(true j).
      transition: T[i, j] = p(given j | true i); of a class that is never true, its own row of the identity.
      inverse: p(true j | given i); of a class that is never given, its own row of the identity.
    """

    joint: Float[np.ndarray, "classes classes"]
    prior: Float[np.ndarray, " classes"]
    transition: Float[np.ndarray, "classes classes"]
    inverse: Float[np.ndarray, "classes classes"]


@edge
def estimate_transition(
    probabilities: Float[AnyArray, "examples classes"], *, percentile: float = 97, compat: bool = False
) -> Float[np.ndarray, "classes classes"]:
    """Estimates the transition matrix from anchor points, the examples that surely belong to a class.

    The anchor of class i is the example with the largest probability of it, outliers set aside; its probabilities are
    those of the noisy labels of that class.

    Args:
      probabilities: of the noisy labels of training examples, by a classifier that was trained on such labels.
      percentile: of the probabilities of a class, from which on they are outliers.
      compat: whether to reproduce a defect of the published code: there the outliers of a class count as zeros in the
        anchors of the classes that follow.

    Returns:
      T[i, j] = p(noisy j | clean i).

    Raises:
      ValueError: if the probabilities are not rows of distributions, or the percentile not in [0, 100].

    Source: Patrini et al., 2017, and the published code of Harutyunyan et al., 2020.
    """
    require_within("[0, 100]", percentile=percentile)
    rows = checked_probabilities(probabilities).copy()
    anchors = []
    for label in range(rows.shape[1]):
        column = rows[:, label] if compat else rows[:, label].copy()
        column[column >= np.percentile(column, percentile, method="higher")] = 0
        anchors.append(rows[np.argmax(column)].copy())
    transition = np.stack(anchors)
    return transition / transition.sum(axis=1, keepdims=True)


def confident_classes(
    probabilities: Float[AnyArray, "examples classes"], labels: AnyLabels
) -> Int[np.ndarray, " examples"]:
    """Finds the class that each example confidently belongs to, whatever its label.

    A class is confident if its probability is above zero and reaches its mean over the examples with this label; of
    several the one with the largest probability counts.

    Args:
      probabilities: by classifiers that have not seen the label of the example, such as
        `cross_validated_probabilities`.
      labels: given labels, in [0, classes).

    Returns:
      The classes, and -1 where none is confident.

    Raises:
      ValueError: if the probabilities are not rows of distributions, or the labels not one class for each row, naming
        the first.

    Warns:
      UserWarning: if no example has some label; this class is confident nowhere.

    Source: Northcutt, Jiang and Chuang, 2021 (confident joint).
    """
    rows, given = checked_predictions(probabilities, labels)
    warn_of_absent(given, rows.shape[1])
    return _core.confident_classes(rows, given)


@edge
def confident_joint(
    probabilities: Float[AnyArray, "examples classes"],
    labels: AnyLabels,
    *,
    calibrate: bool = True,
) -> Float[np.ndarray, "classes classes"]:
    """Counts the examples by their given label (rows) and the class that they confidently belong to (columns).

    Args:
      probabilities, labels: as in `confident_classes`, which see for the errors and warnings too.
      calibrate: whether each row is scaled to the number of examples with its label, as if those that are confident of
        nothing were distributed like the others.

    Returns:
      The counts, after calibration not whole.

    Source: Northcutt, Jiang and Chuang, 2021.
    """
    rows, given = checked_predictions(probabilities, labels)
    warn_of_absent(given, rows.shape[1])
    return _core.confident_joint(rows, given, calibrate=calibrate)


@edge
def estimate_noise(probabilities: Float[AnyArray, "examples classes"], labels: AnyLabels) -> NoiseEstimate:
    """Estimates the joint distribution of given and true labels by the calibrated confident joint.

    Args:
      probabilities, labels: as in `confident_classes`, which see for the errors and warnings too.

    Returns:
      The joint distribution, the prior of the true labels, the transition matrix and its inverse.

    Source: Northcutt, Jiang and Chuang, 2021.
    """
    rows, given = checked_predictions(probabilities, labels)
    warn_of_absent(given, rows.shape[1])
    joint = _core.confident_joint(rows, given) / len(given)
    return NoiseEstimate(joint, joint.sum(axis=0), _core.rows_or_identity(joint.T), _core.rows_or_identity(joint))


def warn_of_absent(given: Int[np.ndarray, " examples"], num_classes: int) -> None:
    """Warns of the classes that no example has."""
    absent = np.setdiff1d(np.arange(num_classes), given)
    if absent.size:
        warn(f"no example has one of the labels {absent.tolist()}: nothing is said of them")
