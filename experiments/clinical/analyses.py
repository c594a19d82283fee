"""What other systems of the library say of the clinical data: information of stays, generalization, noise, channels."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from experiments.clinical.settings import Settings, store_of
from experiments.harness import Results, Row
from infotheory_dl import clinical, data, fcmi, label_noise, linear_models, metrics, networks, sample_information
from infotheory_dl.corex import temporal
from infotheory_dl.label_noise.methods import MethodName

SHOWN = 5
PERIOD = 8  # hours


def columns_of(store: str, task: clinical.Task, part: clinical.Part) -> tuple[clinical.Samples, np.ndarray, np.ndarray]:
    """The samples of a part, and standardised features of those of training and of the part."""
    train = clinical.read(store, task, "train")
    table = clinical.features(clinical.read_series(train), stay=train.stay, end=train.period)
    samples = clinical.read(store, task, part)
    other = clinical.features(clinical.read_series(samples), stay=samples.stay, end=samples.period)
    kept = np.flatnonzero(~np.isnan(table).all(0))
    fill = np.nanmean(table[:, kept], axis=0)
    train_columns, columns = (np.where(np.isnan(given[:, kept]), fill, given[:, kept]) for given in (table, other))
    mean, scale = train_columns.mean(0), train_columns.std(0)
    varies = scale > 1e-6 * np.abs(mean)
    return samples, *((given[:, varies] - mean[varies]) / scale[varies] for given in (train_columns, columns))


def information(settings: Settings, results: Results) -> None:
    """Unique information of stays in a mortality network, and how well it finds labels that were flipped."""
    store = store_of(settings, results)
    train, table, _ = columns_of(store, "mortality", "train")
    rows = np.arange(min(len(table), settings.most_stays))
    x, y = jnp.asarray(table[rows], jnp.float32), train.labels[rows].astype(np.float32)
    network = networks.MLP(widths=(64,), outputs=1)
    params = network.init(jax.random.key(settings.seed), x[:1])

    def of_labels(labels: np.ndarray) -> sample_information.SampleInformation:
        return sample_information.sample_information(
            network.apply, params, x, jnp.asarray(labels[:, None]) - 0.5, x, time=1000, learning_rate=0.01
        )

    def stays() -> Row:
        found = of_labels(y)
        most = np.argsort(-np.asarray(found.weight_change))[:SHOWN]
        shares = np.asarray(found.weight_change) / np.sum(found.weight_change)
        return {"stay": [train.names[train.stay[row]] for row in most], "label": y[most], "share": shares[most]}

    def flipped() -> Row:
        areas = []
        for seed in range(settings.num_seeds):
            noise = data.corrupt_labels(jax.random.key(seed), y.astype(int), data.uniform_transition(2, 0.15))
            if not noise.flipped.any():
                continue
            found = of_labels(noise.labels.astype(np.float32))
            areas.append(float(metrics.area_under_roc(found.weight_change, noise.flipped)))
        return {"area": np.mean(areas), "deviation": np.std(areas), "draws": len(areas)}

    found = results.once("information of stays", stays)
    table_rows = [
        {"stay": name, "died": int(label), "share of all information": share}
        for name, label, share in zip(found["stay"], found["label"], found["share"], strict=True)
    ]
    detection = results.once("flipped labels", flipped)
    note = (
        "Information in the weights finds labels of death that were flipped at random (15%) with an area under the ROC"
        f" of {detection['area']:.2f} ± {detection['deviation']:.2f} over {detection['draws']} draws."
    )
    results.table("Stays that the mortality network knows most of", table_rows, notes=[note])


def generalization(settings: Settings, results: Results) -> None:
    """The f-CMI bound of the mortality regression beside its gap, by how strong the penalty is."""
    store = store_of(settings, results)
    train, table, _ = columns_of(store, "mortality", "train")
    n = min(len(table), settings.most_stays) // 2
    entries = jax.random.permutation(jax.random.key(settings.seed), len(table))[: 2 * n]
    x, y = table[np.asarray(entries)], train.labels[np.asarray(entries)].astype(int)
    selection = fcmi.draw_selection(jax.random.key(settings.seed + 1), settings.num_runs, n)
    weights = np.zeros((settings.num_runs, 2 * n))
    np.put_along_axis(weights, np.asarray(fcmi.training_rows(selection)), 1, axis=1)

    def row(inverse_penalty: float) -> Row:
        model = linear_models.fit(x, y, num_classes=2, l2=1 / (inverse_penalty * n), weights=weights)
        predictions = (np.asarray(linear_models.probabilities(model, x))[..., 1] > 0.5).astype(int)
        bound = fcmi.bounds.fcmi(predictions, selection, num_classes=2, key=jax.random.key(0))
        gap = fcmi.generalization_gap(fcmi.zero_one_losses(predictions, y), selection)
        low, high = np.asarray(bound.interval)
        return {"gap": gap.value, "f-CMI bound": bound.value, "from": low, "to": high}

    rows = []
    for inverse_penalty in (1e-4, 1e-3, 1e-2, 1.0):
        rows.append(
            {
                "C": inverse_penalty,
                **results.once(f"f-CMI {inverse_penalty:g}", functools.partial(row, inverse_penalty)),
            }
        )
    notes = [f"{settings.num_runs} regressions of death, each on {n} of {2 * n} stays."]
    results.table("Generalization of the mortality regression", rows, notes=notes)


def noise(settings: Settings, results: Results) -> None:
    """Training on phenotype labels of which some are flipped: LIMIT beside cross-entropy, on labels that are right."""
    store = store_of(settings, results)
    test, x, x_test = columns_of(store, "phenotyping", "test")
    labels = clinical.read(store, "phenotyping", "train").labels
    varying = np.flatnonzero(np.ptp(test.labels, axis=0))
    label = int(varying[np.argmin(np.abs(labels[:, varying].mean(0) - 0.5))])
    rows_of = np.arange(min(len(x), settings.most_stays))

    def row(method: MethodName, share: float) -> Row:
        right = []
        for seed in range(settings.num_seeds):
            key_noise, key_fit = jax.random.split(jax.random.key(seed))
            given = data.corrupt_labels(
                key_noise, labels[rows_of, label].astype(int), data.uniform_transition(2, share)
            )
            fit = label_noise.fit_robust(
                key_fit, x[rows_of], given.labels, method=method, num_epochs=settings.num_epochs, num_classes=2
            )
            right.append(float(label_noise.score(fit, x_test, test.labels[:, label].astype(int))))
        return {"right on test": np.mean(right), "deviation": np.std(right)}

    rows = []
    for share in (0.0, 0.3):
        for method in settings.methods:
            found = results.once(f"{method} {share:g}", functools.partial(row, method, share))
            rows.append({"flipped": share, "method": method, **found})
    notes = [f"Phenotype {label} of 25, the most balanced; {settings.num_seeds} draws and seeds."]
    results.table("Labels of a phenotype that are flipped", rows, notes=notes)


def channels(settings: Settings, results: Results) -> None:
    """How the channels depend on each other over the first 48 hours, by T-CorEx."""
    store = store_of(settings, results)
    numeric = [channel for channel in clinical.CHANNELS if not channel.categories]

    def tables(part: clinical.Part) -> np.ndarray:
        samples = clinical.read(store, "mortality", part)
        grid = clinical.discretize(clinical.read_series(samples), end=48.0)
        values = np.asarray(grid.values, float)[..., clinical.layout().numeric]
        periods = values.reshape(len(values), -1, PERIOD, len(numeric)).mean(2)
        return np.moveaxis(periods, 1, 0)[:, : settings.most_stays]

    train, test = tables("train"), tables("test")
    # a channel that hardly any stay has measured is constant
    varies = (train.std(1) > 1e-6).all(0)
    names = [channel.name for channel, kept in zip(numeric, varies, strict=True) if kept]
    train, test = train[..., varies], test[..., varies]

    def row(decay: float, l1: float) -> Row:
        fit = temporal.fit(
            jax.random.key(settings.seed), train, num_factors=3, decay=decay, l1=l1, max_iterations=settings.num_steps
        )
        scores = temporal.changes(fit).scores
        return {
            "log-likelihood on test": float(np.mean(temporal.log_likelihood(fit, test))),
            "factors": np.asarray(temporal.clusters(fit)),
            "changes": np.asarray(scores),
        }

    rows = []
    for name, decay, l1 in (("each period by itself", 0.0, 0.0), ("T-CorEx", 0.5, 0.3), ("T-CorEx, stiffer", 0.8, 1.0)):
        found = results.once(f"channels {name}", functools.partial(row, decay, l1))
        factors = np.array(found["factors"])
        together = [
            " + ".join(name for name, factor in zip(names, factors[-1], strict=True) if factor == which)
            for which in np.unique(factors[-1])
        ]
        rows.append(
            {
                "fit": name,
                "log-likelihood on test": found["log-likelihood on test"],
                "greatest change after hour": PERIOD * (1 + int(np.argmax(found["changes"]))),
                "factors of the last hours": "; ".join(together),
            }
        )
    notes = [f"Means of {PERIOD} hours of {train.shape[1]} stays, {len(names)} channels, 3 factors."]
    results.table("Channels over the first 48 hours", rows, notes=notes)
