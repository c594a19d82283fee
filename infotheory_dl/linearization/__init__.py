"""Networks linearized in their parameters: their kernels, and what training does to them in closed form."""

from infotheory_dl.linearization.dynamics import (
    Dynamics,
    KernelEigen,
    SingularKernelError,
    kernel_eigen,
    leave_one_out_predictions,
    response,
    select_weight_decay,
    trained_coefficients,
    trained_outputs,
    trained_params,
)
from infotheory_dl.linearization.kernels import (
    Implementation,
    Outputs,
    empirical_kernel,
    jacobian,
    linearize,
    transposed_jacobian_products,
)

__all__ = [
    "Dynamics",
    "Implementation",
    "KernelEigen",
    "Outputs",
    "SingularKernelError",
    "empirical_kernel",
    "jacobian",
    "kernel_eigen",
    "leave_one_out_predictions",
    "linearize",
    "response",
    "select_weight_decay",
    "trained_coefficients",
    "trained_outputs",
    "trained_params",
    "transposed_jacobian_products",
]
