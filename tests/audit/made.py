"""Audits of which only the numbers are made up, at any size, without any computation."""

import numpy as np

from infotheory_dl import audit
from infotheory_dl.audit import AuditResult, Examples, Scores
from infotheory_dl.audit.checks import Checks, Copies, OrderEffects, Outlying
from infotheory_dl.audit.checks.classes import tabulate_classes
from infotheory_dl.audit.checks.order import OrderEffect
from infotheory_dl.audit.representation import KERNEL
from infotheory_dl.sample_information import LabelErrors

HOSTILE = "</script><img src=x onerror='window.hacked = 1'>"


def made_audit(num_examples: int, *, suspects: int, pictures: bool) -> AuditResult:
    """An audit of three classes in which the first examples are suspect; names of rows and classes are HTML."""
    random = np.random.default_rng(0)
    x = random.normal(size=(num_examples, 5, 4, 1) if pictures else (num_examples, 9))
    labels = np.arange(num_examples) % 3
    is_suspect = np.arange(num_examples) < suspects
    suggested = np.where(is_suspect, (labels + 1) % 3, labels)
    margins = np.where(is_suspect, np.linspace(-1, -0.01, num_examples), random.uniform(0, 1, num_examples))
    wrong = np.where(is_suspect, np.linspace(0.999, 0.4, num_examples), 0.01)
    scores = Scores(
        random.gamma(1.0, size=num_examples), random.gamma(1.0, size=num_examples), margins, np.eye(3)[labels]
    )
    errors = dict.fromkeys(LabelErrors._fields) | {
        "told": True,
        "suggested": suggested,
        "wrong": wrong,
        "repairable": wrong,
        "error_rate": 0.1,
        "interval": np.array([0.05, 0.15]),
        "systematic_rate": 0.1,
        "fits": True,
        "gain": 100.0,
        "sharpness": 5.0,
        "bias": np.zeros(3),
        "transition": np.eye(3),
        "threshold": -0.1,
        "repaired": is_suspect & (wrong > 0.5),
        "expected_precision": 0.96,
    }
    examples = Examples(
        indices=np.arange(num_examples),
        x=x,
        inputs=x,
        labels=labels,
        true_labels=labels,
        held_out_inputs=x[:1],
        held_out_labels=labels[:1],
        class_names=("cat", "dog, wet", HOSTILE),
        feature_names=None if pictures else tuple(f"<f{i}>" for i in range(9)),
        available=num_examples,
        row_names=tuple(f"{i} {HOSTILE}" for i in range(num_examples)),
    )
    found = {"examples": examples, "scores": scores, "label_errors": LabelErrors(**errors)}
    found["checks"] = _nothing_found(examples, found["label_errors"])
    numbers = {"learning_rate": 0.1, "weight_decay": 0.1, "settings": audit.Settings(), "representation": KERNEL}
    return AuditResult(**(dict.fromkeys(AuditResult._fields) | found | numbers))


def made_regression(num_examples: int, *, outlying: int) -> audit.RegressionAudit:
    """An audit of numbers in which the first targets are out of line."""
    of_classes = made_audit(num_examples, suspects=0, pictures=False)
    random = np.random.default_rng(1)
    is_outlying = np.arange(num_examples) < outlying
    predictions = random.normal(size=num_examples)
    deviations = np.where(is_outlying, np.linspace(9, 5, num_examples), random.uniform(-2, 2, num_examples))
    residuals = audit.Residuals(
        predictions=predictions,
        standardized=deviations,
        p_value=np.where(is_outlying, np.linspace(1e-9, 1e-7, num_examples), 0.5),
        is_outlying=is_outlying,
        error=0.5,
        noise=0.5,
        explained=0.8,
        gain=100.0,
        told=True,
        in_line=False,
        crowded=False,
    )
    checks, order = of_classes.checks, OrderEffect(0.1, 0.1, 0.5)
    ones = np.ones(num_examples)
    targets = predictions + 0.5 * deviations
    return audit.RegressionAudit(
        examples=of_classes.examples,
        targets=targets,
        true_targets=targets,
        residuals=residuals,
        information=random.gamma(1.0, size=num_examples),
        solution=audit.Solution(ones[:, None], ones, ones, 0.1 * ones, ones[:, None], 0.1, 0.1, 0.1),
        representation=KERNEL,
        checks=audit.RegressionChecks(checks.copies, None, checks.outlying, order, order, None),
        detection=None,
        settings=audit.Settings(),
    )


def _nothing_found(examples: Examples, errors: LabelErrors) -> Checks:
    whole, shares = np.zeros(0, int), np.zeros(0)
    count = len(examples.labels)
    return Checks(
        copies=Copies(whole, whole, shares, shares, whole > 0, count, 0),
        leaks=None,
        outlying=Outlying(np.full(count, 0.1), np.ones(count), np.zeros(count, bool)),
        classes=tabulate_classes(examples, errors),
        order=OrderEffects(*[OrderEffect(0.1, 0.1, 0.5)] * 3),
        sources=None,
    )
