"""Tables 6-7: groups of samples, against a grouping by hand."""

import numpy as np
import pytest

from pipeline.proda.ranking import mean_average_precision
from pipeline.proda.robustness import by_labels


def test_samples_are_grouped_by_kind_labels_and_actions_present():
    label = np.array([[1, 1, 0, 0]] * 5 + [[0, 0, 1, 0]] * 2, dtype=bool)
    specified = np.array(
        [[1, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0], [1, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 0], [1, 0, 1, 0]], dtype=bool
    )
    score = np.random.default_rng(0).random((7, 4))
    rows = by_labels(score, label, specified)
    assert [(r["kind"], r["labels"], r["samples"]) for r in rows] == [
        ("clean", 1, 1), ("clean", 2, 3), ("distractor", 1, 1), ("distractor", 2, 1),
    ]  # fmt: skip
    two = rows[1]
    assert [(p, n) for p, n, _ in two["present"]] == [(1, 2), (2, 1)]
    one_present = mean_average_precision(score[:2], label[:2] & specified[:2])
    both = mean_average_precision(score[2:3], label[2:3] & specified[2:3])
    assert [v for _, _, v in two["present"]] == pytest.approx([one_present, both])
    assert two["mean"] == pytest.approx((one_present + both) / 2)
    assert two["std"] == pytest.approx(np.std([one_present, both], ddof=1))


def test_answers_that_hold_the_truth_score_one_everywhere():
    rng = np.random.default_rng(1)
    label, specified = rng.random((2, 300, 8)) < 0.4
    for row in by_labels((label & specified).astype(float), label, specified):
        assert row["mean"] == 1 and row["std"] == 0
