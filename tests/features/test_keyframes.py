"""Keyframes and clips, against slow literal references (DANCE, Sec. 3.2.1)."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from films import film

from pipeline.artifacts import Artifact
from pipeline.features.keyframes import (
    _maxima,
    baseline,
    clip_frames,
    clip_start,
    differences,
    keyframes,
    peaks,
    spread,
)
from pipeline.manifest import Manifest, Video
from pipeline.video import stream

# References


def slow_differences(path: Path, noise: int) -> list[int]:
    """Pixels that differ, counted one by one; the Gaussian of OpenCV's 9 taps (sigma 1.7), in float64."""
    taps = np.exp(-0.5 * (np.arange(-4, 5) / 1.7) ** 2)
    kernel = np.outer(taps, taps) / taps.sum() ** 2
    blurred = []
    for frame in stream(path):
        grey = cv2.cvtColor(frame.pixels, cv2.COLOR_RGB2GRAY).astype(float)
        padded, soft = np.pad(grey, 4, mode="reflect"), np.zeros_like(grey)
        for y in range(9):
            for x in range(9):
                soft += kernel[y, x] * padded[y : y + grey.shape[0], x : x + grey.shape[1]]
        blurred.append(soft)
    counts = [0]
    for before, after in pairwise(blurred):
        pairs = zip(before.flat, after.flat)
        counts.append(sum(abs(round(a) - round(b)) > noise for a, b in pairs))
    return counts


def slow_baseline(signal: np.ndarray) -> np.ndarray:
    """Degree 2, refitted to min(y, fit) until the coefficients move less than 1e-3, at most 100 times."""
    x, y = np.linspace(0, 1, len(signal)), np.array(signal, float)
    scale = max(abs(y).max(), 1e-300)
    work, before = y / scale, np.zeros(3)
    for _ in range(100):
        now = np.polyfit(x, work, 2)
        if np.sqrt(((now - before) ** 2).sum()) < 1e-3 * np.sqrt((before**2).sum()):
            break
        before = now
        work = np.array([min(value, np.polyval(now, at)) for at, value in zip(x, work)])
    return np.polyval(before, x) * scale


