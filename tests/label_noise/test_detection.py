import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from infotheory_dl.label_noise.detection import (
    forgetting_counts,
    gradient_distance,
    ids_by_score,
    low_margin,
    low_self_confidence,
    mean_epoch_loss,
    mixture_suspicion,
    noisy_ids,
)
from infotheory_dl.label_noise.losses import cross_entropy
from infotheory_dl.metrics import area_under_roc
from tests.label_noise.test_transition import random_predictions

PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.3, 0.4, 0.3], [0.0, 0.0, 1.0]])


def test_the_distance_is_that_of_gradients_by_any_classifiers_logits():
    probabilities, labels, _ = random_predictions(0, 20)
    logits = jax.random.normal(jax.random.key(5), probabilities.shape, float)
    actual = jax.grad(lambda x: cross_entropy(x, labels).sum())(logits)
    predicted = jax.nn.softmax(logits) - probabilities
    expected = np.linalg.norm(predicted - actual, axis=1)
    np.testing.assert_allclose(gradient_distance(probabilities, labels), expected, rtol=1e-12)


def test_scores_are_high_where_the_label_is_unlikely():
    labels = np.array([0, 2, 1])
    np.testing.assert_allclose(gradient_distance(PROBABILITIES, labels), np.sqrt([0.14, 0.74, 2.0]))
    np.testing.assert_allclose(low_self_confidence(PROBABILITIES, labels), [0.3, 0.7, 1.0])
    np.testing.assert_allclose(low_margin(PROBABILITIES, labels), [-0.5, 0.1, 1.0], atol=1e-15)
    soft = np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    np.testing.assert_allclose(low_self_confidence(PROBABILITIES, soft), [0.55, 0.7, 1.0])


@pytest.mark.parametrize("score", [gradient_distance, low_self_confidence, low_margin])
def test_scores_find_flipped_labels_and_are_traced(score):
    probabilities, labels, clean = random_predictions(0)
    scores = jax.jit(score)(probabilities, labels)
    assert area_under_roc(scores, labels != clean) > 0.9


def test_histories_give_mean_losses_and_forgetting_counts():
    losses = np.array([[3.0, 1.0], [1.0, 0.5]])
    np.testing.assert_allclose(mean_epoch_loss(losses), [2.0, 0.75])
    histories = ["rrrrr", "wrrrr", "rwrwr", "rrwww", "wwwww", "wwwwr"]
    correct = np.array([[letter == "r" for letter in history] for history in histories]).T
    np.testing.assert_array_equal(forgetting_counts(correct), [0, 0, 2, 1, 5, 0])


def test_a_mixture_splits_losses_of_two_kinds():
    generator = np.random.default_rng(0)
    losses = np.concatenate([generator.normal(0.5, 0.1, 300), generator.normal(3.0, 0.2, 100)])
    suspicion = mixture_suspicion(losses)
    np.testing.assert_allclose(suspicion[300:], 1, atol=1e-3)
    assert suspicion[:300].max() < 0.1
    np.testing.assert_allclose(mixture_suspicion(1e6 - 1e6 * losses), 1 - suspicion, atol=1e-6)


def test_ids_come_in_order_of_suspicion():
    scores = np.array([0.1, 0.9, 0.5, 0.9, 0.3])
    np.testing.assert_array_equal(ids_by_score(scores), [1, 3, 2, 4, 0])
    np.testing.assert_array_equal(ids_by_score(scores, count=2), [1, 3])
    np.testing.assert_array_equal(ids_by_score(scores, threshold=0.3), [1, 3, 2, 4])
    np.testing.assert_array_equal(ids_by_score(scores, count=3, threshold=0.9), [1, 3])
    np.testing.assert_array_equal(ids_by_score(jnp.array([2, 0, 5]), threshold=1), [2, 0])


THEIR_NAMES = {
    "prune_by_noise_rate": "prune_by_noise_rate",
    "prune_by_class": "prune_by_class",
    "both": "both",
    "confident_learning": "confident_learning",
    "predicted_is_not_given": "predicted_neq_given",
}


def confident_class(row, thresholds):
    """The rule of cleanlab 2: of several confident classes the most likely of all; thresholds are never zero."""
    confident = [j for j in range(len(row)) if row[j] >= max(thresholds[j], 2e-6) - 1e-6]
    if len(confident) > 1:
        return max(range(len(row)), key=lambda j: row[j])
    return confident[0] if confident else None


