"""Logistic regression against scikit-learn, the conditions of an optimum, and what must not matter."""

import jax
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression as ScikitLearn

from infotheory_dl.linear_models import cross_validated_probabilities, fit, logits, probabilities

RNG = np.random.default_rng(0)
N, D, C = 150, 6, 3
# columns that depend on each other
X = RNG.normal(size=(N, D)) @ (np.eye(D) + 0.3 * RNG.normal(size=(D, D)))
DRAWS = RNG.random((N, 1))
SCORES = np.exp(X @ RNG.normal(size=(D, C)) + [1.0, 0.0, -1.0])
Y = ((SCORES / SCORES.sum(1, keepdims=True)).cumsum(1) < DRAWS).sum(1)
BINARY = (Y == 0).astype(int)
WEIGHTS = RNG.integers(0, 4, N).astype(float)
PENALTIES = np.array([1.0, 0.03])


def scikit_learn(y, inverse_penalty, *, l1=False, weights=None):
    ratio, solver = (1, "saga") if l1 else (0, "lbfgs")
    model = ScikitLearn(C=inverse_penalty, l1_ratio=ratio, solver=solver, tol=1e-12, max_iter=100_000)
    model.fit(X, y, sample_weight=weights)
    return model.coef_.T, model.intercept_


def gradient(model, y, l2=0.0, weights=None):
    """Of the mean loss and the L2 penalty, by its definition."""
    weights = np.ones(N) if weights is None else weights
    errors = np.asarray(probabilities(model, X)) - np.eye(np.max(y) + 1)[y]
    by_coefficients = X.T @ (weights[:, None] * errors) / weights.sum()
    return by_coefficients[:, -model.intercept.shape[-1] :] + l2 * np.asarray(model.coefficients), weights @ errors


@pytest.mark.parametrize("labels", [BINARY, Y], ids=["binary", "multinomial"])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alike", "weighted"])
def test_the_l2_penalty_is_that_of_scikit_learn(labels, weights):
    total = N if weights is None else weights.sum()
    models = fit(X, labels, l2=1 / (PENALTIES * total), weights=weights)
    assert models.converged.all()
    for place, inverse_penalty in enumerate(PENALTIES):
        coefficients, intercept = scikit_learn(labels, inverse_penalty, weights=weights)
        np.testing.assert_allclose(models.coefficients[place], coefficients, atol=1e-5)
        np.testing.assert_allclose(models.intercept[place], intercept, atol=1e-5)


@pytest.mark.parametrize("labels", [BINARY, Y], ids=["binary", "multinomial"])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alike", "weighted"])
def test_the_l1_penalty_is_that_of_scikit_learn(labels, weights):
    total = N if weights is None else weights.sum()
    models = fit(X, labels, l1=1 / (PENALTIES * total), weights=weights)
    assert models.converged.all()
    for place, inverse_penalty in enumerate(PENALTIES):
        coefficients, intercept = scikit_learn(labels, inverse_penalty, l1=True, weights=weights)
        np.testing.assert_allclose(models.coefficients[place], coefficients, atol=1e-5)
        np.testing.assert_array_equal(models.coefficients[place] == 0, np.abs(coefficients) < 1e-9)
        # that of several classes is free up to a constant
        intercept = intercept - intercept.mean() * (len(intercept) > 1)
        np.testing.assert_allclose(models.intercept[place], intercept, atol=1e-5)


def test_the_gradient_is_zero_where_there_is_no_penalty_too():
    for penalty in (0.0, 0.1):
        model = fit(X, Y, l2=penalty, weights=WEIGHTS)
        by_coefficients, by_intercept = gradient(model, Y, penalty, WEIGHTS)
        assert max(np.abs(by_coefficients).max(), np.abs(by_intercept).max()) < 1e-9
        np.testing.assert_allclose(model.coefficients.sum(-1), 0, atol=1e-9)
        np.testing.assert_allclose(model.intercept.sum(), 0, atol=1e-9)


def test_single_precision_settles_where_columns_depend_on_each_other():
    # steps that undo each other change the objective by less than its rounding
    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(size=(600, 10)), 7, axis=1) + 0.3 * rng.normal(size=(600, 70))
    directions = rng.normal(size=(70, 16)) * (rng.random((70, 16)) < 20 / 70)
    labels = (rng.random((600, 16)) < 1 / (1 + np.exp(-x @ directions / 3 + 1))).astype(int)
    models = [fit(x.astype(dtype), labels[:, :2].T, l1=1 / 600) for dtype in (np.float32, float)]
    assert models[0].converged.all()
    np.testing.assert_allclose(models[0].coefficients, models[1].coefficients, atol=1e-3)


