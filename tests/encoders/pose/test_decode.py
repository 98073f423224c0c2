"""From raw outputs to joints, against literal loops and synthetic truth."""

import numpy as np
import pytest

from pipeline.encoders.pose import decode
from pipeline.encoders.pose.crops import crop, to_frame, windows


def test_the_peak_of_a_gaussian_is_found_between_the_cells():
    """Exact for a sampled Gaussian, also one cell from the border; the confidence is the highest cell."""
    rng = np.random.default_rng(1)
    h, w, stride, sigma = 24, 18, 4, 2.0
    truth = rng.uniform((1, 1), (w - 2, h - 2), size=(3, 17, 2))
    y, x = np.mgrid[:h, :w]
    output = np.exp(-((x - truth[..., None, None, 0]) ** 2 + (y - truth[..., None, None, 1]) ** 2) / (2 * sigma**2))
    joints, confidence = decode.heatmaps(output, w * stride, h * stride)
    np.testing.assert_allclose(joints, truth * stride, atol=1e-6)
    np.testing.assert_allclose(confidence, output.max((-1, -2)))


def test_a_flat_heatmap_and_a_peak_in_the_corner_stay_inside_the_crop():
    output = np.zeros((1, 2, 8, 6), np.float32)
    output[0, 1, 7, 5] = 1.5
    joints, confidence = decode.heatmaps(output, 24, 32)
    assert np.isfinite(joints).all()
    np.testing.assert_allclose(joints[0, 1], [20, 28], atol=2.01)
    np.testing.assert_allclose(confidence[0], [0, 1])


def test_simcc_halves_the_bin_and_trusts_the_less_sure_axis():
    along_x, along_y = np.zeros((1, 17, 384)), np.zeros((1, 17, 512))
    along_x[0, :, 101], along_y[0, :, 60] = 0.7, 0.4
    joints, confidence = decode.simcc(along_x, along_y)
    np.testing.assert_allclose(joints, np.broadcast_to([50.5, 30], (1, 17, 2)))
    np.testing.assert_allclose(confidence, 0.4)


def test_movenet_gives_y_before_x():
    output = np.zeros((1, 1, 17, 3), np.float32)
    output[0, 0, 3] = 0.25, 0.5, 0.9
    joints, confidence = decode.movenet(output, 192, 192)
    np.testing.assert_allclose(joints[0, 3], [96, 48])
    assert confidence[0, 3] == pytest.approx(0.9)


def test_a_crop_and_its_way_back_agree_on_where_a_mark_is():
    """A blurred dot drawn in the frame lies in the crop where `to_frame` says it came from."""
    frame = np.zeros((120, 160, 3), np.uint8)
    y, x = np.mgrid[:120, :160]
    frame[...] = (255 * np.exp(-((x - 70) ** 2 + (y - 50) ** 2) / 18))[..., None]
    view = windows(np.array([[50.0, 30.0, 90.0, 100.0]]), aspect=0.75, scale=1.25)
    image = crop(frame, view[0], 96, 128).astype(float)[..., 0]
    rows, columns = np.mgrid[:128, :96]
    mark = np.array([(image * columns).sum(), (image * rows).sum()]) / image.sum()
    np.testing.assert_allclose(to_frame(mark[None, None], view, 96, 128)[0, 0], [70, 50], atol=0.1)


def test_a_window_holds_the_box_and_has_the_aspect():
    boxes = np.array([[10, 20, 30, 100], [10, 20, 110, 40]], float)
    for (x0, y0, width, height), box in zip(windows(boxes, 0.75, 1.25), boxes, strict=True):
        assert width / height == pytest.approx(0.75)
        assert x0 <= box[0] and y0 <= box[1] and x0 + width >= box[2] and y0 + height >= box[3]
        assert (x0 + width / 2, y0 + height / 2) == pytest.approx(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2))
    assert windows(boxes, 0.75, 1.25)[0, 3] == pytest.approx(1.25 * 80)
