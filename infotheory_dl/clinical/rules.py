"""The quirks of the published benchmark, each by its name: kept in mode "paper", corrected in mode "fixed"."""

from typing import Literal, NamedTuple, TypeAlias

from infotheory_dl._validation import require_choice
from infotheory_dl.results import concise


@concise
class Rules(NamedTuple):
    """Which quirks of the published tables are kept. All are true in mode "paper", all false in mode "fixed".

    Attributes:
      every_fio2_is_percent: an inspired fraction of at most 1 is divided by 100 as well; else it stays.
      fahrenheit_by_value: temperatures of 79 and more are Fahrenheit, whatever unit and item say; else those that are
        recorded as such from 50 on too.
      ages_near_300: those over 89, whose births were moved by three centuries, keep that age; else they are 91.4, the
        median that the data set's documentation gives them.
      conflicts_by_text: of several heart rates, pressures, respiratory rates or coma totals at one time the last in the
        order of text is kept, "99" before "100"; else the largest number.
      rows_by_stay_id: rows of a stay by its ICUSTAY_ID count before and after its time in the unit too; else only those
        from INTIME to OUTTIME, each once.
      unknown_deaths_survive: a stay whose death is known by its date alone is one of survival at every hour of the
        decompensation task; else it is left out of that task.
    """

    every_fio2_is_percent: bool = True
    fahrenheit_by_value: bool = True
    ages_near_300: bool = True
    conflicts_by_text: bool = True
    rows_by_stay_id: bool = True
    unknown_deaths_survive: bool = True


Mode: TypeAlias = Literal["paper", "fixed"] | Rules
"""All quirks kept, none, or those that `Rules` keeps."""

PAPER = Rules()
_MODES = {"paper": PAPER, "fixed": Rules(*(False for _ in PAPER))}


def rules_of(mode: Mode) -> Rules:
    """The quirks that a mode keeps."""
    if isinstance(mode, Rules):
        return mode
    require_choice("mode", mode, tuple(_MODES))
    return _MODES[mode]
