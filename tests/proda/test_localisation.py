"""Localisation: sets of frames, thresholds and both kinds of mAP, against counts by hand."""

import numpy as np
import pytest

from pipeline.errors import ChoreoError
from pipeline.proda import localisation as loc


def bits(text: str) -> np.ndarray:
    return np.array([c == "1" for c in text])


def test_times_at_the_ends_of_an_interval_lie_in_it():
    time = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    assert loc.inside(time, [(1.0, 2.0), (3.5, 9.0)]).tolist() == [False, True, True, False, True]
    assert not loc.inside(time, []).any()


def test_true_frames_are_told_by_video_and_action(tmp_path):
    path = tmp_path / "intervals.csv"
    path.write_text("id,action,start,end\nv1,sit,0.5,1.5\nv1,sit,2.5,3\nv2,eat,0,0.2\n")
    intervals = loc.read_intervals(path)
    assert intervals["v1", "sit"] == [(0.5, 1.5), (2.5, 3.0)]
    true = loc.truth(["v1", "v2"], np.array([[0.0, 1, 2, 3], [0, 0.1, 0.3, 0.4]]), ["eat", "sit"], intervals)
    assert true.shape == (2, 2, 4)
    assert true[0].tolist() == [[False] * 4, [False, True, False, True]]
    assert true[1].tolist() == [[True, True, False, False], [False] * 4]


@pytest.mark.parametrize("text", ["id,action,start\nv,a,1\n", "id,action,start,end\nv,a,one,2\n"])
def test_a_broken_file_of_intervals_is_named(tmp_path, text):
    path = tmp_path / "intervals.csv"
    path.write_text(text)
    with pytest.raises(ChoreoError, match=r"intervals\.csv"):
        loc.read_intervals(path)


def test_the_curve_is_the_square_over_its_largest():
    assert loc.curve(np.array([[0.5, 1.0, 0.1]])) == pytest.approx(np.array([[0.25, 1.0, 0.01]]))
    assert loc.curve(np.array([0.2, 0.1])) == pytest.approx([1.0, 0.25])
    assert loc.curve(np.zeros((2, 3))).tolist() == [[0, 0, 0]] * 2


def test_frames_whose_loss_does_not_lower_the_logit_are_zero_in_the_occlusion_curve():
    assert loc.occlusion_curve(np.array([-1.0, 0.5, 2.0])) == pytest.approx([0, 0.25, 1])
    assert loc.occlusion_curve(np.array([-1.0, -2.0])).tolist() == [0, 0]


def test_iou_counts_frames():
    one, two = bits("111000"), bits("011100")
    assert loc.iou(one, two) == pytest.approx(2 / 4)
    assert loc.iou(one, one) == 1
    assert loc.iou(bits("000"), bits("000")) == 0
    assert loc.iou(np.stack([one, one]), np.stack([two, one])).tolist() == [0.5, 1]


def test_recall_takes_an_iou_at_the_threshold_and_misses_what_lies_between_frames():
    found = np.stack([bits("1100"), bits("1110"), bits("1111"), bits("1000")])
    true = np.stack([bits("1000"), bits("1000"), bits("0000"), bits("1000")])
    assert loc.recall(found, true) == 2 / 4  # IoU 1/2, 1/3, 0 (between the frames), 1


def test_theta_is_the_best_of_the_grid_and_the_lowest_of_equals():
    curves = np.array([[1.0, 0.62, 0.3, 0.3], [1.0, 0.9, 0.3, 0.1]])
    true = np.stack([bits("1100"), bits("1100")])
    assert loc.choose_theta(curves, true, threshold=1.0) == 0.3
    assert loc.choose_theta(curves, true, threshold=0.5) == 0.0  # all frames have an IoU of a half already


def test_the_best_stretch_is_the_one_whose_evidence_adds_up_to_most_and_the_first_of_equals():
    evidence = np.array([[0.0, 2.0, -1.0, 2.0, 1.0], [1.0, 1.0, 1.0, 1.0, 1.0]])
    assert np.array_equal(loc.best_stretch(evidence, 2), np.stack([bits("00011"), bits("11000")]))
    assert np.array_equal(loc.best_stretch(evidence, 4), np.stack([bits("01111"), bits("11110")]))
    assert loc.best_stretch(evidence, 5).all()


def test_the_length_of_stretches_is_the_shortest_that_finds_most():
    evidence = np.array([[0.0, 3.0, 2.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 3.0, 2.0]])
    true = np.stack([bits("011100"), bits("000111")])
    assert loc.choose_length(evidence, true, threshold=1.0) == 3
    assert loc.choose_length(evidence, true, threshold=0.5) == 2  # 2 of 3 frames are enough


def test_the_middle_half_of_frames():
    assert loc.middle_half(4).tolist() == [False, True, True, False]
    assert loc.middle_half(16).sum() == 8


def test_the_papers_map_is_a_share_of_samples():
    """Two samples with action 0, one of them found; one with action 1, found; none with action 2, which counts 0."""
    true = np.zeros((2, 3, 4), dtype=bool)
    true[0, 0], true[0, 1] = bits("1000"), bits("0100")  # the truth of a specification is the union: 1100
    true[1, 0] = bits("0001")
    present = np.array([[True, True, False], [True, False, False]])
    curves = np.array([[1.0, 0.8, 0.1, 0.1], [1.0, 0.1, 0.1, 0.6]])
    assert loc.paper_map(curves, true, present, theta=0.5, threshold=0.5) == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert loc.paper_map(curves, true, present, theta=0.5, threshold=0.4) == pytest.approx((1 + 1 + 0) / 3)
    table = loc.paper_table(curves, true, present)
    assert np.shape(table) == (3, 3) and table[1][1] == pytest.approx(0.5)


def test_a_perfect_curve_scores_one_and_a_constant_one_the_prior():
    rng = np.random.default_rng(0)
    true = rng.random((12, 5, 16)) < 0.3
    shown = true.any(axis=2)
    assert loc.frame_map(true.astype(float), true, shown) == 1
    prior = np.mean([true[shown[:, c], c].mean() for c in range(5)])
    assert loc.frame_map(np.ones(true.shape), true, shown) == pytest.approx(prior)
    assert loc.recall(loc.curve(true[shown].astype(float)) > 0.5, true[shown]) == 1


def test_frame_map_ranks_only_the_videos_of_an_action():
    true = np.zeros((2, 1, 3), dtype=bool)
    true[0, 0] = bits("010")
    score = np.array([[[0.1, 0.5, 0.2]], [[0.9, 0.9, 0.9]]])
    assert loc.frame_map(score, true, np.array([[True], [False]])) == 1
    assert loc.frame_map(score, true, np.ones((2, 1), dtype=bool)) == pytest.approx(1 / 4)
