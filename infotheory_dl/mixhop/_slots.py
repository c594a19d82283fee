"""Products with sparse matrices by gathering alone: rows of about equally many entries stand side by side in slots.

Of a bucket of rows, slot k holds the k-th entry of each. Its product with a matrix x is the sum over the slots of
`weights[k] * x[columns[k]]`: nothing is scattered, and nothing as long as the entries and as wide as x is held.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Num

from infotheory_dl.results import concise
from infotheory_dl.types import AnyArray

# longer rows are cut into pieces, so that a node with a million neighbours is no million of steps
_LONGEST = 512
_BUCKETS = 6
# slots that are summed in one pass over the rows
_AT_ONCE = 8


@concise
class Slots(NamedTuple):
    """Where the entries of a sparse matrix stand, bucket by bucket.

    Attributes:
      columns: of the entries; a slot without one repeats the first of its row.
      entries: which of the matrix's entries, in the order of its values; one past the last in a slot without one.
      places: of the rows, or of their first pieces, among those of all buckets.
      parents: the rows that the other pieces are of, ascending.
      piece_places: of these pieces among the rows of all buckets.
    """

    columns: tuple[Int[AnyArray, "_ _"], ...]
    entries: tuple[Int[AnyArray, "_ _"], ...]
    places: Int[AnyArray, " rows"]
    parents: Int[AnyArray, " pieces"]
    piece_places: Int[AnyArray, " pieces"]


def make_slots(starts: np.ndarray, columns: np.ndarray, order: np.ndarray | None = None) -> Slots:
    """Puts the entries of a matrix, sorted by row, into slots, on the host.

    Args:
      starts: where the entries of each row begin, and, last, their number.
      columns: of the entries.
      order: which of the matrix's values each entry has; by default the values have the order of the entries.
    """
    (slots,) = make_slots_alike([(starts, columns)], order)
    return slots


def make_slots_alike(matrices: list[tuple[np.ndarray, np.ndarray]], order: np.ndarray | None = None) -> list[Slots]:
    """Puts several matrices of equally many rows into slots of the same shapes, so that one program serves them all.

    Args:
      matrices: starts and columns of each, as in `make_slots`; of unequal numbers of entries, pad the columns first.
      order: as in `make_slots`, of all of them.
    """
    cut = [_pieces(starts) for starts, _ in matrices]
    caps = _caps(np.concatenate([lengths for _, _, lengths in cut]))
    buckets = [np.searchsorted(caps, lengths) for _, _, lengths in cut]
    sizes = np.max([np.bincount(of_pieces, minlength=len(caps)) for of_pieces in buckets], axis=0)
    num_rows = len(matrices[0][0]) - 1
    num_pieces = max(len(parents) for parents, _, _ in cut) - num_rows
    return [
        _fill(columns, order, pieces, of_pieces, caps, sizes, num_rows, num_pieces)
        for (_, columns), pieces, of_pieces in zip(matrices, cut, buckets, strict=True)
    ]


def spread(slots: Slots, values: Num[Array, " entries"]) -> tuple[Num[Array, "_ _"], ...]:
    """The values of a matrix where its entries stand; zero in a slot without one."""
    padded = jnp.append(values, jnp.zeros(1, values.dtype))
    # held once, where a fusion with the sums would read them anew for each column
    return tuple(
        lax.optimization_barrier(padded.at[entries].get(mode="promise_in_bounds")) for entries in slots.entries
    )


def placed(slots: Slots, values: np.ndarray) -> tuple[np.ndarray, ...]:
    """What `spread` gives, of arrays of NumPy: nothing is compiled."""
    padded = np.append(values, np.zeros(1, values.dtype))
    return tuple(padded[entries] for entries in slots.entries)


def product(
    slots: Slots, weights: tuple[Float[AnyArray, "_ _"], ...], x: Float[Array, "columns features"]
) -> Float[Array, "rows features"]:
    """The product of a sparse matrix with a dense one, in the dtype of the latter; half precision is summed in single.

    Args:
      slots: of the matrix.
      weights: its values as `spread` gives them.
      x: the dense matrix.
    """
    summed = jnp.promote_types(x.dtype, jnp.float32)
    sums = [_sum(columns, of_slots.astype(summed), x) for columns, of_slots in zip(slots.columns, weights, strict=True)]
    return _of_rows(slots, jnp.concatenate(sums)).astype(x.dtype)


def row_sums(slots: Slots, weights: tuple[Float[AnyArray, "_ _"], ...]) -> Float[Array, " rows"]:
    """The sum of every row of a sparse matrix, from its values as `spread` gives them."""
    return _of_rows(slots, jnp.concatenate([of_slots.sum(0) for of_slots in weights]))


def _sum(columns, weights, x):
    """The sum over the slots of one bucket, a few in each pass."""
    num_slots, num_rows = columns.shape

    def add(total, columns, weights):
        for slot in range(len(columns)):
            rows = x.at[columns[slot]].get(mode="promise_in_bounds")
            total = total + weights[slot][:, None] * rows.astype(weights.dtype)
        return total

    whole = num_slots // _AT_ONCE * _AT_ONCE
    total = jnp.zeros((num_rows, x.shape[1]), weights.dtype)
    if whole > _AT_ONCE:
        passes = (columns[:whole].reshape(-1, _AT_ONCE, num_rows), weights[:whole].reshape(-1, _AT_ONCE, num_rows))
        total, _ = lax.scan(lambda total, taken: (add(total, *taken), None), total, passes)
        columns, weights = columns[whole:], weights[whole:]
    return add(total, columns, weights)


def _of_rows(slots, placed):
    """What belongs to the rows, from what belongs to them and their pieces where they are placed."""
    rows = placed.at[slots.places].get(mode="promise_in_bounds")
    if not slots.parents.shape[0]:
        return rows
    pieces = placed.at[slots.piece_places].get(mode="promise_in_bounds")
    return rows.at[slots.parents].add(pieces, indices_are_sorted=True, mode="drop")


def _pieces(starts):
    """The row, the first entry and the length of every piece: first those that begin rows, then the others."""
    degrees = np.diff(starts)
    num_others = np.maximum(degrees - 1, 0) // _LONGEST
    others = np.repeat(np.arange(len(degrees)), num_others)
    place = 1 + np.arange(len(others)) - np.repeat(np.cumsum(num_others) - num_others, num_others)
    parents = np.concatenate([np.arange(len(degrees)), others])
    passed = _LONGEST * np.concatenate([np.zeros(len(degrees), int), place])
    return parents, starts[parents] + passed, np.minimum(degrees[parents] - passed, _LONGEST)


def _caps(lengths):
    """The numbers of slots of the buckets, ascending, that leave the fewest slots empty.

    Rows without entries have a bucket of their own, without slots.
    """
    # of more slots than one pass takes, whole passes
    lengths = np.where(lengths > _AT_ONCE, -(-lengths // _AT_ONCE) * _AT_ONCE, lengths)
    sizes, counts = np.unique(lengths, return_counts=True)
    if sizes[0] == 0:
        return np.append(0, _caps(lengths[lengths > 0])) if len(sizes) > 1 else sizes
    # slots if the last bucket holds the rows of sizes i to j - 1: sizes[j - 1] times their number
    below = np.concatenate([[0], np.cumsum(counts)])
    bucket = np.where(np.tri(len(sizes) + 1, k=-1).T, np.append(0, sizes) * (below - below[:, None]), np.inf)
    fewest, choices = bucket[0], []
    for _ in range(min(_BUCKETS, len(sizes)) - 1):
        slots = fewest[:, None] + bucket
        choices.append(slots.argmin(0))
        fewest = slots.min(0)
    ends = [len(sizes)]
    for choice in reversed(choices):
        ends.append(choice[ends[-1]])
    return sizes[np.array(ends[::-1]) - 1]


def _fill(columns, order, pieces, buckets, caps, sizes, num_rows, num_pieces):
    """The slots of one matrix, whose buckets have room for as many rows as `sizes` says."""
    parents, firsts, lengths = pieces
    filled: list[np.ndarray] = []
    held: list[np.ndarray] = []
    places = np.empty(len(parents), np.int32)
    room = np.cumsum(sizes) - sizes
    num_entries = len(columns)
    for bucket, cap in enumerate(caps):
        chosen = np.flatnonzero(buckets == bucket)
        places[chosen] = room[bucket] + np.arange(len(chosen))
        slot = np.arange(cap)[:, None]
        is_held = slot < lengths[chosen]
        entries = firsts[chosen] + np.where(is_held, slot, 0)
        absent = ((0, 0), (0, sizes[bucket] - len(chosen)))
        of_values = entries if order is None else order[entries]
        filled.append(np.pad(columns[entries], absent).astype(np.int32))
        held.append(
            np.pad(np.where(is_held, of_values, num_entries), absent, constant_values=num_entries).astype(np.int32)
        )
    absent_pieces = (0, num_pieces - (len(parents) - num_rows))
    # one past the last row where there is no piece, which a sum drops
    of_pieces = np.pad(parents[num_rows:], absent_pieces, constant_values=num_rows).astype(np.int32)
    return Slots(tuple(filled), tuple(held), places[:num_rows], of_pieces, np.pad(places[num_rows:], absent_pieces))