def in_whole_numbers(quotas):
    """Rounded one by one; what is then too many or too few goes where rounding took or gave the most."""
    whole = [round(quota) for quota in quotas]  # halves to even numbers
    while sum(whole) != round(sum(quotas)):
        step = 1 if sum(whole) < round(sum(quotas)) else -1
        order = sorted(range(len(quotas)), key=lambda j: (quotas[j] - whole[j], j))
        whole[order[-1] if step > 0 else order[0]] += step
    return whole


def issues_of_cleanlab(probabilities, labels, filter):
    """The set that `find_label_issues` of cleanlab 2 gives with its defaults, by its rules written out."""
    num_classes = probabilities.shape[1]
    members = {k: [i for i, label in enumerate(labels) if label == k] for k in range(num_classes)}
    thresholds = [np.mean([probabilities[i, k] for i in members[k]]) if members[k] else 2 for k in range(num_classes)]
    classes = [confident_class(row, thresholds) for row in probabilities]
    predicted = [int(np.argmax(row)) for row in probabilities]
    by_pair, by_class = set(), set()
    for k in range(num_classes):
        if len(members[k]) < 2:
            continue
        counts = [sum(classes[i] == j for i in members[k]) for j in range(num_classes)]
        counts[k] = max(counts[k], 1)
        counts = in_whole_numbers([count / sum(counts) * len(members[k]) for count in counts])
        if counts[k] < 1:
            others = max(sum(count != 0 for count in counts) - 1, 1)
            counts = [int(max(count - 1 / others, 0)) for count in counts]
            counts[k] = 1
        by_own = sorted(members[k], key=lambda i: probabilities[i, k])
        by_class |= set(by_own[: len(by_own) - counts[k]])
        for j in range(num_classes):
            by_margin = sorted(members[k], key=lambda i: probabilities[i, k] - probabilities[i, j])
            by_pair |= set(by_margin[: counts[j]] if j != k else [])
    chosen = {
        "prune_by_noise_rate": by_pair,
        "prune_by_class": by_class,
        "both": by_pair & by_class,
        "confident_learning": {i for i, j in enumerate(classes) if j not in (None, labels[i])},
        "predicted_is_not_given": set(range(len(labels))),
    }[filter]
    return {i for i in chosen if predicted[i] != labels[i]}


@st.composite
def predictions(draw):
    """Probabilities and labels of few examples, some classes rare, absent, or of probability zero."""
    num_classes, num_examples = draw(st.integers(2, 5)), draw(st.integers(2, 40))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shares = random.dirichlet(np.full(num_classes, draw(st.sampled_from([0.3, 1.0, 10.0]))))
    labels = random.choice(num_classes, num_examples, p=shares)
    logits = (
        random.normal(size=(num_examples, num_classes)) + draw(st.sampled_from([0, 1, 4])) * np.eye(num_classes)[labels]
    )
    rows = np.exp(logits)
    if draw(st.booleans()):
        rows[:, random.integers(num_classes)] = 0
    return rows / rows.sum(1, keepdims=True), labels


@pytest.mark.filterwarnings("ignore:no example has one of the labels")
@pytest.mark.parametrize("filter", THEIR_NAMES)
@settings(max_examples=60, derandomize=True)
@given(drawn=predictions())
def test_the_issues_are_those_of_the_rules_of_cleanlab(filter, drawn):
    probabilities, labels = drawn

    ids = noisy_ids(probabilities, labels, filter=filter)

    assert set(ids.tolist()) == issues_of_cleanlab(probabilities, labels, filter)
    assert (probabilities[ids].argmax(1) != labels[ids]).all()


