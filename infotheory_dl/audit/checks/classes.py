"""The sizes of the classes, and which is taken for which."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from infotheory_dl.audit.examples import Examples
from infotheory_dl.results import concise
from infotheory_dl.sample_information import LabelErrors


@concise
class ClassTable(NamedTuple):
    """The classes by their given labels.

    Attributes:
      sizes: examples of each.
      effective: exp of the entropy of the sizes: as many classes of equal sizes are as uncertain.
      suspected: examples of each given label, in rows, by the suggested one, in columns, that are wrong with a
        probability above one half.
      wrong: expected share of wrong labels in each class; NaN where it cannot be told.
      error: standard error of that share, the fit of the audit taken as it is.
      false_alarms: expected number of the suspected labels of each class that are right.
    """

    sizes: Int[np.ndarray, " classes"]
    effective: float
    suspected: Int[np.ndarray, "classes classes"]
    wrong: Float[np.ndarray, " classes"]
    error: Float[np.ndarray, " classes"]
    false_alarms: Float[np.ndarray, " classes"]

    @property
    def imbalance(self) -> float:
        """How many times the largest class is the smallest that occurs."""
        return float(self.sizes.max() / self.sizes[self.sizes > 0].min())


def tabulate_classes(examples: Examples, errors: LabelErrors) -> ClassTable:
    """Counts examples and suspects by class."""
    labels, num_classes = examples.labels, len(examples.class_names)
    sizes = np.bincount(labels, minlength=num_classes)
    shares = sizes[sizes > 0] / len(labels)
    sum_of = lambda values: np.bincount(labels, values, minlength=num_classes)
    wrong = np.nan_to_num(errors.wrong)
    is_suspect = wrong > 0.5
    suspected = np.zeros((num_classes, num_classes), int)
    np.add.at(suspected, (labels[is_suspect], errors.suggested[is_suspect]), 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return ClassTable(
            sizes,
            float(np.exp(-(shares * np.log(shares)).sum())),
            suspected,
            sum_of(errors.wrong) / sizes,
            np.sqrt(sum_of(errors.wrong * (1 - errors.wrong))) / sizes,
            sum_of((1 - wrong) * is_suspect),
        )
