"""Many models that are trained side by side on data which differ between them: each has labels, or rows, of its own."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax.numpy as jnp
from jaxtyping import Array, Int

from infotheory_dl._validation import edge
from infotheory_dl.results import concise
from infotheory_dl.training._program import Batch, Data, Metrics, State
from infotheory_dl.training.system import System
from infotheory_dl.types import AnyArray, Key, Params

Own: TypeAlias = Callable[[Data, Int[Array, ""]], Data]
"""`own(data, variant)`: what a model of this variant is given of the data."""


@concise
class VariantState(NamedTuple):
    """A model, and what is its own.

    Attributes:
      state: of the system.
      variant: the number of its labels, or of its rows.
    """

    state: State
    variant: Int[Array, ""]

    @property
    def variables(self) -> Params:
        """Those of the state."""
        return self.state.variables


@edge
def own_labels(data: Data, variant: Int[Array, ""]) -> Data:
    """Of data `(inputs, labels)` whose labels have a second axis of variants, those of one."""
    inputs, labels = data
    return inputs, labels[:, variant]


@edge
def own_rows(data: Data, variant: Int[Array, ""]) -> Data:
    """Of data `(*arrays, rows)` with rows (variants, chosen), the arrays at those of one variant."""
    *arrays, rows = data
    return tuple(array[rows[variant]] for array in arrays)


@functools.lru_cache(maxsize=64)  # with the same functions the engine finds its program compiled
def of_variants(system: System, *, step: Own | None = own_labels, evaluation: Own | None = None) -> System:
    """The same system for models that each have labels, or rows, of their own, from data which all of them share.

    The data are there once, however many models and variants there are.

    Args:
      system: what trains one model.
      step: what its step is given of the rows of a batch; None for all of it.
      evaluation: what its evaluation is given of the data of an `Evaluation`; None for all of it.

    Returns:
      The system, whose `init(..., variant=number)` takes the number of the variant besides what that of the given
      system takes, and whose state is a `VariantState`. Equal arguments give the same one.
    """

    def init(*given: Any, variant: Int[AnyArray, ""] | int, **settings: Any) -> VariantState:
        return VariantState(system.init(*given, **settings), jnp.asarray(variant))

    def of_variant(model: VariantState, batch: Batch, key: Key) -> tuple[VariantState, Metrics]:
        data = batch.data if step is None else step(batch.data, model.variant)
        state, metrics = system.step(model.state, batch._replace(data=data), key)
        return model._replace(state=state), metrics

    def evaluate(model: VariantState, data: Data, *shared: Any) -> Metrics:
        data = data if evaluation is None else evaluation(data, model.variant)
        return system.evaluate(model.state, data, *shared)

    def outputs_of(model: VariantState, inputs: Any) -> Any:
        assert system.predict is not None
        return system.predict(model.state, inputs)

    return System(init, of_variant, evaluate, None if system.predict is None else outputs_of)
