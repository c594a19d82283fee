"""The seventeen channels of a stay: the items that feed them, their categories, and the columns they make."""

import functools
from typing import NamedTuple

import numpy as np


class Channel(NamedTuple):
    """One measured quantity.

    Attributes:
      name: of the column, as the benchmark spells it.
      cleaner: the rule of `cleaners.clean` that makes numbers of its text; "none" keeps the text.
      normal: what stands in before anything is measured, as text.
      chart_items: ITEMIDs of CHARTEVENTS that feed it.
      lab_items: ITEMIDs of LABEVENTS that feed it.
      limits: of a number, for `within_limits`: beyond the outer two it is an outlier, between an outer and an inner one
        it is moved to the inner one.
      categories: texts in the order of the one-hot columns, and the number that linear models take for each; empty for
        a channel of numbers.
    """

    name: str
    cleaner: str
    normal: str
    chart_items: tuple[int, ...]
    lab_items: tuple[int, ...] = ()
    limits: tuple[float, float, float, float] | None = None
    categories: dict[str, int] = {}  # noqa: RUF012, of a NamedTuple, and never changed

    @property
    def items(self) -> tuple[int, ...]:
        """All ITEMIDs."""
        return self.chart_items + self.lab_items


CHANNELS = (
    Channel(
        "Capillary refill rate",
        "crr",
        "0.0",
        (115, 3348, 8377),
        categories={"0.0": 0, "1.0": 1},
    ),
    Channel(
        "Diastolic blood pressure",
        "dbp",
        "59.0",
        (8368, 8440, 8441, 8502, 8503, 8504, 8506, 8507, 8555, 220051, 220180, 224643, 225310),
        limits=(0.0, 0.0, 375.0, 375.0),
    ),
    Channel("Fraction inspired oxygen", "fio2", "0.21", (189, 727, 3420, 3422, 223835), limits=(0.2, 0.21, 1.0, 1.1)),
    Channel(
        "Glascow coma scale eye opening",
        "none",
        "4 Spontaneously",
        (184, 220739),
        categories={
            "To Pain": 2,
            "3 To speech": 3,
            "1 No Response": 1,
            "4 Spontaneously": 4,
            "None": 0,
            "To Speech": 3,
            "Spontaneously": 4,
            "2 To pain": 2,
        },
    ),
    Channel(
        "Glascow coma scale motor response",
        "none",
        "6 Obeys Commands",
        (454, 223901),
        categories={
            "1 No Response": 1,
            "3 Abnorm flexion": 3,
            "Abnormal extension": 2,
            "No response": 1,
            "4 Flex-withdraws": 4,
            "Localizes Pain": 5,
            "Flex-withdraws": 4,
            "Obeys Commands": 6,
            "Abnormal Flexion": 3,
            "6 Obeys Commands": 6,
            "5 Localizes Pain": 5,
            "2 Abnorm extensn": 2,
        },
    ),
    Channel(
        "Glascow coma scale total",
        "none",
        "15",
        (198,),
        categories={
            "11": 11,
            "10": 10,
            "13": 13,
            "12": 12,
            "15": 15,
            "14": 14,
            "3": 3,
            "5": 5,
            "4": 4,
            "7": 7,
            "6": 6,
            "9": 9,
            "8": 8,
        },
    ),
    Channel(
        "Glascow coma scale verbal response",
        "none",
        "5 Oriented",
        (723, 223900),
        categories={
            "1 No Response": 1,
            "No Response": 1,
            "Confused": 4,
            "Inappropriate Words": 3,
            "Oriented": 5,
            "No Response-ETT": 1,
            "5 Oriented": 5,
            "Incomprehensible sounds": 2,
            "1.0 ET/Trach": 1,
            "4 Confused": 4,
            "2 Incomp sounds": 2,
            "3 Inapprop words": 3,
        },
    ),
    Channel(
        "Glucose",
        "lab",
        "128.0",
        (807, 811, 1529, 3745, 220621, 225664, 226537),
        lab_items=(50809, 50931, 51478),
        limits=(0.0, 33.0, 2000.0, 2200.0),
    ),
    Channel("Heart Rate", "none", "86", (211, 220045), limits=(0.0, 0.0, 350.0, 390.0)),
    Channel("Height", "height", "170.0", (1394, 226707, 226730), limits=(0.0, 0.0, 240.0, 275.0)),
    Channel(
        "Mean blood pressure",
        "none",
        "77.0",
        (52, 224, 456, 3312, 3314, 3316, 3320, 3322, 6702, 220052, 220181, 224322, 225312),
        limits=(0.0, 14.0, 330.0, 375.0),
    ),
    Channel(
        "Oxygen saturation",
        "o2sat",
        "98.0",
        (646, 834, 8498, 220227, 220277),
        lab_items=(50817,),
        limits=(0.0, 0.0, 100.0, 150.0),
    ),
    Channel(
        "Respiratory rate",
        "none",
        "19",
        (614, 615, 618, 651, 3603, 220210, 224422, 224689, 224690),
        limits=(0.0, 0.0, 300.0, 330.0),
    ),
    Channel(
        "Systolic blood pressure",
        "sbp",
        "118.0",
        (51, 442, 455, 3313, 3315, 3317, 3321, 3323, 6701, 220050, 220179, 224167, 225309, 227243),
        limits=(0.0, 0.0, 375.0, 375.0),
    ),
    Channel(
        "Temperature",
        "temperature",
        "36.6",
        (676, 677, 678, 679, 3654, 3655, 223761, 223762),
        limits=(14.2, 26.0, 45.0, 47.0),
    ),
    Channel(
        "Weight",
        "weight",
        "81.0",
        (763, 3580, 3581, 3582, 3693, 224639, 226512, 226531),
        limits=(0.0, 0.0, 250.0, 250.0),
    ),
    Channel(
        "pH",
        "lab",
        "7.4",
        (780, 860, 1126, 1673, 3839, 4202, 4753, 220274, 223830),
        lab_items=(50820, 50831, 51094, 51491),
        limits=(6.3, 6.3, 8.4, 10.0),
    ),
)
NAMES = tuple(channel.name for channel in CHANNELS)
NUM_CHANNELS = len(CHANNELS)
# what D_ITEMS calls the items whose unit their name alone tells
LABELS = {
    678: "Temperature F",
    679: "Temperature F (calc)",
    1394: "Height Inches",
    3581: "Present Weight (lb)",
    3582: "Present Weight (oz)",
    3654: "Temp Rectal [F]",
    223761: "Temperature Fahrenheit",
    226531: "Admission Weight (lbs.)",
}


class Layout(NamedTuple):
    """Where the channels lie among the columns of a discretised stay.

    Attributes:
      columns: names of the 76 columns: values and one-hot categories, then a mask for each channel.
      first: column of the value, or of the first category, of each channel.
      width: columns of each channel, without its mask.
      num_values: columns before the masks.
      numeric: the columns that the normaliser changes.
    """

    columns: tuple[str, ...]
    first: np.ndarray
    width: np.ndarray
    num_values: int
    numeric: np.ndarray


@functools.cache
def layout() -> Layout:
    """The columns of the benchmark."""
    values = [
        [f"{channel.name}->{category}" for category in channel.categories] or [channel.name] for channel in CHANNELS
    ]
    width = np.array([len(names) for names in values])
    first = np.cumsum(width) - width
    columns = (*(name for names in values for name in names), *(f"mask->{name}" for name in NAMES))
    numeric = first[[not channel.categories for channel in CHANNELS]]
    return Layout(columns, first, width, int(width.sum()), numeric)
