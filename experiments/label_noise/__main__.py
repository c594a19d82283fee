"""LIMIT: the tables and figures of Harutyunyan et al., 2020 (ICML), training that does not memorise label noise.

    python -m experiments.label_noise --preset smoke|laptop|laptop_10k|paper|cifar10|cifar10_laptop [--parts table ...]

For every training size, rate of noise and draw of it: each method trains the paper's network, all of one method as one
program. Epochs and settings are selected by noisy validation labels alone; the last epoch stands beside the best. The
paper's numbers of cross-entropy and of the absolute error on all of MNIST are confirmed, all others are recalled. The
forward correction is given the true transition here, which the paper estimates.
"""

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from experiments.harness import Results, Row, in_parts, main
from experiments.label_noise import runs
from experiments.label_noise.runs import Settings
from infotheory_dl import data, label_noise, networks
from infotheory_dl.label_noise import MethodName
from infotheory_dl.label_noise.detection import gradient_distance
from infotheory_dl.label_noise.information import fano_error

PRESETS = {
    "smoke": Settings(
        dataset="digits",
        rates=(0.5,),
        n=(200,),
        num_draws=2,
        methods=("limit_laplace", "leave_one_out"),
        penalties=(3.0,),
        num_epochs=20,
        patience=None,
        batch_size=50,
        evaluate_every=5,
        detected_rate=0.5,
        curve_size=200,
        curve_penalties=(),
        curve_weight_decays=(),
        curve_dropouts=(),
        output=Path("results/label_noise/smoke"),
    ),
    "laptop": Settings(
        rates=(0.5, 0.8),
        n=(1000,),
        num_draws=3,
        penalties=(10.0,),
        soft_weights=(0.03,),
        soft_penalties=(1.0,),
        forget_rates=(0.5, 0.8),
        dmi_learning_rates=(1e-4,),
        num_epochs=60,
        patience=None,
        validation_size=2000,
        evaluate_every=2,
        detected_rate=0.5,
        curve_size=2000,
        curve_penalties=(10.0,),
        curve_weight_decays=(1e-3,),
        curve_dropouts=(0.5,),
        output=Path("results/label_noise/laptop"),
    ),
    "laptop_10k": Settings(
        parts=("table",),
        rates=(0.8,),
        n=(10_000,),
        num_draws=3,
        methods=("cross_entropy", "limit_laplace", "leave_one_out"),
        penalties=(10.0,),
        num_epochs=12,
        patience=None,
        validation_size=2000,
        output=Path("results/label_noise/laptop_10k"),
    ),
    "paper": Settings(),
    "cifar10": Settings(
        parts=("table",),
        dataset="cifar10",
        rates=(0.2, 0.4, 0.6, 0.8),
        n=(40_000,),
        num_draws=1,
        methods=("cross_entropy", "dmi", "limit_laplace"),
        penalties=(0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0),
        output=Path("results/label_noise/cifar10"),
    ),
    "cifar10_laptop": Settings(
        parts=("table",),
        dataset="cifar10",
        network="cnn",
        rates=(0.2, 0.4, 0.6, 0.8),
        n=(2500,),
        num_draws=1,
        methods=("cross_entropy", "limit_laplace"),
        penalties=(1.0, 10.0),
        num_epochs=24,
        patience=None,
        batch_size=64,
        validation_size=2000,
        evaluate_every=4,
        output=Path("results/label_noise/cifar10_laptop"),
    ),
}

# Test accuracy in per cent at the best validation epoch: a row for each training size, a column for each rate of noise.
PAPER_SIZES, PAPER_RATES = (1000, 10_000, 48_000), (0.0, 0.5, 0.8)
PAPER: dict[str, tuple[tuple[float, ...], ...]] = {
    "cross_entropy": ((94.3, 71.8, 27.0), (98.4, 93.1, 69.9), (99.2, 97.2, 87.2)),
    "mean_absolute_error": ((94.6, 75.6, 25.1), (98.3, 95.7, 74.9), (99.1, 98.1, 93.2)),
    "forward_correction": ((93.6, 64.3, 19.0), (98.4, 91.6, 61.2), (99.2, 97.3, 89.1)),
    "dmi": ((94.5, 79.8, 30.3), (98.5, 95.7, 79.0), (99.2, 98.3, 88.8)),
    "penalize": ((95.7, 76.4, 28.8), (98.4, 95.7, 82.1), (99.2, 98.2, 89.3)),
    "limit_gaussian": ((95.7, 83.3, 37.1), (98.7, 97.1, 82.8), (99.3, 98.6, 94.5)),
    "limit_laplace": ((95.0, 88.2, 35.9), (98.7, 97.7, 93.9), (99.3, 99.0, 97.7)),
}
PAPER_CIFAR10: dict[str, dict[str, dict[float, float]]] = {
    "uniform": {
        "cross_entropy": {0.2: 85.2, 0.4: 81.0, 0.6: 69.0, 0.8: 38.8},
        "dmi": {0.2: 88.3, 0.4: 85.0, 0.6: 72.5, 0.8: 38.9},
        "limit_laplace": {0.2: 91.5, 0.4: 88.2, 0.6: 75.7, 0.8: 35.8},
    },
    "asymmetric": {"cross_entropy": {0.4: 81.8}, "dmi": {0.4: 89.6}},
}


