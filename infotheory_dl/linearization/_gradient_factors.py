"""Per-example gradients of a network, kept as outer products wherever a parameter acts as a linear map.

Where a network computes `x @ W` at some positions, the gradient of an output for W is the sum over positions of `x ⊗
delta`. Inner products of such gradients need `x` and `delta` only, which are far smaller than W. Those places are
found in the traced program, so that any pure function works, whatever framework it was written with.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend import core
from jaxtyping import Array, Float

from infotheory_dl.results import concise
from infotheory_dl.types import ApplyFn, Params

# A parameter that only changes its shape keeps its gradient, in another order, and order does not matter to an inner
# product.
_RESHAPING = ("reshape", "transpose", "squeeze", "expand_dims", "optimization_barrier")
_CALLS = ("jit", "pjit", "closed_call")


@concise
class OuterProducts(NamedTuple):
    """Gradients for one linear map: the sum over positions of `inputs ⊗ cotangents`.

    Attributes:
      inputs: what the map was applied to.
      cotangents: derivatives of every output for what the map returned.
    """

    inputs: Float[Array, "examples positions fan_in"]
    cotangents: Float[Array, "examples outputs positions fan_out"]


@concise
class GradientFactors(NamedTuple):
    """Gradients of every output of every example for all parameters.

    Attributes:
      linear: one entry for each parameter that acts as a linear map, in factors.
      dense: the gradients for the other parameters side by side, written out.
    """

    linear: tuple[OuterProducts, ...]
    dense: Float[Array, "examples outputs parameters"]


def gradient_factors(apply_fn: ApplyFn, params: Params, inputs: Float[Array, "examples ..."]) -> GradientFactors:
    """Computes the gradients of `apply_fn(params, inputs)`, (examples, outputs), example by example."""
    leaves, treedef = jax.tree.flatten(params)

    def network(*arguments: Any) -> Any:
        *leaves, x = arguments
        return apply_fn(jax.tree.unflatten(treedef, leaves), x[None])[0]

    program = _inline(network, *leaves, inputs[0])
    products = _find_products(program.jaxpr, len(leaves))
    factored = {product.leaf for product in products.values()}
    dense_leaves = [leaf for i, leaf in enumerate(leaves) if i not in factored]

    def one_example(x: Any) -> GradientFactors:
        def outputs(shifts: dict[int, Any], dense_leaves: list[Any]) -> tuple[Any, dict[int, Any]]:
            seen = {}

            def shift(equation: Any, operands: Sequence[Any], results: list[Any]) -> list[Any]:
                product = products.get(equation.outvars[0]) if equation.outvars else None
                if product is None:
                    return results
                seen[product.leaf] = operands[product.data]
                return [results[0] + shifts[product.leaf]]

            remaining = iter(dense_leaves)
            arguments = [leaf if i in factored else next(remaining) for i, leaf in enumerate(leaves)]
            (result,) = _run(program.jaxpr, program.consts, [*arguments, x], shift)
            return result, seen

        zeros = {product.leaf: _zeros(variable) for variable, product in products.items()}
        result, pullback, seen = jax.vjp(outputs, zeros, dense_leaves, has_aux=True)
        deltas, gradients = jax.vmap(pullback)(jnp.eye(result.size, dtype=result.dtype))
        linear = tuple(p.outer_products(seen[p.leaf], deltas[p.leaf]) for p in products.values())
        flat = [gradient.reshape(result.size, -1) for gradient in gradients]
        return GradientFactors(linear, jnp.concatenate([jnp.zeros((result.size, 0), result.dtype), *flat], axis=1))

    return jax.vmap(one_example)(inputs)


def _zeros(variable: Any) -> Array:
    return jnp.zeros(variable.aval.shape, variable.aval.dtype)


class _Product(NamedTuple):
    """A product of data with one parameter.

    Attributes:
      leaf: which parameter.
      data: which operand is the data.
      outer_products: makes the factors from that operand and from the derivatives for the result.
    """

    leaf: int
    data: int
    outer_products: Callable[[Any, Any], OuterProducts]


def _inline(function: Callable[..., Any], *arguments: Any) -> core.ClosedJaxpr:
    """Traces a function to one flat program, with the jitted functions in it opened."""
    nested = jax.make_jaxpr(function)(*arguments)
    return jax.make_jaxpr(lambda *arguments: _run(nested.jaxpr, nested.consts, arguments))(*arguments)


def _run(
    jaxpr: core.Jaxpr,
    constants: Sequence[Any],
    arguments: Sequence[Any],
    tap: Callable[[Any, Sequence[Any], list[Any]], list[Any]] = lambda equation, operands, results: results,
) -> list[Any]:
    """Evaluates a program; the results of every equation pass through `tap(equation, operands, results)`."""
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *arguments], strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, core.Literal) else values[atom]

    for equation in jaxpr.eqns:
        operands = [read(atom) for atom in equation.invars]
        if equation.primitive.name in _CALLS:
            inner = equation.params["call_jaxpr" if "call_jaxpr" in equation.params else "jaxpr"]
            results = _run(inner.jaxpr, inner.consts, operands)
        else:
            result = equation.primitive.bind(*operands, **equation.primitive.get_bind_params(equation.params))
            results = list(result) if equation.primitive.multiple_results else [result]
        values.update(zip(equation.outvars, tap(equation, operands, results), strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _find_products(jaxpr: core.Jaxpr, num_leaves: int) -> dict[core.Var, _Product]:
    """Finds the leaves that the program uses once, as a factor of a matrix product or a convolution with data."""
    leaf_of = {variable: i for i, variable in enumerate(jaxpr.invars[:num_leaves])}
    uses: dict[int, list[tuple[Any, _Product | None]]] = {i: [] for i in range(num_leaves)}
    for equation in filter(lambda equation: equation.outvars, jaxpr.eqns):
        leaves = [leaf_of.get(atom) if isinstance(atom, core.Var) else None for atom in equation.invars]
        result = equation.outvars[0]
        if equation.primitive.name in _RESHAPING and leaves[0] is not None:
            leaf_of[result] = leaves[0]
            continue
        found = [(side, leaf) for side, leaf in enumerate(leaves) if leaf is not None]
        for side, leaf in found:
            outer_products = _as_linear_map(equation, side) if len(found) == 1 else None
            uses[leaf].append((result, outer_products and _Product(leaf, 1 - side, outer_products)))
    for atom in jaxpr.outvars:
        if isinstance(atom, core.Var) and atom in leaf_of:
            uses[leaf_of[atom]].append((atom, None))
    return {use[0][0]: use[0][1] for use in uses.values() if len(use) == 1 and use[0][1] is not None}


def _as_linear_map(equation: Any, side: int) -> Callable[[Any, Any], OuterProducts] | None:
    """How to make the factors of the gradient for operand `side`, or None where the equation is no linear map of it."""
    name, settings = equation.primitive.name, equation.params
    if any(atom.aval.dtype != equation.outvars[0].aval.dtype for atom in equation.invars):
        return None
    if name == "dot_general":
        contracted, batch = settings["dimension_numbers"]
        return None if any(batch) else _matrix_product(side, contracted[1 - side])
    if name == "conv_general_dilated" and side == 1:
        grouped = settings["feature_group_count"] * settings["batch_group_count"] > 1
        return None if grouped else _convolution(equation)
    return None


def _matrix_product(side: int, contracted: tuple[int, ...]) -> Callable[[Any, Any], OuterProducts]:
    def outer_products(data: Any, delta: Any) -> OuterProducts:
        kept = data.ndim - len(contracted)
        rows = jnp.moveaxis(data, contracted, range(kept, data.ndim))
        rows = rows.reshape(math.prod(rows.shape[:kept]), -1)
        # the result has the dimensions that the left operand keeps first; behind them or before them stand the fan-out
        columns = delta.reshape(len(delta), len(rows), -1) if side == 1 else delta.reshape(len(delta), -1, len(rows)).mT
        return OuterProducts(rows, columns)

    return outer_products


def _convolution(equation: Any) -> Callable[[Any, Any], OuterProducts]:
    settings = equation.params
    numbers = settings["dimension_numbers"]
    kernel = equation.invars[1].aval.shape

    def outer_products(data: Any, delta: Any) -> OuterProducts:
        patches = lax.conv_general_dilated_patches(
            data,
            [kernel[axis] for axis in numbers.rhs_spec[2:]],
            settings["window_strides"],
            settings["padding"],
            lhs_dilation=settings["lhs_dilation"],
            rhs_dilation=settings["rhs_dilation"],
            dimension_numbers=numbers,
        )
        feature = numbers.out_spec[1]
        rows = jnp.moveaxis(patches, feature, -1)
        columns = jnp.moveaxis(delta, feature + 1, -1)
        return OuterProducts(rows.reshape(-1, rows.shape[-1]), columns.reshape(len(delta), -1, columns.shape[-1]))

    return outer_products
