"""Drawings and the numbers behind them."""

import base64
import io
import re

import numpy as np
import pytest
from films import film
from PIL import Image

from pipeline.errors import VideoError
from pipeline.manifest import Video
from pipeline.report import numbers, thumbnails
from pipeline.report.dance import drawings, videos


def person(frames: int = 8) -> np.ndarray:
    return np.random.default_rng(0).uniform(-3, 5, (frames, 17, 2))


def test_fitted_poses_keep_their_proportions_and_travel():
    joints = person()
    joints[:, :, 0] += np.arange(8)[:, None]  # walks to the right
    fitted = drawings.fit(joints).astype(float)
    assert fitted.min() >= drawings.MARGIN and fitted.max() <= drawings.SIDE - drawings.MARGIN
    scale = [np.ptp(fitted[..., axis]) / np.ptp(joints[..., axis]) for axis in (0, 1)]
    assert scale[0] == pytest.approx(scale[1], rel=0.02)
    assert np.diff(fitted.mean(axis=(1, 2))).sum() > 0


def test_joints_that_are_not_seen_are_marked_and_not_drawn():
    joints = person(3)
    joints[:, 9] = np.nan  # the left wrist
    svg = drawings.skeleton(joints, "x")
    data = np.frombuffer(base64.b64decode(re.search(r'data-poses="([^"]+)"', svg).group(1)), np.uint8).reshape(3, 17, 2)
    assert (data[:, 9] == drawings.ABSENT).all() and (np.delete(data, 9, axis=1) != drawings.ABSENT).all()
    assert len(re.search(r'class="left" d="([^"]*)"', svg).group(1).split("M")) == 2  # the leg alone
    assert "NaN" not in drawings.skeleton(np.full((3, 17, 2), np.nan), "nobody")


def test_bands_are_as_wide_as_weights():
    links = [
        drawings.Link("a", "object", (2.0, 0.0)),
        drawings.Link("b", "scene", (1.0, 0.5)),
        drawings.Link("c", "scene", (0.0, 3.0)),
    ]
    svg = drawings.sankey(("one", "two"), links)
    widths = {
        m[1]: float(m[0]) for m in re.findall(r'stroke-width="([\d.]+)" d="[^"]*"><title>(\w speaks for \w+)', svg)
    }
    assert len(widths) == 4
    unit = widths["a speaks for one"] / 2
    assert widths["b speaks for one"] == pytest.approx(unit, rel=0.02)
    assert widths["b speaks for two"] == pytest.approx(0.5 * unit, rel=0.02)
    assert widths["c speaks for two"] == pytest.approx(3 * unit, rel=0.02)
    assert svg.count("both · ") == 1


@pytest.mark.parametrize("classes", [2, 12, 101])
def test_a_confusion_matrix_draws_every_cell_that_is_not_empty(classes):
    counts = 3 * np.eye(classes, dtype=int)
    counts[0, 1] = 1
    svg = drawings.confusion(counts, [f"class {n}" for n in range(classes)])
    assert svg.count('class="right"') == classes and svg.count('class="wrong"') == 1
    assert "1 of 4 videos of class 0: told as class 1" in svg


@pytest.mark.parametrize("seed", range(5))
def test_apportioned_values_add_up_and_stay_within_a_hundredth(seed):
    values = np.random.default_rng(seed).normal(size=9)
    values[3] = 0
    total = round(100 * values.sum())
    shown = videos.apportion(values, total)
    assert sum(shown) == total and shown[3] == 0
    assert np.abs(np.array(shown) - 100 * values).max() <= 1


@pytest.mark.parametrize("total", [29, 30, 31])
def test_apportioned_values_follow_a_total_that_was_rounded_by_itself(total):
    shown = videos.apportion([0.1, 0.2, 0.0], total)
    assert sum(shown) == total and shown[2] == 0


def test_bars_begin_at_zero_and_end_at_their_value():
    low, high = numbers.room([3.0, -1.0])
    assert numbers.place(3.0, low, high) == (25, 75) and numbers.place(-1.0, low, high) == (0, 25)


def test_a_film_strip_is_jpegs_in_order(tmp_path):
    video = Video("a", film(tmp_path / "a.mp4", 20, size=(240, 320)), frames=20)
    strip = thumbnails.strip(video, 4)
    assert [t.index for t in strip] == [2, 7, 12, 17] and strip[1].time == pytest.approx(7 / 25, abs=0.01)
    image = Image.open(io.BytesIO(base64.b64decode(strip[0].image.removeprefix("data:image/jpeg;base64,"))))
    assert image.format == "JPEG" and image.size == (round(320 * thumbnails.HEIGHT / 240), thumbnails.HEIGHT)
    red = image.getpixel((10, 10))
    assert red[0] > 200 and red[2] < 80  # colours are not swapped


def test_a_short_video_gives_a_short_strip_and_a_missing_one_an_error(tmp_path):
    assert len(thumbnails.strip(Video("a", film(tmp_path / "a.mp4", 3)), 8)) == 3
    with pytest.raises(VideoError, match="there is no video"):
        thumbnails.strip(Video("b", tmp_path / "b.mp4"))