def table(settings: Settings, results: Results) -> None:
    """Test accuracy at the best and the last epoch, what is memorised, and how well wrong labels are found."""
    scaled = settings.dataset == "cifar10" and (settings.network != "resnet34" or settings.n != (40_000,))
    notes = ["The paper's numbers: ResNet-34, 40,000 examples, the best of seven penalties."] if scaled else []
    for n in settings.n:
        rows = {
            name: results.once(f"{name}, n={n}", functools.partial(runs.rows_of, settings, name, n, results))
            for name in settings.methods
        }
        for place, rate in enumerate(settings.rates):
            of_rate = {name: row["rates"][place] for name, row in rows.items()}
            results.table(
                f"{settings.dataset}, n={n}, {settings.noise} noise {rate}: per cent, mean ± deviation of"
                f" {settings.num_draws} draws; the paper's is at its best epoch",
                [
                    {
                        "method": name,
                        "test, best": spread(row["best"]),
                        "test, last": spread(row["last"]),
                        "paper": published(settings, name, n, rate),
                        "noisy labels fitted": spread(row["noisy"]),
                        "AUC of wrong labels": auc(row["suspicion"]),
                        "by margin": auc(row["margin"]),
                        "setting": ", ".join(f"{row[key]:g}" for key in sorted(row.keys() - COLUMNS)) or "-",
                        "minutes": round(rows[name]["seconds"] / 60, 1),
                    }
                    for name, row in of_rate.items()
                ],
                notes=notes,
            )


COLUMNS = {"best", "last", "noisy", "suspicion", "margin", "best_epochs", "diverged"}


def spread(values: list[float]) -> str:
    """Mean and standard deviation, in per cent."""
    return f"{100 * np.mean(values):.1f} ± {100 * np.std(values):.1f}"


def auc(rated: list[tuple[float, float]]) -> str:
    """Mean area under the curve."""
    return f"{np.mean([area for area, _ in rated]):.3f}" if rated else "-"


def published(settings: Settings, name: str, n: int, rate: float) -> str:
    """The paper's number, marked where it is recalled."""
    if settings.dataset == "cifar10":
        value = PAPER_CIFAR10[settings.noise].get(name, {}).get(rate)
    else:
        known = settings.dataset == "mnist" and name in PAPER and n in PAPER_SIZES and rate in PAPER_RATES
        value = PAPER[name][PAPER_SIZES.index(n)][PAPER_RATES.index(rate)] if known else None
    if value is None:
        return "-"
    confirmed = settings.dataset == "mnist" and name in ("cross_entropy", "mean_absolute_error") and n == 48_000
    return f"{value}" if confirmed else f"{value} (recalled)"


def fano(settings: Settings, results: Results) -> None:
    """Figure: the least training error on noisy labels, by the information that the weights hold about a label."""
    caption = (
        "The least training error on noisy labels of ten classes, exactly; labels that nothing is known of are fitted"
        " no better than they are right. The paper's curves (figure recalled) are a grid of the same inequality."
    )
    with results.figure("fano", caption=caption) as axis:
        for rate in (0.2, 0.4, 0.6, 0.8):
            noise = data.uniform_transition(10, rate)[0]
            entropy = float(-(noise[noise > 0] * np.log(noise[noise > 0])).sum())
            information = np.linspace(0, entropy, 400)
            axis.plot(information, fano_error(noise, information), label=f"noise {rate}")
        axis.set(xlabel="I(w : y | x) / n, nats", ylabel="training error, at least")


class Curve(NamedTuple):
    """A training of the four-layer MLP.

    Attributes:
      name: what is special of it.
      method: of training.
      tried: its settings, one value of each.
      dropout: rate.
    """

    name: str
    method: MethodName = "cross_entropy"
    tried: Mapping[str, tuple[float, ...]] = MappingProxyType({})
    dropout: float = 0.0


def train_curve(settings: Settings, curve: Curve, results: Results) -> Row:
    """The accuracies of one training after every epoch."""
    one_draw = dataclasses.replace(settings, num_draws=1, patience=None)
    task = runs.draw_task(one_draw, settings.curve_size, (settings.curve_rate,), clean_validation=True)
    mlp = networks.MLP((512, 512, 512, 512), 10, batch_norm=True, dropout=curve.dropout)
    network = networks.Standardized(mlp, scale=float(task.images.max()))
    method = label_noise.make_method(curve.method, network, task.images.shape[1:])
    checkpoints = results.folder / "checkpoints" / f"curve {curve.name}"
    grid = runs.train_on(one_draw, method, task, label_noise.Start(task.noisy), curve.tried, checkpoints)
    return {
        "train": grid.train_accuracy[0, 0, 0].tolist(),
        "validation": grid.validation_accuracy[0, 0, 0].tolist(),
        "epochs": grid.epochs.tolist(),
    }


