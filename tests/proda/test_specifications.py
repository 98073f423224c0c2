"""Action specifications against the paper's example (App. C) and what a prompt must never give away."""

import numpy as np
import pytest

from pipeline.errors import ChoreoError
from pipeline.proda.specifications import KINDS, draw, targets


def shows(*present: int, classes: int = 157) -> np.ndarray:
    labels = np.zeros(classes, bool)
    labels[list(present)] = True
    return labels


def present_and_absent(labels, specified):
    return (specified & labels).sum(1).tolist(), (specified & ~labels).sum(1).tolist()


def test_the_example_of_the_paper_has_5_clean_and_6_distractor_injected_prompts():
    """Eqs. 13-16: labels {75, 76, 77, 79, 80} of 157 and K = 16."""
    labels = shows(75, 76, 77, 79, 80)
    specified = draw(labels, np.random.default_rng(0), length=16)
    present, absent = present_and_absent(labels, specified)
    assert present == [*range(1, 6), *range(6)]
    assert absent == [0] * 5 + [16, 15, 14, 13, 12, 11]
    assert (~specified).sum(1).tolist() == [156, 155, 154, 153, 152] + [141] * 6


@pytest.mark.parametrize("kind, more", [("paper", []), ("code", [(0, 1)]), ("queries", [(1, 0), (0, 1), (3, 7)])])
def test_each_kind_has_the_prompts_of_the_paper_and_its_own_after_them(kind, more):
    labels = shows(1, 4, 9, classes=10)
    specified = draw(labels, np.random.default_rng(0), length=5, kind=kind)
    paper = [(1, 0), (2, 0), (3, 0), (0, 5), (1, 4), (2, 3), (3, 2)]
    assert list(zip(*present_and_absent(labels, specified), strict=True)) == paper + more


def test_a_video_of_more_labels_than_the_length_never_gets_a_longer_distractor_injected_prompt():
    labels = shows(*range(20), classes=50)
    present, absent = present_and_absent(labels, draw(labels, np.random.default_rng(0), length=16))
    assert present == list(range(1, 21)) + list(range(16)) + [16] * 5
    assert absent == [0] * 20 + list(range(16, 0, -1)) + [0] * 5


def test_where_the_length_exceeds_the_absent_classes_all_of_them_are_taken():
    labels = shows(0, 1, classes=6)
    present, absent = present_and_absent(labels, draw(labels, np.random.default_rng(0), length=16))
    assert (present, absent) == ([1, 2, 0, 1, 2], [0, 0, 4, 4, 4])


@pytest.mark.parametrize("kind, sizes", [("paper", [16]), ("code", [16, 1]), ("queries", [16, 1, 157])])
def test_a_video_without_labels_is_asked_for_what_it_does_not_show(kind, sizes):
    specified = draw(shows(), np.random.default_rng(0), length=16, kind=kind)
    assert specified.sum(1).tolist() == sizes


@pytest.mark.parametrize("kind, more", [("paper", []), ("code", []), ("queries", [1, 4])])
def test_a_video_that_shows_every_class_has_no_distractors(kind, more):
    specified = draw(shows(0, 1, 2, 3, classes=4), np.random.default_rng(0), length=3, kind=kind)
    assert specified.sum(1).tolist() == [1, 2, 3, 4, 0, 1, 2, 3, 3, *more]


@pytest.mark.parametrize("kind", KINDS)
def test_present_and_absent_classes_are_drawn_uniformly(kind):
    """Each present class is in a prompt of p of L present ones with chance p / L, each absent one likewise."""
    labels, rng = shows(0, 1, 2, 5, classes=12), np.random.default_rng(0)
    share = np.mean([draw(labels, rng, length=6, kind=kind) for _ in range(4000)], axis=0)
    present, absent = present_and_absent(labels, draw(labels, rng, length=6, kind=kind))
    expected = np.where(labels, np.array(present)[:, None] / 4, np.array(absent)[:, None] / 8)
    assert np.abs(share - expected).max() < 0.04  # 5 standard errors


def test_present_classes_are_drawn_independently_in_each_prompt():
    labels = shows(0, 1, 2, 5, classes=12)
    draws = [draw(labels, np.random.default_rng(seed), length=6) for seed in range(200)]
    same = np.mean([(d[0] == d[5])[labels].all() for d in draws])  # the two prompts of one present class
    assert 0.1 < same < 0.4  # 1 / 4


def test_the_same_generator_gives_the_same_prompts_and_the_next_epoch_others():
    labels, rng = shows(3, 8, 11, 40), np.random.default_rng(7)
    first, second = draw(labels, rng, length=16), draw(labels, rng, length=16)
    assert np.array_equal(first, draw(labels, np.random.default_rng(7), length=16))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("kind", KINDS)
def test_the_answers_of_both_branches_are_disjoint_and_together_the_labels(kind):
    labels = shows(2, 3, 50)
    specified = draw(labels, np.random.default_rng(0), length=16, kind=kind)
    y_s, y_u = targets(labels, specified)
    assert y_s.shape == y_u.shape == (len(specified), 158)
    assert not (y_s & y_u)[:, :-1].any()
    assert np.array_equal((y_s | y_u)[:, :-1], np.broadcast_to(labels, specified.shape))
    assert not (y_s[:, :-1] & ~specified).any()


def test_no_action_is_the_answer_exactly_where_nothing_asked_for_is_shown():
    labels = shows(0, 1, classes=4)
    specified = np.array([[0, 0, 1, 1], [1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]], bool)
    y_s, y_u = targets(labels, specified)
    assert y_s[:, -1].tolist() == [True, False, False, True]
    assert y_u[:, -1].tolist() == [False, False, True, False]


def test_targets_take_batches_of_any_shape():
    rng = np.random.default_rng(0)
    labels, specified = rng.random((2, 3, 5)) < 0.4, rng.random((2, 3, 5)) < 0.4
    batch = targets(labels, specified)
    for b, s in np.ndindex(2, 3):
        for whole, one in zip(batch, targets(labels[b, s], specified[b, s]), strict=True):
            assert np.array_equal(whole[b, s], one)


@pytest.mark.parametrize("wrong, told", [({"kind": "papr"}, "kind"), ({"length": 0}, "length")])
def test_a_wrong_option_says_what_is_right(wrong, told):
    with pytest.raises(ChoreoError, match=told) as error:
        draw(shows(1, 2), np.random.default_rng(0), **({"length": 16} | wrong))
    assert error.value.mend
