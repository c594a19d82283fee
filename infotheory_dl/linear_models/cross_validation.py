"""Probabilities for every example by a regression that was not fitted to it."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from infotheory_dl._folds import stratified_folds
from infotheory_dl._validation import class_labels
from infotheory_dl.linear_models.logistic import Penalty, fit, probabilities
from infotheory_dl.types import AnyArray, AnyLabels, Key, Scalar


def cross_validated_probabilities(
    key: Key,
    x: Real[AnyArray, "examples features"],
    y: AnyLabels,
    *,
    num_folds: int = 5,
    num_classes: int | None = None,
    l2: Penalty = 0.0,
    l1: Penalty = 0.0,
    weights: Real[AnyArray, " examples"] | None = None,
    tolerance: Scalar | None = None,
    max_iterations: int = 100,
) -> Float[Array, "*problems examples classes"]:
    """Fits one regression for each fold to all the others, in one program, and predicts the fold that it has not seen.

    Args:
      key: source of randomness of the folds, which hold every class in proportion.
      x: inputs.
      y: labels, in any form that people hold them in.
      num_folds: at least 2.
      num_classes: default as many as occur.
      l2, l1: as in `fit`. Several penalties are compared on the same folds.
      weights: of the examples; default all alike.
      tolerance, max_iterations: as in `fit`, which see for the errors and warnings too.

    Returns:
      The probabilities, with the axes of the penalties in front. A class that is absent from the other folds has
      probability zero.

    Raises:
      ValueError: if the folds are fewer than 2 or more than the examples.
    """
    labels = class_labels(y, name="y", num_classes=num_classes, num_examples=len(x))
    folds = stratified_folds(key, np.asarray(labels.codes), num_folds)
    penalties = jnp.broadcast_shapes(np.shape(l2), np.shape(l1))
    others = folds != np.arange(num_folds)[:, None]
    others = (others if weights is None else others * np.asarray(weights)).astype(jnp.asarray(x).dtype)
    model = fit(
        x,
        labels.codes,
        num_classes=len(labels.names),
        l2=l2,
        l1=l1,
        weights=others.reshape(num_folds, *(1 for _ in penalties), len(folds)),
        tolerance=tolerance,
        max_iterations=max_iterations,
    )
    by_fold = jnp.moveaxis(probabilities(model, x), -2, 1)
    own = jax.vmap(lambda rows, fold: rows[fold], in_axes=(1, 0))(by_fold, jnp.asarray(folds))
    return jnp.moveaxis(own, 0, -2)