def slow_maxima(y: np.ndarray) -> list[int]:
    """Middles of the runs of equal values that are higher than both neighbours."""
    runs = []
    for i, value in enumerate(y):
        if runs and value == y[runs[-1][0]]:
            runs[-1].append(i)
        else:
            runs.append([i])
    high = [
        run for left, run, right in zip(runs, runs[1:], runs[2:]) if y[run[0]] > y[left[0]] and y[run[0]] > y[right[0]]
    ]
    return [(run[0] + run[-1]) // 2 for run in high]


# The signal


@pytest.mark.parametrize("noise", [0, 3])
def test_differences_are_the_pixels_that_changed_after_grey_and_blur(noise: int, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", sudden(12, [3, 8]), codec="libx264rgb", pixels="rgb24", options={"qp": "0"})
    counts, times = differences(Video("a", path), noise=noise)
    slow = slow_differences(path, noise)
    assert counts[0] == 0 and len(times) == 12
    assert (
        np.abs(counts - slow).max() <= 0.02 * 48 * 64
    )  # OpenCV blurs in fixed point: a grey level may round otherwise
    assert np.flatnonzero(counts).tolist() == np.flatnonzero(slow).tolist() == [3, 8]


def test_one_changed_pixel_spreads_over_the_blur(tmp_path: Path) -> None:
    frames = [np.zeros((40, 40, 3), np.uint8) for _ in range(2)]
    frames[1][20, 20] = 255
    path = film(tmp_path / "a.mp4", frames, codec="libx264rgb", pixels="rgb24", options={"qp": "0"})
    assert 25 < differences(Video("a", path))[0][1] <= 81


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("length", [3, 10, 200])
def test_the_baseline_is_that_of_the_definition(length: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    signal = 50 * rng.random(length) + 300 * (rng.random(length) > 0.8) + np.linspace(0, 40, length)
    assert baseline(signal) == pytest.approx(slow_baseline(signal), rel=1e-6, abs=1e-6)


def test_the_baseline_of_a_parabola_with_peaks_is_the_parabola() -> None:
    x = np.linspace(0, 1, 300)
    floor = 20 + 30 * x - 25 * x**2
    signal = floor.copy()
    signal[::25] += 200
    assert np.abs(baseline(signal, tolerance=1e-9) - floor).max() < 1


@pytest.mark.parametrize("seed", range(20))
def test_peaks_are_the_maxima_above_the_threshold_plateaus_at_their_middle(seed: int) -> None:
    rng = np.random.default_rng(seed)
    signal = np.repeat(rng.integers(0, 6, 30), rng.integers(1, 4, 30)).astype(float)
    y = signal - baseline(signal)
    assert _maxima(signal) == slow_maxima(signal)  # with plateaus; without the baseline, which bends them
    floor = 0.3 * (y.max() - y.min()) + y.min()
    expected = [i for i in slow_maxima(y) if y[i] > floor] or [int(y.argmax())]
    assert peaks(signal, 0.3).tolist() == expected


def test_there_is_always_a_keyframe() -> None:
    for signal in ([0.0], [0.0] * 50, [3.0, 3.0], [0.0, 5.0], list(range(40))):
        found = peaks(np.array(signal), 0.3)
        assert len(found) >= 1 and found.min() >= 0 and found.max() < len(signal)


def test_at_most_the_asked_number_is_kept_evenly_over_the_list() -> None:
    assert spread(np.arange(5), 10).tolist() == [0, 1, 2, 3, 4]
    assert spread(np.arange(100, 121), 5).tolist() == [100, 105, 110, 115, 120]
    assert spread(np.arange(7), 3).tolist() == [0, 3, 6]
    assert spread(np.arange(7), 1).tolist() == [0]


# Clips


@pytest.mark.parametrize("length", [1, 2, 7, 16])
@pytest.mark.parametrize("frames", [1, 5, 16, 40])
def test_a_clip_is_that_of_the_definition(length: int, frames: int) -> None:
    """Even L: [k - L/2, k + L/2); odd L one more at the end; shifted inside; the last frame repeats when too short."""
    for k in range(frames):
        first, end = (k - length // 2, k + length // 2) if length % 2 == 0 else (k - length // 2, k + length // 2 + 1)
        while first < 0:
            first, end = first + 1, end + 1
        while end > frames and first > 0:
            first, end = first - 1, end - 1
        start = clip_start(k, length, frames)
        assert start == first
        assert clip_frames(start, length, frames).tolist() == [min(i, frames - 1) for i in range(first, first + length)]


# The stage


def sudden(frames: int, changes: list[int]) -> list[np.ndarray]:
    """Still pictures that change at known frames."""
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (6, 8, 3), np.uint8) for _ in range(len(changes) + 1)]
    shown = [sum(i >= c for c in changes) for i in range(frames)]
    return [cv2.resize(pictures[s], (64, 48), interpolation=cv2.INTER_NEAREST) for s in shown]


def found_in(tmp_path: Path, frames: list[np.ndarray], **options: object) -> dict[str, np.ndarray]:
    lossless = {"codec": "libx264rgb", "pixels": "rgb24", "options": {"qp": "0"}}
    path = film(tmp_path / "a.mp4", frames, **lossless)
    Manifest([Video("a", path, frames=len(frames), fps=25)]).write(tmp_path / "m.csv")
    keyframes(tmp_path / "m.csv", tmp_path / "k.h5", **options)
    with Artifact(tmp_path / "k.h5", "keyframes") as artifact:
        return artifact.video("a")


def test_sudden_changes_are_the_keyframes(tmp_path: Path) -> None:
    found = found_in(tmp_path, sudden(60, [9, 22, 41, 50]))
    assert found["keyframe"].tolist() == [9, 22, 41, 50]
    assert found["time"] == pytest.approx(np.array([9, 22, 41, 50]) / 25)
    assert (found["frames"], len(found["difference"])) == (60, 60) and found["fps"] == pytest.approx(25)


def test_a_still_video_and_a_single_frame_have_a_keyframe(tmp_path: Path) -> None:
    for frames in (30, 1):
        found = found_in(tmp_path, sudden(frames, []))
        assert len(found["keyframe"]) == 1 and found["frames"] == frames


def test_at_most_count_keyframes_are_kept(tmp_path: Path) -> None:
    found = found_in(tmp_path, sudden(60, list(range(4, 56, 4))), count=5)
    assert len(found["keyframe"]) == 5 and found["keyframe"][0] == 4 and found["keyframe"][-1] == 52


def test_long_videos_ask_for_higher_peaks(tmp_path: Path) -> None:
    """A change of two fifths of the picture passes 0.3 of the range, and fails 0.3 + 0.2."""
    frames = sudden(71, [20])
    small = frames[50].copy()
    small[:, :24] = 255 - small[:, :24]
    frames[50:] = [small] * 21
    assert found_in(tmp_path, frames[:70])["keyframe"].tolist() == [20, 50]
    assert found_in(tmp_path, frames)["keyframe"].tolist() == [20]
    assert found_in(tmp_path, frames, long=71)["keyframe"].tolist() == [20, 50]
