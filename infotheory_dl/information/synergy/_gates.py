"""Small systems whose synergy is known."""

import itertools
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from jaxtyping import Float


def _gate(states: Callable[..., tuple[int, ...]], coins: int = 2) -> Float[np.ndarray, "..."]:
    """The joint distribution of what is made of fair coins."""
    made = [states(*sides) for sides in itertools.product((0, 1), repeat=coins)]
    joint = np.zeros([1 + max(values) for values in zip(*made, strict=True)])
    for state in made:
        joint[state] += 1 / len(made)
    joint.flags.writeable = False
    return joint


gates: Mapping[str, Float[np.ndarray, "..."]] = MappingProxyType(
    {
        "XOR": _gate(lambda a, b: (a ^ b, a, b)),
        "AND": _gate(lambda a, b: (a & b, a, b)),
        "OR": _gate(lambda a, b: (a | b, a, b)),
        "SUM": _gate(lambda a, b: (a + b, a, b)),
        "COPY": _gate(lambda a, b: (2 * a + b, a, b)),
        "UNQ": _gate(lambda a, b: (a, a, b)),
        "RDN": _gate(lambda a: (a, a, a), coins=1),
        "RDNXOR": _gate(lambda shared, a, b: (2 * shared + (a ^ b), 2 * shared + a, 2 * shared + b), coins=3),
        "XORDUP": _gate(lambda a, b: (a ^ b, a, b, b)),
        "XORLOSES": _gate(lambda a, b: (a ^ b, a, b, a ^ b)),
        "PARITY3": _gate(lambda a, b, c: (a ^ b ^ c, a, b, c), coins=3),
        "MAJ3": _gate(lambda a, b, c: (int(a + b + c > 1), a, b, c), coins=3),
        "AND3": _gate(lambda a, b, c: (a & b & c, a, b, c), coins=3),
        "GRUE": _gate(lambda colour, late: (colour, colour ^ late, late)),
    }
)
"""Joint distributions by name, the target first: XOR, AND, OR and SUM of two coins; COPY, a target of both; UNQ, of the
first; RDN, of two copies; RDNXOR, redundancy beside synergy; XORDUP, with a source twice; XORLOSES, with the result as
a source; PARITY3, MAJ3 and AND3 of three; GRUE, a colour that is read from grue and time."""
