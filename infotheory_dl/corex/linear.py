"""Linear CorEx: factors that explain the correlations of many variables, from few samples.

`fit` finds the factors of a table, and `total_correlation_test` says whether they are more than chance; `clusters`,
`covariance`, `transform` and `predict` say what they mean. `factor_moments` and `explained_total_correlation` are the
mathematics for weights of one's own, and `Objective` weighs its terms otherwise.
"""

from infotheory_dl.corex._linear.evaluation import explained_total_correlation, factor_moments
from infotheory_dl.corex._linear.figure import draw_factor_graph, factor_graph
from infotheory_dl.corex._linear.fitting import fit
from infotheory_dl.corex._linear.hierarchy import fit_hierarchy, hierarchy_clusters
from infotheory_dl.corex._linear.model import LinearCorex, covariance, load, predict, transform
from infotheory_dl.corex._linear.programs import Solver
from infotheory_dl.corex._linear.selection import FactorSelection, choose_num_factors
from infotheory_dl.corex._linear.significance import TotalCorrelationTest, total_correlation_test
from infotheory_dl.corex.annealing import NOISE_SCHEDULE
from infotheory_dl.corex.assignment import clusters
from infotheory_dl.corex.moments import FactorMoments
from infotheory_dl.corex.objectives import CORRELATION_EXPLANATION, OVERLAPPING, FactorObjective, Objective
from infotheory_dl.results import save

__all__ = [
    "CORRELATION_EXPLANATION",
    "NOISE_SCHEDULE",
    "OVERLAPPING",
    "FactorMoments",
    "FactorObjective",
    "FactorSelection",
    "LinearCorex",
    "Objective",
    "Solver",
    "TotalCorrelationTest",
    "choose_num_factors",
    "clusters",
    "covariance",
    "draw_factor_graph",
    "explained_total_correlation",
    "factor_graph",
    "factor_moments",
    "fit",
    "fit_hierarchy",
    "hierarchy_clusters",
    "load",
    "predict",
    "save",
    "total_correlation_test",
    "transform",
]
