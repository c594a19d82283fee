"""Numbers from what nurses and laboratories wrote: one rule for each kind of measurement."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from infotheory_dl._validation import edge, require_choice, require_same_length
from infotheory_dl.clinical.rules import Mode, Rules, rules_of

if TYPE_CHECKING:
    import polars as pl

__all__ = ["clean"]

Texts: TypeAlias = Sequence[str] | np.ndarray

_NUMBER = r"^(\d+(\.\d*)?|\.\d+)$"
_OUNCES, _KILOGRAMS, _CENTIMETRES = 16, 0.453592, 2.54
_FAHRENHEIT = r"fahrenheit|temperature f|\[f\]"

# of the text, the unit and the label in lower case, and the rules
Cleaner = Callable[["pl.Expr", "pl.Expr", "pl.Expr", Rules], "pl.Expr"]


@edge
def clean(name: str, values: Texts, units: Texts, labels: Texts, *, mode: Mode = "paper") -> np.ndarray:
    """Makes numbers of text, as the published benchmark does.

    Args:
      name: of the rule, such as "temperature"; that of a channel is its `cleaner`.
      values: what was recorded, VALUE.
      units: of it, VALUEUOM.
      labels: of its items in D_ITEMS, which tell pounds from kilograms where the unit does not.
      mode: "paper", "fixed", or the `Rules` to keep.

    Returns:
      The numbers, float64; NaN where the text is none.

    Raises:
      ValueError: if there is no such rule, or the lengths differ.
    """
    import polars as pl

    require_choice("name", name, tuple(CLEANERS))
    columns = {
        column: pl.Series(column, [str(text) for text in texts], pl.String)
        for column, texts in {"values": values, "units": units, "labels": labels}.items()
    }
    require_same_length(**{column: np.empty(len(series)) for column, series in columns.items()})
    expression = cleaned(name, pl.col("values"), pl.col("units"), pl.col("labels"), rules_of(mode))
    return pl.DataFrame(columns).select(expression).to_series().fill_null(np.nan).to_numpy()


def cleaned(name: str, values: "pl.Expr", units: "pl.Expr", labels: "pl.Expr", rules: Rules) -> "pl.Expr":
    """The core of `clean`: an expression on columns of text, whose numbers are null where the text is none."""
    lower = lambda texts: texts.fill_null("").str.to_lowercase()
    numbers = CLEANERS[name](values, lower(units), lower(labels), rules)
    return numbers.fill_nan(None)


def _number(values: "pl.Expr") -> "pl.Expr":
    import polars as pl

    return values.str.strip_chars().cast(pl.Float64, strict=False)


def _divided(numbers: "pl.Expr", divisor: float) -> "pl.Expr":
    """Correctly rounded, which a division by one number is not: polars multiplies by the inverse."""
    import polars as pl

    return numbers.map_batches(lambda series: pl.Series(series.to_numpy() / divisor), return_dtype=pl.Float64)


def _pressure(place: int) -> Cleaner:
    """Of "120/80" the first or the second."""

    def rule(values: "pl.Expr", units: "pl.Expr", labels: "pl.Expr", rules: Rules) -> "pl.Expr":
        import polars as pl

        of_two = values.str.extract(r"^(\d+)/(\d+)$", place)
        return _number(pl.when(values.str.contains("/", literal=True)).then(of_two).otherwise(values))

    return rule


def _refill(values: "pl.Expr", units: "pl.Expr", labels: "pl.Expr", rules: Rules) -> "pl.Expr":
    import polars as pl

    known = {"Normal <3 secs": 0.0, "Brisk": 0.0, "Abnormal >3 secs": 1.0, "Delayed": 1.0}
    return values.replace_strict(known, default=None, return_dtype=pl.Float64)


def _oxygen_fraction(values: "pl.Expr", units: "pl.Expr", labels: "pl.Expr", rules: Rules) -> "pl.Expr":
    import polars as pl

    number = _number(values)
    is_percent = ~units.str.contains("torr", literal=True)
    if not rules.every_fio2_is_percent:
        is_percent = is_percent & (number > 1)
    return pl.when(is_percent).then(_divided(number, 100.0)).otherwise(number)


def _laboratory(values: "pl.Expr", units: "pl.Expr", labels: "pl.Expr", rules: Rules) -> "pl.Expr":
    import polars as pl

    return _number(pl.when(values.str.contains(_NUMBER)).then(values))


def _saturation(values: "pl.Expr", units: "pl.Expr", labels: "pl.Expr", rules: Rules) -> "pl.Expr":
    import polars as pl

    number = _laboratory(values, units, labels, rules)
    return pl.when(number <= 1).then(number * 100).otherwise(number)


def _temperature(values: "pl.Expr", units: "pl.Expr", labels: "pl.Expr", rules: Rules) -> "pl.Expr":
    import polars as pl

    number = _number(values)
    is_fahrenheit = number >= 79
    if not rules.fahrenheit_by_value:
        recorded = units.str.contains(r"f$") | labels.str.contains(_FAHRENHEIT)
        is_fahrenheit = is_fahrenheit | (recorded & (number >= 50))
    return pl.when(is_fahrenheit).then(_divided((number - 32) * 5, 9.0)).otherwise(number)


def _weight(values: "pl.Expr", units: "pl.Expr", labels: "pl.Expr", rules: Rules) -> "pl.Expr":
    import polars as pl

    number = _number(values)
    of = lambda unit: units.str.contains(unit, literal=True) | labels.str.contains(unit, literal=True)
    return (
        pl.when(of("oz")).then(number / _OUNCES * _KILOGRAMS).when(of("lb")).then(number * _KILOGRAMS).otherwise(number)
    )


def _height(values: "pl.Expr", units: "pl.Expr", labels: "pl.Expr", rules: Rules) -> "pl.Expr":
    import polars as pl

    number = _number(values)
    in_inches = units.str.contains("in", literal=True) | labels.str.contains("in", literal=True)
    return pl.when(in_inches).then((number * _CENTIMETRES).round(0, mode="half_to_even")).otherwise(number)


CLEANERS: dict[str, Cleaner] = {
    "sbp": _pressure(1),
    "dbp": _pressure(2),
    "crr": _refill,
    "fio2": _oxygen_fraction,
    "lab": _laboratory,
    "o2sat": _saturation,
    "temperature": _temperature,
    "weight": _weight,
    "height": _height,
}
