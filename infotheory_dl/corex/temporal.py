"""T-CorEx: linear CorEx whose factors change little over time, for covariances of a few samples in each period.

`fit` finds the factors of all periods; `covariances`, `forecast`, `clusters` and `changes` say what they mean; `select`
chooses how much periods share; `change_test` says which changes are more than chance. `make_periods` cuts a series
into periods.
"""

from infotheory_dl.corex._temporal.drift import Changes, change_points, changes, most_changed
from infotheory_dl.corex._temporal.fitting import fit
from infotheory_dl.corex._temporal.model import TemporalCorex, covariances, forecast, load, log_likelihood
from infotheory_dl.corex._temporal.objective import Smoothed
from infotheory_dl.corex._temporal.periods import Periods, make_periods
from infotheory_dl.corex._temporal.selection import TemporalSelection, select
from infotheory_dl.corex._temporal.significance import ChangeTest, change_test
from infotheory_dl.corex.assignment import clusters
from infotheory_dl.corex.moments import FactorMoments
from infotheory_dl.results import save

__all__ = [
    "ChangeTest",
    "Changes",
    "FactorMoments",
    "Periods",
    "Smoothed",
    "TemporalCorex",
    "TemporalSelection",
    "change_points",
    "change_test",
    "changes",
    "clusters",
    "covariances",
    "fit",
    "forecast",
    "load",
    "log_likelihood",
    "make_periods",
    "most_changed",
    "save",
    "select",
]
