"""Long short-term memory as Keras had it when the clinical benchmark was published, with steps that are skipped.

The state of a layer lives in one `lax.scan`. What does not depend on it is taken out of the loop: the products of the
inputs and, of the derivatives, those of the recurrent kernel. Directions and groups of columns go side by side.
"""

import functools
from typing import Any, Literal, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.linen.dtypes import promote_dtype
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Key

from infotheory_dl._validation import (
    is_concrete,
    require_choice,
    require_floating,
    require_rank,
    require_shape,
    require_within,
)
from infotheory_dl.types import AnyArray, Scalar

Gate: TypeAlias = Literal["hard_sigmoid", "sigmoid"]
Groups: TypeAlias = tuple[tuple[int, ...], ...]

_GATES = ("hard_sigmoid", "sigmoid")
_NUM_GATES = 4


class LSTM(nn.Module):
    """A layer of long short-term memory, from steps of sequences to as many steps.

    Gates are in the order input, forget, cell, output; the bias of the forget gate begins as one.

    Attributes:
      features: outputs of each group at a step; two directions have half of them each, the forward one first.
      bidirectional: whether a second layer reads the steps from the last to the first.
      groups: the columns of the inputs that each group reads. Groups have layers of their own, whose outputs stand
        beside each other. Default one group of all columns.
      dropout: share of the inputs that are dropped while the network trains, in [0, 1): the same ones at all steps of a
        sequence, others for each gate and direction.
      gate: "hard_sigmoid" is clip(x / 5 + 1 / 2, 0, 1), Keras' default of that time.
    """

    features: int
    bidirectional: bool = False
    groups: Groups | None = None
    dropout: Scalar = 0.0
    gate: Gate = "hard_sigmoid"

    @nn.compact
    def __call__(
        self,
        inputs: Float[AnyArray, "examples steps inputs"],
        *,
        train: bool = False,
        steps: Bool[AnyArray, "examples steps"] | None = None,
    ) -> Float[Array, "examples steps outputs"]:
        """Outputs at every step.

        Args:
          inputs: of every sequence.
          train: whether inputs are dropped.
          steps: False at steps that are skipped: the state stays as it was, and the output is that of the step before.
            Default none are.

        Raises:
          TypeError: if the inputs are not floating-point.
          ValueError: if a setting is out of range, two directions have to share an odd number of features, or a shape
            does not fit.
        """
        require_floating(inputs=inputs)
        require_rank("inputs", inputs, 3, "(examples, steps, inputs)")
        require_choice("gate", self.gate, _GATES)
        require_within("[0, 1)", dropout=self.dropout)
        if steps is not None:
            require_shape("steps", steps, inputs.shape[:2], "(examples, steps)")
        directions = ("forward", "backward") if self.bidirectional else ("forward",)
        if self.features % len(directions):
            raise ValueError(f"two directions need an even number of features, got {self.features}")
        features = self.features // len(directions)
        groups = self.groups or (tuple(range(inputs.shape[-1])),)
        widths = np.array([len(group) for group in groups])
        shapes = (int(widths.sum()), _NUM_GATES * features), (len(groups), features, _NUM_GATES * features)
        weights = [
            (
                self.param(f"{name}_kernel", functools.partial(_glorot, widths), shapes[0], inputs.dtype),
                self.param(f"{name}_recurrent_kernel", _orthogonal, shapes[1], inputs.dtype),
                self.param(f"{name}_bias", _remembering, shapes[1][::2], inputs.dtype),
            )
            for name in directions
        ]
        kernel, recurrent, bias = (jnp.stack(parts) for parts in zip(*weights, strict=True))
        inputs, kernel, recurrent, bias = promote_dtype(inputs, kernel, recurrent, bias)

        # kernels have the columns of the first group first, then those of the second
        kernel = _grouped(kernel, _places(widths), axis=1)
        columns = _places(widths, np.concatenate(groups), none=inputs.shape[-1])
        # a share that is traced, one of many models', may be anything
        if train and not (is_concrete(self.dropout) and self.dropout == 0):
            shape = (len(directions), _NUM_GATES, inputs.shape[0], 1, inputs.shape[-1])
            kept = jax.random.bernoulli(self.make_rng("dropout"), 1 - self.dropout, shape)
            by_gate = kernel.reshape(*kernel.shape[:-1], _NUM_GATES, features)
            dropped = _grouped(jnp.where(kept, inputs / (1 - self.dropout), 0), columns)
            projected = jnp.einsum("dqbtgw,dgwqf->tdgbqf", dropped, by_gate)
            projected = projected.reshape(*projected.shape[:-2], -1)
        else:
            projected = jnp.einsum("btgw,dgwf->tdgbf", _grouped(inputs, columns), kernel)
        projected += bias[:, :, None]

        mask = jnp.ones(inputs.shape[:2], bool) if steps is None else jnp.asarray(steps)
        outputs = _in_directions(projected, recurrent, mask.T, self.gate)
        return jnp.transpose(outputs, (3, 0, 2, 1, 4)).reshape(*inputs.shape[:2], -1)