def test_the_gradient_is_what_both_penalties_hold():
    l1, l2 = 0.03, 0.05
    model = fit(X, Y, l1=l1, l2=l2)
    by_coefficients, by_intercept = gradient(model, Y, l2)
    coefficients = np.asarray(model.coefficients)
    assert 0 < (coefficients == 0).sum() < coefficients.size
    held = np.where(coefficients == 0, np.clip(by_coefficients, -l1, l1), -l1 * np.sign(coefficients))
    np.testing.assert_allclose(by_coefficients, held, atol=1e-9)
    np.testing.assert_allclose(by_intercept, 0, atol=1e-7)
    expected = -np.log(np.asarray(probabilities(model, X))[np.arange(N), Y]).mean()
    expected += l1 * np.abs(coefficients).sum() + l2 / 2 * (coefficients**2).sum()
    np.testing.assert_allclose(model.loss, expected, rtol=1e-12)


@pytest.mark.parametrize("penalty", [{"l2": 0.02}, {"l1": 0.02}], ids=["l2", "l1"])
def test_many_problems_are_what_each_of_them_is_alone(penalty):
    ((name, value),) = penalty.items()
    labels = np.stack([BINARY, (Y == 1).astype(int)])[:, None, None]
    weights = np.stack([np.ones(N), WEIGHTS])
    values = np.array([[value], [2 * value], [3 * value]])
    models = fit(X, labels, weights=weights, **{name: values})
    assert models.converged.shape == (2, 3, 2)
    assert probabilities(models, X).shape == (2, 3, 2, N, 2)
    alone = fit(X, labels[1, 0, 0], weights=weights[0], **{name: values[2, 0]})
    np.testing.assert_allclose(models.coefficients[1, 2, 0], alone.coefficients, atol=1e-9)
    np.testing.assert_allclose(models.intercept[1, 2, 0], alone.intercept, atol=1e-9)
    with jax.checking_leaks():
        stacked = jax.jit(jax.vmap(lambda x, y: fit(x, y, num_classes=2, **{name: value})))(
            np.stack([X, X[::-1]]), np.stack([BINARY, BINARY[::-1]])
        )
    np.testing.assert_allclose(stacked.coefficients[0], models.coefficients[0, 0, 0], atol=1e-9)
    np.testing.assert_allclose(stacked.coefficients[1], models.coefficients[0, 0, 0], atol=1e-9)


def test_two_classes_are_the_softmax_of_two_with_half_the_penalty():
    distributions = np.eye(3)[BINARY][:, [0, 1]]
    model, softmax = fit(X, distributions, l2=0.1), fit(X, np.eye(3)[BINARY], l2=0.2)
    np.testing.assert_allclose(probabilities(softmax, X)[:, :2], probabilities(model, X), atol=1e-9)
    np.testing.assert_allclose(model.coefficients, fit(X, BINARY, l2=0.1).coefficients, atol=1e-9)


def test_soft_labels_are_rows_with_weights():
    shares = RNG.dirichlet(np.ones(C), N)
    soft = fit(X, shares, l2=0.1)
    rows = fit(np.repeat(X, C, axis=0), np.tile(np.arange(C), N), l2=0.1, weights=shares.ravel())
    np.testing.assert_allclose(soft.coefficients, rows.coefficients, atol=1e-9)


def test_orders_and_units_do_not_matter():
    plain = fit(X, Y, l1=0.02)
    order = RNG.permutation(N)
    shuffled = fit(X[order][:, ::-1], 2 - Y[order], l1=0.02)
    np.testing.assert_allclose(shuffled.coefficients[::-1, ::-1], plain.coefficients, atol=1e-8)

    units = 10.0 ** np.arange(-3, 3)
    free = fit(X, Y)
    changed = fit(X * units + 100 * units * np.arange(D), Y)
    assert changed.converged
    assert changed.iterations == free.iterations
    np.testing.assert_allclose(changed.coefficients * units[:, None], free.coefficients, atol=1e-6)
    # a penalty that takes the units along
    scaled = fit(X / 1000, Y, l2=0.1 * 1e-6)
    np.testing.assert_allclose(scaled.coefficients / 1000, fit(X, Y, l2=0.1).coefficients, atol=1e-8)


def test_single_precision_comes_close():
    for penalty in ({"l2": 1e-3}, {"l1": 1e-2}):
        single, double = fit(X.astype(np.float32), Y, **penalty), fit(X, Y, **penalty)
        assert single.coefficients.dtype == np.float32
        assert single.converged
        np.testing.assert_allclose(single.coefficients, double.coefficients, atol=2e-3)


def test_a_separating_hyperplane_is_told_and_leaves_no_nan():
    margin = X[:, 0] > 0
    with pytest.warns(UserWarning, match="2 of 2 logistic regressions did not converge.*set l2 or l1"):
        models = fit(X, margin, weights=np.stack([np.ones(N), WEIGHTS]))
    assert not models.converged.any()
    assert np.isfinite(models.coefficients).all()
    assert (probabilities(models, X).argmax(-1) == margin).all()
    with pytest.warns(UserWarning, match="1 of 1"):
        assert np.isfinite(fit(X, np.where(margin, 2 * BINARY, 1)).coefficients).all()
    assert fit(X, margin, l2=1e-6).converged