def test_a_rare_class_that_is_hard_to_tell_is_not_taken_for_noise_unless_by_the_paper():
    """The counts are those of cleanlab 2.9.0."""
    generator = np.random.default_rng(5)
    counts, predicted = [], []
    for size, share, shift in ((250, 0.2, 0.5), (250, 0.1, 1.0), (600, 0.1, 1.0), (400, 0.5, 2.0), (400, 0.05, 2.0)):
        labels = (np.arange(size) < share * size).astype(int)
        x = generator.normal(size=(size, 5))
        x[:, 0] += shift * labels
        probabilities = cross_val_predict(LogisticRegression(), x, labels, cv=5, method="predict_proba")
        counts.append(len(noisy_ids(probabilities, labels)))
        by_paper = noisy_ids(probabilities, labels, paper=True)
        predicted.append(int((probabilities[by_paper].argmax(1) == labels[by_paper]).sum()))
    assert counts == [33, 11, 31, 24, 9]
    assert min(predicted[:3]) > 10


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("filter", THEIR_NAMES)
def test_filters_find_what_those_of_cleanlab_find(filter, seed):
    find_label_issues = pytest.importorskip("cleanlab.filter").find_label_issues
    probabilities, labels, _ = random_predictions(seed)
    found = find_label_issues(
        labels, probabilities, filter_by=THEIR_NAMES[filter], return_indices_ranked_by="normalized_margin", n_jobs=1
    )
    np.testing.assert_array_equal(noisy_ids(probabilities, labels, filter=filter), found)


def test_no_class_of_probability_zero_is_confident():
    probabilities = np.array([[0.9, 0.1, 0.0], [0.6, 0.4, 0.0], [0.2, 0.8, 0.0], [0.3, 0.7, 0.0], [0.1, 0.9, 0.0]])
    # the means of the given labels are 0.57, 0.7 and 0; all examples reach that of the last
    labels = np.array([0, 0, 0, 1, 2])
    for paper in (False, True):
        found = noisy_ids(probabilities, labels, filter="confident_learning", paper=paper)
        np.testing.assert_array_equal(found, [4, 2])


def test_pruning_takes_as_many_as_the_joint_counts():
    # thresholds 0.6 and 0.85: of six labels 0, three are confidently right and one wrong, which leaves 4.5 and 1.5
    probabilities = np.array([0.95, 0.9, 0.85, 0.55, 0.2, 0.15, 0.1, 0.2])
    probabilities = np.stack([probabilities, 1 - probabilities], axis=1)
    labels = np.array([0, 0, 0, 0, 0, 0, 1, 1])
    np.testing.assert_array_equal(noisy_ids(probabilities, labels, filter="confident_learning"), [5])
    np.testing.assert_array_equal(noisy_ids(probabilities, labels, filter="prune_by_class", paper=True), [5])
    np.testing.assert_array_equal(noisy_ids(probabilities, labels, filter="prune_by_class"), [5, 4])
    np.testing.assert_array_equal(noisy_ids(probabilities, labels, filter="predicted_is_not_given"), [5, 4])


def test_bad_input_is_named(as_a_user_sees):
    labels = np.array([0, 1, 2])
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 3\), got 3 at index 1"):
        gradient_distance(PROBABILITIES, np.array([0, 3, 4]))
    with pytest.raises(ValueError, match=r"labels must have 1 axes \(examples,\), got shape \(3, 3\)"):
        low_margin(PROBABILITIES, np.eye(3))
    with pytest.raises(ValueError, match="predictions has 1 of 9 entries that are NaN or infinite"):
        low_margin(np.where(PROBABILITIES == 1, np.nan, PROBABILITIES), labels)
    with pytest.raises(ValueError, match=r"losses must not be empty, got shape \(0, 3\)"):
        mean_epoch_loss(np.zeros((0, 3)))
    with pytest.raises(ValueError, match=r"correct must have 2 axes \(epochs, examples\), got shape \(3,\)"):
        forgetting_counts(np.ones(3, bool))
    with pytest.raises(ValueError, match=r"a mixture of two distributions needs two different losses, got \[1.0\]"):
        mixture_suspicion(np.ones(4))
    with pytest.raises(ValueError, match=r"count must lie in \[0, 3\], the number of examples, got 4"):
        ids_by_score(np.zeros(3), count=4)
    with pytest.raises(ValueError, match="unknown filter 'prune'; choose one of 'prune_by_noise_rate'"):
        noisy_ids(PROBABILITIES, labels, filter="prune")
    with pytest.raises(
        ValueError, match=r"row 0 of probabilities must be a distribution, but adds up to 2: of logits take"
    ):
        noisy_ids(2 * PROBABILITIES, labels)
    with pytest.raises(ValueError, match=r"row 0 of predicted must be a distribution, but has -3 in it"):
        gradient_distance(np.array([[5.0, -3, -1]]), labels[:1])