def _in_directions(projected: Array, recurrent: Array, mask: Array, gate: Gate) -> Array:
    """Outputs (steps, directions, groups, examples, features); the second direction reads the steps backwards."""
    num_steps, num_directions, num_groups, num_examples, _ = projected.shape

    def turned(array: Array) -> Array:
        return jnp.stack([array[:, 0], *(array[::-1, place] for place in range(1, num_directions))], axis=1)

    lanes = (num_steps, num_directions * num_groups, num_examples)
    masks = jnp.broadcast_to(mask[:, None, None], projected.shape[:-1])
    outputs = _recurrence(
        gate,
        turned(projected).reshape(*lanes, -1),
        recurrent.reshape(-1, *recurrent.shape[2:]),
        turned(masks).reshape(lanes),
    )
    return turned(outputs.reshape(*projected.shape[:-1], -1))


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _recurrence(
    gate: Gate,
    projected: Float[Array, "steps lanes examples gates"],
    recurrent: Float[Array, "lanes features gates"],
    mask: Bool[Array, "steps lanes examples"],
) -> Float[Array, "steps lanes examples features"]:
    """Outputs of layers side by side, whose inputs are multiplied by their kernels and have the bias in them."""
    return _scanned(gate, projected, recurrent, mask, keep=lambda output, *others: output)


