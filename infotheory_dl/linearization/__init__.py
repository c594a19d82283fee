"""Networks linearized in their parameters: their kernels, and what training does to them in closed form."""

from infotheory_dl.linearization.calibration import Calibration, calibrate
from infotheory_dl.linearization.dynamics import (
    Dynamics,
    leave_one_out_predictions,
    response,
    select_weight_decay,
    trained_coefficients,
    trained_outputs,
    trained_params,
)
from infotheory_dl.linearization.eigen import KernelEigen, SingularKernelError, kernel_eigen
from infotheory_dl.linearization.features import (
    Projection,
    ProjectionMethod,
    feature_eigen,
    mean_kernel_eigen,
    nystrom_features,
    projected_jacobian,
    random_projection,
)
from infotheory_dl.linearization.kernels import (
    Implementation,
    Outputs,
    empirical_kernel,
    jacobian,
    linearize,
    mean_kernel,
    transposed_jacobian_products,
)
from infotheory_dl.linearization.moments import FeatureMoments, feature_moments
from infotheory_dl.linearization.quality import LinearizationQuality, linearization_quality
from infotheory_dl.linearization.ridge import RidgeLeaveOneOut, ridge_leave_one_out
from infotheory_dl.linearization.ridge_groups import RidgeLeaveGroupsOut, ridge_leave_groups_out
from infotheory_dl.linearization.streams import FeatureStream

__all__ = [
    "Calibration",
    "Dynamics",
    "FeatureMoments",
    "FeatureStream",
    "Implementation",
    "KernelEigen",
    "LinearizationQuality",
    "Outputs",
    "Projection",
    "ProjectionMethod",
    "RidgeLeaveGroupsOut",
    "RidgeLeaveOneOut",
    "SingularKernelError",
    "calibrate",
    "empirical_kernel",
    "feature_eigen",
    "feature_moments",
    "jacobian",
    "kernel_eigen",
    "leave_one_out_predictions",
    "linearization_quality",
    "linearize",
    "mean_kernel",
    "mean_kernel_eigen",
    "nystrom_features",
    "projected_jacobian",
    "random_projection",
    "response",
    "ridge_leave_groups_out",
    "ridge_leave_one_out",
    "select_weight_decay",
    "trained_coefficients",
    "trained_outputs",
    "trained_params",
    "transposed_jacobian_products",
]
