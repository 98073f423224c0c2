"""From frames to a detector's input, and from raw outputs to things, against literal loops."""

import math

import numpy as np
import pytest

from pipeline.encoders.detector import decode


def test_yolox_rows_decode_as_written_in_the_paper():
    rng = np.random.default_rng(0)
    width, height, classes = 96, 64, 3
    rows = rng.normal(size=(2, sum((width // s) * (height // s) for s in (8, 16, 32)), 5 + classes))
    expected, confidence = np.zeros((*rows.shape[:2], 4)), np.zeros((*rows.shape[:2], classes))
    for n in range(2):
        k = 0
        for stride in (8, 16, 32):
            for y in range(height // stride):
                for x in range(width // stride):
                    dx, dy, log_w, log_h, objectness, *probabilities = rows[n, k]
                    cx, cy = (x + dx) * stride, (y + dy) * stride
                    w, h = math.exp(log_w) * stride, math.exp(log_h) * stride
                    expected[n, k] = cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2
                    confidence[n, k] = [objectness * p for p in probabilities]
                    k += 1
    boxes, scores = decode.yolox(rows, width, height)
    np.testing.assert_allclose(boxes, expected)
    np.testing.assert_allclose(scores, confidence)


def test_rows_of_box_score_and_class_score_in_the_column_of_their_class():
    """A class beyond those that have a name scores nowhere."""
    output = np.float32([[[1, 2, 3, 4, 0.9, 0], [5, 6, 7, 8, 0.8, 1], [0, 0, 9, 9, 0.7, 2]]])
    boxes, scores = decode.boxes(output, 2)
    np.testing.assert_allclose(boxes[0, 1], [5, 6, 7, 8])
    np.testing.assert_allclose(scores[0], [[0.9, 0], [0, 0.8], [0, 0]])


def test_things_are_above_the_score_and_counted_once():
    box = np.array([[40, 0, 50, 20], [0, 0, 10, 20], [1, 0, 11, 20], [80, 0, 90, 20], [5, 5, 5, 5]], float)
    found = decode.things(box, np.array([[0.5], [0.9], [0.8], [0.2], [0.99]]), 0.25)
    np.testing.assert_allclose(found.box, [[0, 0, 10, 20], [40, 0, 50, 20]])
    np.testing.assert_allclose(found.score, [0.9, 0.5], rtol=1e-6)
    assert found.kind.tolist() == [0, 0]


def test_things_of_two_classes_may_share_a_place():
    """A person and the bed under them; one candidate may even be both."""
    box = np.array([[0, 0, 10, 20], [1, 0, 11, 20]], float)
    found = decode.things(box, np.array([[0.9, 0.3], [0.1, 0.8]]), 0.25)
    assert found.kind.tolist() == [0, 1]
    np.testing.assert_allclose(found.score, [0.9, 0.8], rtol=1e-6)
    np.testing.assert_allclose(found.of(1)[0], [[1, 0, 11, 20]])


@pytest.mark.parametrize("seed", range(5))
def test_many_candidates_are_thinned_as_by_a_literal_loop(seed):
    """Class by class: take the surest, drop those of its class that overlap it, go on."""
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-20, 80, (60, 2))
    box = np.concatenate([corner, corner + rng.uniform(5, 40, (60, 2))], axis=1)
    scores = rng.uniform(0, 1, (60, 3))
    expected = []
    for kind in range(3):
        left = sorted((i for i in range(60) if scores[i, kind] > 0.5), key=lambda i: -scores[i, kind])
        while left:
            best, *left = left
            expected.append((kind, best))
            left = [i for i in left if iou(box[best], box[i]) <= 0.45]
    found = decode.things(box, scores, 0.5)
    expected.sort(key=lambda thing: -scores[thing[1], thing[0]])
    assert found.kind.tolist() == [kind for kind, _ in expected]
    np.testing.assert_allclose(found.box, [box[i] for _, i in expected], rtol=1e-6)
    np.testing.assert_allclose(found.score, [scores[i, kind] for kind, i in expected], rtol=1e-6)


def iou(a, b) -> float:
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    shared = width * max(0, min(a[3], b[3]) - max(a[1], b[1]))
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def test_nothing_above_the_score_is_nothing():
    found = decode.things(np.array([[0, 0, 10, 20.0]]), np.array([[0.1, 0.2]]), 0.25)
    assert found.box.shape == (0, 4) and found.score.shape == found.kind.shape == (0,)


def test_a_letterbox_keeps_the_aspect_and_pads_right_or_below():
    image, scale = decode.letterbox(np.full((50, 100, 3), 200, np.uint8), 40, 40)
    assert scale == pytest.approx(0.4)
    assert (image[:20] == 200).all() and (image[20:] == 114).all()