def curves(settings: Settings, results: Results) -> None:
    """Figure: training and validation accuracy over the epochs; all but LIMIT memorise the noise in the end."""
    compared = [Curve("cross-entropy")]
    compared += [Curve(f"dropout {rate:g}", dropout=rate) for rate in settings.curve_dropouts]
    compared += [
        Curve(f"weight decay {decay:g}", tried={"weight_decay": (decay,)}) for decay in settings.curve_weight_decays
    ]
    compared += [
        Curve(f"LIMIT, penalty {penalty:g}", "limit_laplace", {"gradient_weight_decay": (penalty,)})
        for penalty in settings.curve_penalties
    ]
    rows = {
        curve.name: results.once(f"curve {curve.name}", functools.partial(train_curve, settings, curve, results))
        for curve in compared
    }
    caption = (
        f"A four-layer MLP, {settings.dataset}, n = {settings.curve_size}, noise {settings.curve_rate}. In the paper"
        " (recalled) all but LIMIT memorise the noise in the end; n = 48,000 there."
    )
    with results.figure("curves", 1, 2, caption=caption, size=(10, 3.8), sharey=True, legend_above=True) as axes:
        for name, row in rows.items():
            axes[0].plot(np.arange(1, len(row["train"]) + 1), row["train"], label=name)
            axes[1].plot(row["epochs"], row["validation"])
        for axis in axes:
            axis.xaxis.get_major_locator().set_params(integer=True)
        axes[0].set(xlabel="epoch", ylabel="accuracy", title="noisy training labels")
        axes[1].set(xlabel="epoch", title="clean validation labels")
    results.table(
        f"Four-layer MLP, n={settings.curve_size}, uniform noise {settings.curve_rate}: per cent",
        [
            {
                "training": name,
                "noisy labels fitted, last epoch": 100 * row["train"][-1],
                "clean validation, best": 100 * max(row["validation"]),
                "clean validation, last": 100 * row["validation"][-1],
            }
            for name, row in rows.items()
        ],
    )


def detected(settings: Settings, results: Results) -> None:
    """Figures: distances of predicted to actual gradients, two of their coordinates, and the most suspect images."""
    n, rate = settings.n[0], settings.detected_rate
    task = runs.draw_task(settings, n, (rate,))
    trained = runs.train(settings, "limit_laplace", n, (rate,), results.folder)
    grid, places = trained.grid, task.train[0]
    point = int(label_noise.select_settings(grid)[0])
    assert trained.method.predictor is not None
    guess = runs.predicted(trained.method.predictor, grid.last.networks[1].variables, point, 0, task.images[places])
    noisy, clean = task.noisy[places, 0], task.clean[places]
    actual = runs.predicted(trained.method.classifier, grid.last.variables, point, 0, task.images[places])
    distances, flipped = np.asarray(gradient_distance(guess, noisy)), noisy != clean

    drawn = f"LIMIT, {settings.dataset}, n = {n}, noise {rate}"
    caption = (
        f"{drawn}. Left: how far the predicted gradient is from that of the given label, by whether it is right."
        " Others: two coordinates of the gradients. The paper (recalled) shows MNIST at noise 0.8, where the two kinds"
        " are well apart."
    )
    with results.figure("gradients", 1, 3, caption=caption, size=(13, 3.8)) as axes:
        bins = np.linspace(0, np.sqrt(2), 40)
        for wrong, name in ((False, "right labels"), (True, "wrong labels")):
            axes[0].hist(distances[flipped == wrong], bins, alpha=0.6, label=name)
            gradients = actual - np.eye(10)[noisy]
            for axis, pair in zip(axes[1:], ((0, 1), (4, 9)), strict=True):
                axis.scatter(*gradients[flipped == wrong][:, pair].T, s=4, alpha=0.5)
                axis.set(xlabel=f"gradient at logit {pair[0]}", ylabel=f"at logit {pair[1]}")
        axes[0].set(xlabel="‖predicted - actual gradient‖", ylabel="examples")

    caption = f"{drawn}: the labels farthest from what is predicted, and what each is; red where it is right."
    with results.figure("suspects", 3, 8, caption=caption, size=(10, 4.6)) as axes:
        for axis, place in zip(axes.ravel(), np.argsort(-distances), strict=False):
            axis.imshow(task.images[places[place]].squeeze(), cmap="gray")
            axis.set_title(f"{noisy[place]}, is {clean[place]}", color="black" if flipped[place] else "red", fontsize=8)
            axis.axis("off")


PARTS = {"table": table, "fano": fano, "curves": curves, "detected": detected}

if __name__ == "__main__":
    main(__doc__, PRESETS, in_parts(PARTS))