def test_columns_that_say_nothing_have_no_coefficient_and_copies_share_theirs():
    plain = fit(X, BINARY)
    constant = fit(np.concatenate([X, np.full((N, 1), 0.1), X[:, :1]], axis=1), BINARY)
    assert constant.converged
    assert constant.coefficients[D, 0] == 0
    np.testing.assert_allclose(
        constant.coefficients[0] + constant.coefficients[D + 1], plain.coefficients[0], atol=1e-7
    )


def test_a_class_without_weight_has_probability_zero():
    three = fit(X, Y, l2=0.1, weights=(Y != 1).astype(float))
    # as in the test above
    two = fit(X[Y != 1], Y[Y != 1] // 2, l2=0.05)
    assert three.converged
    assert (probabilities(three, X)[:, 1] == 0).all()
    np.testing.assert_allclose(probabilities(three, X)[:, ::2], probabilities(two, X), atol=1e-9)
    one = fit(X, BINARY, l2=0.1, weights=np.stack([BINARY, 1 - BINARY]).astype(float))
    assert one.converged.all()
    np.testing.assert_array_equal(probabilities(one, X)[:, :, 1], [np.ones(N), np.zeros(N)])


def test_labels_are_taken_as_people_hold_them():
    names = np.array(["left", "right"])[BINARY]
    np.testing.assert_array_equal(fit(X, names, l2=0.1).coefficients, fit(X, BINARY, l2=0.1).coefficients)
    np.testing.assert_array_equal(fit(X, list(BINARY == 1), l2=0.1).loss, fit(X, BINARY, l2=0.1).loss)


def test_ids_and_numbers_to_be_predicted_are_no_classes():
    x = np.random.default_rng(0).normal(size=(40, 2))
    for call in (fit, lambda x, y: cross_validated_probabilities(x, y, np.arange(40) % 2)):
        with pytest.raises(ValueError, match="y has 40 classes in 40 examples, 40 of them with one example only"):
            call(x, np.arange(40))


def test_out_of_fold_probabilities_are_of_regressions_that_have_not_seen_the_example():
    folds = np.arange(N) % 3
    labels = np.where(np.arange(N) == 7, 3, Y)
    held_out = cross_validated_probabilities(X, labels, folds, l2=np.array([0.1, 1.0]))
    assert held_out.shape == (2, N, C + 1)
    seen = folds != 1
    model = fit(X, labels, l2=1.0, weights=seen.astype(float))
    np.testing.assert_allclose(held_out[1, ~seen], probabilities(model, X[~seen]), atol=1e-9)
    # the class of one example is absent from the other folds
    assert held_out[1, 7, 3] == 0
    np.testing.assert_allclose(held_out.sum(-1), 1)


def test_logits_are_linear():
    model = fit(X, Y, l2=0.1)
    np.testing.assert_allclose(jax.nn.softmax(logits(model, X)), probabilities(model, X))
    np.testing.assert_allclose(logits(model, X), X @ np.asarray(model.coefficients) + np.asarray(model.intercept))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit(X[0], Y), r"x must have 2 axes \(examples, features\)"),
        (lambda: fit(np.where(X > 2, np.nan, X), Y), "x has .* entries that are NaN"),
        (lambda: fit(X, Y[1:]), "one for each of the 150 examples, got 149"),
        (lambda: fit(X, Y, num_classes=2), r"y must lie in \[0, 2\), got 2"),
        (lambda: jax.jit(fit)(X, Y), "num_classes must be given where labels are traced"),
        (lambda: fit(X, np.stack([Y, Y])[:, 1:]), "labels of every example"),
        (lambda: fit(X, SCORES), "row 0 of y must be a distribution"),
        (lambda: fit(X, Y, l2=-1.0), "l2 must be finite and not negative, got -1.0"),
        (lambda: fit(X, Y, l1=[0.1, np.nan]), "l1 must be finite and not negative"),
        (lambda: fit(X, Y, weights=np.ones(3)), r"weights must have the shape \(150,\), one for every example"),
        (lambda: fit(X, Y, weights=np.zeros(N)), "weights must be positive somewhere in every problem"),
        (lambda: cross_validated_probabilities(X, Y, np.zeros(N, int)), "folds must be at least 2, got the fold 0"),
        (lambda: cross_validated_probabilities(X, Y, np.arange(3)), r"folds must have the shape \(150,\)"),
    ],
)
def test_impossible_input_is_refused_in_words(as_a_user_sees, call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_several_classes_converge_in_single_precision_in_as_many_steps():
    """Rounding leaves a slope where all classes move together, which no step can follow."""
    random = np.random.default_rng(0)
    y = np.arange(900) % 3
    x = random.normal(size=(900, 12)) + np.eye(12)[y]
    double, single = (fit(x.astype(dtype), y, l2=1e-3) for dtype in (np.float64, np.float32))
    assert bool(single.converged)
    assert int(single.iterations) <= int(double.iterations) + 1
    np.testing.assert_allclose(single.coefficients, double.coefficients, atol=1e-3)
