"""What a trained model makes of examples of several domains, as plain arrays of any framework."""

from typing import Any, NamedTuple

from jaxtyping import Real

from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray, AnyLabels


@concise
class Features(NamedTuple):
    """Examples as the last layer of a model sees them.

    Attributes:
      representations: what the last layer of the model is given.
      labels: the true classes, in any form that people hold them in.
      domains: where each example is from, likewise.
      predictions: of the model: classes, or an output for each class, (examples, classes), in the ascending order of
        the classes; None where they are not needed.
    """

    representations: Real[AnyArray, "examples features"]
    labels: AnyLabels
    domains: AnyLabels
    predictions: Any = None
