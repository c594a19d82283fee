"""Examples whose inputs are equal: each knows the labels of the others, so that they are left out together.

The m rows of a family are equal, so that its block of the projection matrix is h 11ᵀ with the leverage h of each. What
the fit without the family leaves is (1 - h 11ᵀ)⁻¹ e = e + h / (1 - m h) (1ᵀe) 1, of the residuals e of the fit to all.
"""

import hashlib
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from infotheory_dl.linearization.eigen import KernelEigen, SingularKernelError
from infotheory_dl.types import AnyArray


class Families(NamedTuple):
    """The families of more than one example.

    Attributes:
      rows: places of the examples that have a twin.
      codes: the number of the family of each of these.
      sizes: how many examples the family of each of all examples has: one where it has no twin.
    """

    rows: Int[np.ndarray, " twins"]
    codes: Int[np.ndarray, " twins"]
    sizes: Int[np.ndarray, " examples"]

    def sums(self, values: Float[np.ndarray, "examples outputs"]) -> Float[np.ndarray, "twins outputs"]:
        """The sum over its family, for each example that has a twin."""
        totals = np.zeros((self.codes.max() + 1, values.shape[1]))
        np.add.at(totals, self.codes, values[self.rows])
        return totals[self.codes]

    def means(self, values: Float[np.ndarray, "examples outputs"]) -> Float[np.ndarray, "examples outputs"]:
        """The mean over its family, for each example."""
        found = values.astype(float)
        found[self.rows] = self.sums(values) / self.sizes[self.rows, None]
        return found

    @property
    def firsts(self) -> Int[np.ndarray, " examples"]:
        """The first example of the family of each."""
        found = np.arange(len(self.sizes))
        found[self.rows] = self.rows[np.unique(self.codes, return_index=True)[1]][self.codes]
        return found


def families_of(inputs: Float[AnyArray, "examples *features"]) -> Families | None:
    """The families of examples whose inputs are equal in single precision; None where no two are."""
    places: dict[bytes, int] = {}
    codes = np.empty(len(inputs), int)
    for row, values in enumerate(np.asarray(inputs)):
        # zero has two signs
        same = np.ascontiguousarray(values, np.float32) + np.float32(0)
        codes[row] = places.setdefault(hashlib.blake2b(same.data, digest_size=16).digest(), len(places))
    if len(places) == len(codes):
        return None
    sizes = np.bincount(codes)[codes]
    rows = np.flatnonzero(sizes > 1)
    return Families(rows, np.unique(codes[rows], return_inverse=True)[1], sizes)


def without_families(
    residuals: Float[np.ndarray, "examples outputs"],
    leverage: Float[np.ndarray, " examples"],
    families: Families | None,
) -> Float[np.ndarray, "examples outputs"]:
    """The residuals of fits without the whole family of each example, from those without the example alone.

    Raises:
      SingularKernelError: if a family alone determines its predictions.
    """
    if families is None:
        return residuals
    rows = families.rows
    fitted, share = residuals * (1 - leverage)[:, None], leverage[rows]
    remaining = _remaining(leverage, families)[rows]
    found = residuals.copy()
    found[rows] = fitted[rows] + (share / remaining)[:, None] * families.sums(fitted)
    return found


def left_open(leverage: Float[np.ndarray, " examples"], families: Families | None) -> Float[np.ndarray, " examples"]:
    """The variance of the noise over that of the residual without the family: 1 - h of an example without a twin."""
    if families is None:
        return 1 - leverage
    remaining = _remaining(leverage, families)
    return np.where(families.sizes > 1, remaining / (remaining + leverage), 1 - leverage)


def select_weight_decay_of_families(
    kernel: KernelEigen,
    targets: Float[np.ndarray, "examples outputs"],
    candidates: Float[np.ndarray, " candidates"],
    families: Families,
) -> float:
    """The weight decay whose predictions without the family of each example have the least squared error."""
    n = len(targets)
    with jax.enable_x64(True):
        eigenvalues, vectors = (np.asarray(part, float) for part in kernel[:2])
    squares, products = np.square(vectors), vectors.T @ targets

    def error(weight_decay: float) -> float:
        inverse = 1 / (eigenvalues + n * weight_decay)
        own = squares @ inverse
        leverage = 1 - n * weight_decay * own
        alone = vectors @ (inverse[:, None] * products) / own[:, None]
        return float(np.square(without_families(alone, leverage, families)).sum())

    return float(candidates[np.argmin([error(one) for one in candidates])])


def _remaining(leverage: Float[np.ndarray, " examples"], families: Families) -> Float[np.ndarray, " examples"]:
    remaining = 1 - families.sizes * leverage
    if not remaining.min() > 0:
        raise SingularKernelError(
            f"the {families.sizes[remaining.argmin()]} examples that are equal to example {int(remaining.argmin())}"
            " alone determine what is predicted for them: give weight decay, or drop copies"
        )
    return remaining
