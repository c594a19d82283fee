"""What holds images of several domains."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from infotheory_dl.results import concise


@concise
class ImageDomains(NamedTuple):
    """Images of several domains.

    Attributes:
      x: images, 0 to 1.
      y: labels.
      domains: the domain of each.
      names: of the domains.
      class_names: of the labels.
    """

    x: Float[np.ndarray, "examples height width channels"]
    y: Int[np.ndarray, " examples"]
    domains: Int[np.ndarray, " examples"]
    names: tuple[str, ...]
    class_names: tuple[str, ...]

    def taken(self, rows: np.ndarray) -> "ImageDomains":
        """Some of the examples, by their places or as a mask."""
        return self._replace(x=self.x[rows], y=self.y[rows], domains=self.domains[rows])


@concise
class ImageSplits(NamedTuple):
    """Images of domains to train on and of two that are not seen, in the parts that `diagnose` asks for.

    Attributes:
      train: of the source domains.
      validation: further images of them.
      unseen: of one other domain.
      test: of a second.
    """

    train: ImageDomains
    validation: ImageDomains
    unseen: ImageDomains
    test: ImageDomains