@_recurrence.defjvp
def _tangents(gate: Gate, primals: tuple[Array, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    """The outputs and what a change of inputs and weights makes of them, which is linear: a scan that JAX transposes.

    All factors are computed at once, and so is the product of the earlier outputs with the change of the recurrent
    kernel: transposed it is one product over all steps, where the derivative of the scan would add up one for each.
    """
    projected, recurrent, mask = primals
    projected_change, recurrent_change, _ = tangents
    outputs, *parts, before = _scanned(gate, projected, recurrent, mask, keep=lambda *values: values)
    enter, keep, cell, leave, squashed = parts
    earlier = jnp.concatenate([jnp.zeros_like(outputs[:1]), outputs[:-1]])
    moves = mask[..., None]
    slopes = jnp.concatenate(
        [
            _slope(gate, enter) * cell,
            _slope(gate, keep) * before,
            enter * (1 - cell**2),
            _slope(gate, leave) * squashed,
        ],
        axis=-1,
    )
    slopes = jnp.where(moves, slopes, 0)
    keep, passed = jnp.where(moves, keep, 1), jnp.where(moves, leave * (1 - squashed**2), 0)
    driven = projected_change + jnp.einsum("tlbf,lfk->tlbk", earlier, recurrent_change)

    def step(changes: tuple[Array, Array], now: tuple[Array, ...]) -> tuple[tuple[Array, Array], Array]:
        output, state = changes
        driven, slopes, keep, passed, moves = now
        changed = (driven + jnp.einsum("lbf,lfk->lbk", output, recurrent)) * slopes
        entered, kept, cell, left = jnp.split(changed, _NUM_GATES, axis=-1)
        state = keep * state + entered + kept + cell
        output = jnp.where(moves, 0, output) + left + passed * state
        return (output, state), output

    none = jnp.zeros_like(outputs[0])
    return outputs, lax.scan(step, (none, none), (driven, slopes, keep, passed, moves))[1]


def _scanned(gate: Gate, projected: Array, recurrent: Array, mask: Array, keep: Any) -> Any:
    """What is kept of every step, of its output, gates, squashed state, and the state before it."""
    sigmoid = jax.nn.sigmoid if gate == "sigmoid" else _hard_sigmoid

    def step(carried: tuple[Array, Array], now: tuple[Array, Array]) -> tuple[tuple[Array, Array], Any]:
        output, state = carried
        driven, moves = now[0] + jnp.einsum("lbf,lfk->lbk", output, recurrent), now[1][..., None]
        enter, keep_gate, cell, leave = jnp.split(driven, _NUM_GATES, axis=-1)
        enter, keep_gate, cell, leave = sigmoid(enter), sigmoid(keep_gate), jnp.tanh(cell), sigmoid(leave)
        after = keep_gate * state + enter * cell
        squashed = jnp.tanh(after)
        output = jnp.where(moves, leave * squashed, output)
        kept = keep(output, enter, keep_gate, cell, leave, squashed, state)
        return (output, jnp.where(moves, after, state)), kept

    none = jnp.zeros((*projected.shape[1:-1], recurrent.shape[1]), projected.dtype)
    return lax.scan(step, (none, none), (projected, mask))[1]


def _hard_sigmoid(x: Array) -> Array:
    return jnp.clip(0.2 * x + 0.5, 0, 1)


def _slope(gate: Gate, value: Array) -> Array:
    """The derivative of a gate, from its value."""
    if gate == "sigmoid":
        return value * (1 - value)
    return jnp.where((value > 0) & (value < 1), jnp.asarray(0.2, value.dtype), 0)


def _places(widths: np.ndarray, order: np.ndarray | None = None, none: int | None = None) -> np.ndarray:
    """Where the columns of each group lie, (groups, largest width), filled up with a place that there is not."""
    total = int(widths.sum())
    order = np.arange(total) if order is None else order
    places = np.full((len(widths), widths.max()), total if none is None else none)
    places[np.arange(widths.max()) < widths[:, None]] = order
    return places


def _grouped(array: AnyArray, places: Int[np.ndarray, "groups width"], axis: int = -1) -> Array:
    """The columns of each group in place of all columns, zeros where it has no more."""
    axis %= array.ndim
    if np.array_equal(places.ravel(), np.arange(array.shape[axis])):
        # no gathering, whose derivative is slow
        return jnp.reshape(array, (*array.shape[:axis], *places.shape, *array.shape[axis + 1 :]))
    return jnp.take(array, places, axis=axis, mode="fill", fill_value=0)


def _glorot(widths: np.ndarray, key: Key[Array, ""], shape: tuple[int, int], dtype: Any) -> Array:
    """Uniform, of a variance by the inputs and outputs of each group (Glorot and Bengio, 2010)."""
    limits = np.repeat(np.sqrt(6 / (widths + shape[1])), widths)
    return jax.random.uniform(key, shape, dtype, -1, 1) * jnp.asarray(limits, dtype)[:, None]


def _orthogonal(key: Key[Array, ""], shape: tuple[int, ...], dtype: Any) -> Array:
    """Orthonormal rows, of every group."""
    draw = functools.partial(nn.initializers.orthogonal(), shape=shape[1:], dtype=dtype)
    return jax.vmap(lambda key: draw(key))(jax.random.split(key, shape[0]))


def _remembering(key: Key[Array, ""], shape: tuple[int, ...], dtype: Any) -> Array:
    """Zeros, and ones for the forget gate."""
    features = shape[-1] // _NUM_GATES
    return jnp.zeros(shape, dtype).at[..., features : 2 * features].set(1)
