"""Synergies of pairs as columns of tables, for the terminal, the page and files, and in sentences."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from infotheory_dl._files import csv_table
from infotheory_dl.minsyn._pairs.analysis import LEVEL, TOLD, Synergies
from infotheory_dl.report import Column, count, percent

MEASURE = (
    "Synergy is S_CI, what a reader loses who takes both columns to be independent given the target. It is no synergy"
    " of a partial information decomposition: that of the minimum (MMI) and whole minus sum (WMS) stand beside it."
)
_SHOWN = 10
ROWS_WRITTEN = 100_000


def findings(found: Synergies) -> list[str]:
    """What was found, in sentences, and what cannot be told."""
    pairs, names = found.pairs, found.names
    number = len(pairs.synergy)
    about = "any other column" if found.target is None else repr(names[found.target])
    how_many = {kind: int((pairs.verdicts == kind).sum()) for kind in np.unique(pairs.verdicts).tolist()}
    told = how_many.get("synergy", 0)
    if told:
        sentences = [
            f"{count(told, 'pair carries', 'pairs carry')} synergy about {about}, of {number}, at a rate of false"
            f" discoveries of {percent(LEVEL)}."
        ]
        synergy, information = float(pairs.synergy[0]), float(pairs.information[0])
        told_of = (
            f"Most: {names[pairs.first[0]]} and {names[pairs.second[0]]} together tell {information:.3f} nats of"
            f" {names[pairs.target[0]]}, "
        )
        if synergy <= information:
            sentences.append(f"{told_of}of which {synergy:.3f} are synergy ({percent(synergy / information)}).")
        else:
            sentences.append(f"{told_of}and a reader who takes them to be independent errs by more, {synergy:.3f}.")
    else:
        sentences = [f"No pair carries synergy about {about} that is more than chance, of {number}."]
    either = how_many.get("either", 0)
    if either:
        sentences.append(
            f"Of {count(either, 'pair', 'pairs')} the rows do not tell whether both columns tell more together than"
            " for themselves, or less."
        )
    redundant = how_many.get("redundancy", 0)
    if redundant:
        sentences.append(
            f"{count(redundant, 'pair tells', 'pairs tell')} less than both columns for themselves: what a reader loses"
            " there it has counted twice."
        )
    if "too few rows" in how_many:
        few = how_many["too few rows"]
        sentences.append(
            f"{count(few, 'pair has', 'pairs have')} fewer than five rows for each joint state, and"
            f" {'is' if few == 1 else 'are'} not judged: fewer --bins, or more rows."
        )
    if "near copies" in how_many:
        sentences.append(f"{count(how_many['near copies'], 'pair is', 'pairs are')} near copies, and not judged.")
    if pairs.gaussian.any():
        sentences.append(
            "Pairs of numbers are measured as Gaussians, which see what is linear: --measure states sees more."
        )
    return sentences


def pair_columns(found: Synergies, number: int = _SHOWN, *, wide: bool = False) -> list[Column]:
    """The first pairs that are more than chance, a row for each."""
    pairs, names = found.pairs, found.names
    places = np.flatnonzero(np.isin(pairs.verdicts, TOLD))[:number].tolist()
    written = "{:.3f}".format
    columns = [
        Column("target", [names[pairs.target[place]] for place in places]),
        Column("pair", [f"{names[pairs.first[place]]}, {names[pairs.second[place]]}" for place in places]),
        Column("I", pairs.information[places].tolist(), written),
        Column("S_CI", pairs.synergy[places].tolist(), written),
        Column("WMS", pairs.whole_minus_sum[places].tolist(), written),
        Column("MMI", pairs.partial_synergy[places].tolist(), written),
        Column("verdict", pairs.verdicts[places].tolist()),
    ]
    if not wide:
        return columns if found.target is None else columns[1:]
    closer = [found.closer.get(place) for place in places]
    return [
        *columns[:4],
        Column("95 % interval", [None if one is None else "{:.3f} to {:.3f}".format(*one.interval) for one in closer]),
        Column("S_CI by chance", [None if one is None else one.by_chance for one in closer], written),
        Column("S_cal, S_mis", pairs.calibrated_synergy[places].tolist(), written),
        *columns[4:6],
        Column("q", pairs.q_values[places].tolist(), "{:.2g}".format),
        Column("q of the sign", pairs.sign_q_values[places].tolist(), "{:.2g}".format),
        Column("measured as", ["Gaussians" if one else "states" for one in pairs.gaussian[places].tolist()]),
        columns[6],
    ]


def factor_columns(found: Synergies) -> dict[str, Sequence[Any]]:
    """What the factors tell of each column, that with the most synergy first."""
    assert found.factors is not None
    report = found.factors.report
    order = np.argsort(-np.asarray(report.synergy), kind="stable")
    hidden = np.asarray(report.hidden)[:, order]
    pick = lambda values: np.asarray(values)[order].tolist()
    return {
        "column": [found.names[found.factors.columns[place]] for place in order.tolist()],
        "information": pick(report.information),
        "synergy": pick(report.synergy),
        "calibrated_synergy": pick(report.calibrated_synergy),
        "whole_minus_sum": pick(report.whole_minus_sum),
        "factor": (hidden.argmax(0) + 1).tolist(),
        "lost_without_it": hidden.max(0).tolist(),
    }


def files(found: Synergies) -> dict[str, str | bytes]:
    """The tables as CSV, by the names of their files."""
    pairs, names = found.pairs, found.names
    shown = slice(ROWS_WRITTEN)
    named = lambda places: [names[place] for place in places[shown].tolist()]
    numbers = {
        name.removesuffix("s"): getattr(pairs, name)[shown].tolist()
        for name in (
            "information",
            "first_information",
            "second_information",
            "synergy",
            "calibrated_synergy",
            "whole_minus_sum",
            "partial_synergy",
            "p_values",
            "q_values",
            "sign_p_values",
            "sign_q_values",
        )
    }
    closer = [found.closer.get(place) for place in range(min(ROWS_WRITTEN, len(pairs.synergy)))]
    contents = {
        "pairs.csv": csv_table(
            {
                "target": named(pairs.target),
                "first": named(pairs.first),
                "second": named(pairs.second),
                **numbers,
                "low": [None if one is None else one.interval[0] for one in closer],
                "high": [None if one is None else one.interval[1] for one in closer],
                "by_chance": [None if one is None else one.by_chance for one in closer],
                "permutation_p_value": [None if one is None else one.p_value for one in closer],
                "measured_as": ["Gaussians" if one else "states" for one in pairs.gaussian[shown].tolist()],
                "verdict": pairs.verdicts[shown].tolist(),
            }
        )
    }
    if found.factors is not None:
        contents["factors.csv"] = csv_table(factor_columns(found))
    return dict(contents)
