"""What other rooms take of this one: the core of `online.leave_one_out` where all outputs share one kernel."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from infotheory_dl.sample_information.online import Converged


@jax.jit
@jax.default_matmul_precision("highest")
def shared_leave_one_out(
    state: Converged,
) -> tuple[Float[Array, "examples outputs"], Float[Array, " examples"], Float[Array, " examples"] | None]:
    """The residuals, weight changes and output changes of `leave_one_out`, where all outputs share one kernel.

    Each change is that of one output times a residual, so that nothing is made of examples, references and outputs.
    """
    own = jnp.diagonal(state.inverse)
    residuals = -(state.inverse @ state.residuals) / own[:, None]
    squares = jnp.square(residuals).sum(1)
    metric = jnp.maximum(own - state.shift * jnp.square(state.inverse).sum(1), 0)
    on_references = None
    if state.reference_products is not None:
        on_references = squares * jnp.square(state.reference_products).mean(0)
    return residuals, squares * metric, on_references
