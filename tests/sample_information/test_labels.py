"""Every candidate label against scoring the training set with that label in place, and the repair of labels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infotheory_dl.linearization import kernel_eigen, leave_one_out_predictions, select_weight_decay
from infotheory_dl.sample_information import find_label_errors, label_information, leave_one_out
from tests.sample_information.test_leave_one_out import random_problem


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("training", [{"time": 30}, {"time": np.inf, "weight_decay": 0.1}])
def test_a_candidate_label_scores_as_if_it_stood_in_the_training_set(shared, training):
    kernel, _, _, across = random_problem(0, k=1 if shared else 3)
    _, initial, targets, _ = random_problem(1, k=3)
    training = {"learning_rate": 0.5} | training
    result = label_information(kernel, initial, targets, np.eye(3), across, **training)
    for i, c in ((0, 0), (4, 2), (6, 1)):
        changed = targets.at[i].set(np.eye(3)[c])
        expected = leave_one_out(kernel, initial, changed, across, **training)
        np.testing.assert_allclose(result.weight_change[i, c], expected.weight_change[i], rtol=1e-8)
        np.testing.assert_allclose(result.output_change[i, c], expected.output_change[i], rtol=1e-8)


def test_flipped_labels_of_separated_clusters_are_found():
    keys = jax.random.split(jax.random.key(0), 2)
    truth = np.arange(180) % 3
    points = 6 * np.eye(3)[truth] + jax.random.normal(keys[0], (180, 3))
    flipped = np.arange(180) % 10 == 0
    labels = np.where(flipped, (truth + 1) % 3, truth)
    targets = np.eye(3)[labels] - 1 / 3
    kernel = kernel_eigen(jnp.exp(-jnp.square(points[:, None] - points).sum(-1) / 20))
    predictions = leave_one_out_predictions(kernel, targets, select_weight_decay(kernel, targets))
    errors = find_label_errors(predictions, labels)
    np.testing.assert_array_equal(errors.suggested[flipped], truth[flipped])
    np.testing.assert_array_equal(errors.wrong > 0.5, flipped)
    assert errors.interval[0] < 0.1 < errors.interval[1]
    # with nothing between the clusters, classes that overlap would have such labels too: few are repaired, and rightly
    assert flipped[errors.repaired].all()


@pytest.mark.usefixtures("as_a_user_sees")
def test_bad_input_meets_clear_errors():
    kernel, initial, targets, _ = random_problem(0)
    with pytest.raises(ValueError, match="candidates must have the 2 columns of targets"):
        label_information(kernel, initial, targets, np.eye(3), time=1, learning_rate=0.1)
    stack = np.stack([np.eye(7)] * 2)
    with pytest.raises(ValueError, match="needs one kernel for all outputs, or one that they share"):
        label_information(stack, initial, targets, np.eye(2), time=1, learning_rate=0.1)
