"""f-CMI: the tables and figures of Harutyunyan et al., 2021 (NeurIPS), bounds on the gap from predictions.

    python -m experiments.fcmi --preset smoke|laptop|paper|sgld|resnet50|cifar10_laptop [--n 75 250 ...]

For every training size: networks are trained on many selections of several supersamples, and every bound that their
predictions allow is evaluated. `linearized` adds the same bound for the linearized network on thousands of selections,
without training. The paper's numbers are those of its notebooks, its spreads are read off its figures.
"""

import functools
from typing import Any, TypeAlias

import numpy as np

from experiments.fcmi import runs
from experiments.fcmi.networks import Name
from experiments.fcmi.settings import PAPER, PRESETS, Mode, Settings, published
from experiments.harness import Results, Row, log_scale, main
from infotheory_dl.report import count

Rows: TypeAlias = dict[tuple[Name, Mode, int], Row]


def tables(settings: Settings, rows: Rows, linear: dict[int, Row], results: Results) -> None:
    """Prints the gap and the bound beside the paper's, every other bound, and the runs without training."""
    summary, notes = [], []
    if settings.dataset == "cifar10" and "resnet50" not in settings.networks:
        of_resnet = PAPER["resnet50", "standard"].items()
        ends = ", ".join(f"{known.gap:.4f} and {known.bound:.4f} at n={n}" for n, known in of_resnet)
        notes = [f"The paper's gap and bound of ResNet-50, which begins with weights of ImageNet: {ends}."]
    for (name, mode, n), row in rows.items():
        known = published(settings, name, mode).get(n)
        gap, bound = np.array(row["gap"][-1]), np.array(row["bound"][-1])
        summary.append(
            {
                "network": name,
                "mode": mode,
                "n": n,
                "gap": f"{gap.mean():.4f} ± {gap.std():.4f}",
                "paper's": "" if known is None else f"{known.gap:.4f}",
                "f-CMI bound": f"{bound.mean():.4f} ± {bound.std():.4f}",
                "paper's ": "" if known is None else f"{known.bound:.4f}",
                "bound / gap": float(bound.mean() / gap.mean()),
                "diverged": row["diverged"],
            }
        )
    title = f"{settings.dataset}: gap and bound after {settings.num_epochs} epochs, ± over supersamples"
    results.table(title, summary, notes=notes)
    names = dict.fromkeys(name for row in rows.values() for name in row["last"])
    others = []
    for bound in names:
        kinds = [row["last"][bound][0] for row in rows.values() if bound in row["last"]]
        values = {f"{name} {mode} {n}": row["last"].get(bound, ["", ""])[1] for (name, mode, n), row in rows.items()}
        others.append({"bound": bound, "on": kinds[0]} | values)
    results.table("Every bound at the last epoch, on the gap or on the population loss", others)
    if linear:
        results.table(
            "The linearized network, without training",
            [
                {
                    "n": n,
                    "gap": float(np.mean(row["gap"])),
                    f"bound, {row['runs']} runs": float(np.mean(row["bound"])),
                    f"bound, {settings.num_runs} runs": float(np.mean(row["few"])),
                }
                for n, row in linear.items()
            ],
        )
    for (name, mode, n), row in rows.items():
        if "sgld" in row:
            columns = zip(row["epochs"], np.mean(row["bound"], 1), np.mean(row["gap"], 1), row["sgld"], strict=True)
            heads = ("epoch", "f-CMI bound", "gap", "SGLD bound")
            results.table(f"{name} {mode} n={n}", [dict(zip(heads, map(float, row), strict=True)) for row in columns])


def figures(settings: Settings, rows: Rows, results: Results) -> None:
    """Draws the bound and the gap over training sizes and over epochs, with bands over supersamples."""
    for name, mode in dict.fromkeys((name, mode) for name, mode, _ in rows):
        sizes = [n for n in settings.n if (name, mode, n) in rows]
        data_and_network = f"{settings.dataset}, {name}, {mode}"
        spread = f"Bands are one deviation over {count(settings.num_supersamples, 'supersample', 'supersamples')}"
        caption = f"{spread}; crosses are the paper's numbers, where it has this network on these data."
        with results.figure(f"{name}_{mode}_by_n", caption=caption) as axes:
            for quantity, color in (("bound", "C0"), ("gap", "C1")):
                last = np.array([rows[name, mode, n][quantity][-1] for n in sizes])
                band(axes, sizes, last, label=quantity if quantity == "gap" else "f-CMI bound", color=color)
                known = published(settings, name, mode)
                points = [(n, getattr(known[n], quantity)) for n in sizes if n in known]
                if points:
                    axes.plot(*zip(*points, strict=True), "x", color=color, label="the paper's")
            axes.set(xlabel="training examples", ylabel="error", title=data_and_network, ylim=(0, None))
            log_scale(axes, sizes)
        for n in sizes:
            row = rows[name, mode, n]
            of_n = published(settings, name, mode).get(n)
            ends = "" if of_n is None else f" The paper's last gap is {of_n.gap:.4f}, its bound {of_n.bound:.4f}."
            with results.figure(f"{name}_{mode}_{n}_by_epoch", caption=f"{spread}.{ends}") as axes:
                band(axes, row["epochs"], np.array(row["bound"]), label="f-CMI bound", color="C0")
                band(axes, row["epochs"], np.array(row["gap"]), label="gap", color="C1")
                if "sgld" in row:
                    axes.plot(row["epochs"], row["sgld"], color="C2", label="SGLD bound")
                axes.xaxis.get_major_locator().set_params(integer=True)
                axes.set(xlabel="epochs", ylabel="error", title=f"{data_and_network}, n = {n}", ylim=(0, None))


def band(axes: Any, x: Any, values: np.ndarray, **style: Any) -> None:
    """Draws the mean over supersamples, the last axis, in a band of one standard deviation."""
    mean, spread = values.mean(1), values.std(1)
    axes.plot(x, mean, "o-", **style)
    axes.fill_between(x, mean - spread, mean + spread, color=style["color"], alpha=0.2, linewidth=0)


def run(settings: Settings, results: Results) -> None:
    """Every network, mode and size, and the runs without training."""
    rows = {
        (name, mode, n): results.once(
            f"{name} {mode} n={n}", functools.partial(runs.train, settings, name, mode, n, results)
        )
        for name in settings.networks
        for mode in settings.modes
        for n in settings.n
    }
    binary = settings.classes is not None and len(settings.classes) == 2
    linear = {
        n: results.once(f"linearized n={n}", functools.partial(runs.linearized, settings, n))
        for n in settings.n
        if settings.linearized and binary and n <= 250
    }
    tables(settings, rows, linear, results)
    figures(settings, rows, results)


if __name__ == "__main__":
    main(__doc__, PRESETS, run)
