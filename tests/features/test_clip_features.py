"""Clips of long videos: which frames are in them, when they are, and that a video is never wholly in memory."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from math import floor
from pathlib import Path

import numpy as np
import pytest
from films import film

from pipeline import cli, encoders
from pipeline.artifacts import Artifact, validate
from pipeline.errors import ChoreoError, VideoError
from pipeline.features import clip_features as stage
from pipeline.features.clip_features import Cut, clip_features, read_clips, shown
from pipeline.manifest import Manifest, Video
from pipeline.video import Frame, probe
from tests.encoders.tiny import clip_graph

STEP = 5  # grey levels from a frame of `greys` to the next


def greys(path: Path, frames: int, **options: object) -> Path:
    """A film whose frames are plain grey, each its own."""
    return film(path, [np.full((32, 48, 3), STEP * i, np.uint8) for i in range(frames)], **options)


class Greys:
    """Answers with the number of every frame of a clip of `greys`."""

    identity, needs_frames, dim = "greys@1", True, 4

    def __init__(self, frames: int = 4, fails_at: int = -1) -> None:
        self.frames, self.fails_at, self.seen = frames, fails_at, 0

    def encode(self, clips: list[np.ndarray]) -> np.ndarray:
        numbers = np.stack([clip.mean((1, 2, 3)) for clip in clips]) / STEP
        if (numbers.round() == self.fails_at).any():
            return np.full_like(numbers, np.nan)
        return numbers.round().astype(np.float32)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(encoders.BACKBONE, "greys", f"{__name__}:Greys")
    assert __name__ in sys.modules


def manifest(folder: Path, **films: Path) -> Path:
    rows = [Video(i, path) for i, path in films.items()]
    Manifest(rows).write(folder / "m.csv")
    return folder / "m.csv"


def features(folder: Path, path: Path, **options: object) -> dict[str, np.ndarray]:
    """The rows of one film."""
    options = {"encoder": "greys"} | options
    clip_features(manifest(folder, film=path), folder / "f.h5", **options)
    validate(folder / "f.h5")
    with Artifact(folder / "f.h5", "clip_features") as found:
        assert found.ids == ["film"], found.failures
        return found.video("film")


# Which frames


def screen(times: list[Fraction], fps: int, ticks: int) -> list[int]:
    """Numbers of the frames on a screen, with fractions: each from the tick on that is nearest to its time."""
    first = [floor((time - times[0]) * fps + Fraction(1, 2)) for time in times]
    return [max(i for i, start in enumerate(first) if start <= tick) for tick in range(ticks)]


def numbers(times: list[float], fps: float, ticks: list[int]) -> list[int]:
    frames = (Frame(i, float(time), np.zeros((1, 1, 3), np.uint8)) for i, time in enumerate(times))
    return [frame.index for frame in shown(frames, fps, np.array(ticks))]


def test_from_30_to_25_frames_a_second_one_frame_in_six_is_left_out() -> None:
    assert numbers([i / 30 for i in range(13)], 25, list(range(11))) == [0, 1, 2, 4, 5, 6, 7, 8, 10, 11, 12]


@pytest.mark.parametrize("fps", [8, 15, 24, 25, 30, 50])
@pytest.mark.parametrize("rate", [10, 12, 24, 25, 30, 48, 50, 60])
def test_the_right_frame_is_shown_at_every_tick(rate: int, fps: int) -> None:
    times = [Fraction(i, rate) + Fraction(7, 3) for i in range(3 * rate)]
    assert numbers([float(t) for t in times], fps, list(range(3 * fps))) == screen(times, fps, 3 * fps)


def test_times_that_were_rounded_to_milliseconds_lose_and_repeat_no_frame() -> None:
    for rate in (24, 25, 29.97, 30, 60):
        times = [round(1000 * i / rate) / 1000 for i in range(200)]
        assert numbers(times, rate, list(range(200))) == list(range(200))


def test_a_frame_stays_on_until_the_next_one_is_due() -> None:
    assert numbers([0.0, 0.1, 0.9, 1.0], 10, list(range(13))) == [0] + [1] * 8 + [2] + [3] * 3


def test_frame_by_frame_the_times_are_those_of_the_frames() -> None:
    frames = [Frame(i, time, np.zeros((1, 1, 3), np.uint8)) for i, time in enumerate([0.2, 0.3, 0.9])]
    found = list(shown(iter(frames), 0, np.array([1, 2, 2, 4])))
    assert [(f.index, f.time) for f in found] == [(1, 0.3), (2, 0.9), (2, 0.9), (2, 0.9)]


def test_clips_of_a_film_of_30_frames_a_second_are_of_25(tmp_path: Path) -> None:
    rows = features(tmp_path, greys(tmp_path / "a.mp4", 48, rate=30))  # 1.6 s: 40 ticks
    assert rows["feature"].ravel().tolist() == screen([Fraction(i, 30) for i in range(48)], 25, 40)
    np.testing.assert_allclose(rows["start"], np.arange(10) * 4 / 25, atol=1e-6)
    np.testing.assert_allclose(rows["end"], np.arange(1, 11) * 4 / 25, atol=1e-6)


def test_a_slower_film_repeats_frames(tmp_path: Path) -> None:
    rows = features(tmp_path, greys(tmp_path / "a.mp4", 20, rate=10))  # 2 s: 50 ticks, 12 clips and 2 over
    assert rows["feature"].ravel().tolist() == screen([Fraction(i, 10) for i in range(20)], 25, 50)[1:-1]


def test_a_film_of_uneven_frames_is_resampled_by_its_times(tmp_path: Path) -> None:
    gaps = np.random.default_rng(0).integers(10, 160, 30)
    times = np.concatenate([[0], np.cumsum(gaps)])
    path = greys(tmp_path / "a.mkv", 31, times=times)
    rows = features(tmp_path, path, remainder="end")
    expected = screen([Fraction(int(t), 1000) for t in times], 25, rows["feature"].size)
    assert rows["feature"].ravel().tolist() == expected
    assert -0.5 / 25 <= probe(path).duration - rows["end"][-1] < 4 / 25


@pytest.mark.parametrize(("remainder", "first"), [("both", 1), ("end", 0)])
def test_what_fills_no_clip_is_left_out_where_one_says(remainder: str, first: int, tmp_path: Path) -> None:
    rows = features(tmp_path, greys(tmp_path / "a.mp4", 43), remainder=remainder)  # 10 clips and 3 frames
    assert rows["feature"].ravel().tolist() == list(range(first, first + 40))
    np.testing.assert_allclose(rows["start"], (first + 4 * np.arange(10)) / 25, atol=1e-6)


@pytest.mark.parametrize("fps", [25, 0])
def test_a_film_of_less_than_a_clip_is_one_clip_that_ends_with_the_film(fps: float, tmp_path: Path) -> None:
    rows = features(tmp_path, greys(tmp_path / "a.mp4", 3), fps=fps)
    assert rows["feature"].tolist() == [[0, 1, 2, 2]]
    assert (rows["start"][0], rows["end"][0]) == pytest.approx((0, 3 / 25))


def test_the_last_frame_is_shown_as_long_as_the_others_where_the_file_does_not_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = greys(tmp_path / "a.mp4", 24)
    info = probe(path)
    monkeypatch.setattr(stage, "probe", lambda path: replace(info, duration=23 / 25))
    assert features(tmp_path, path)["feature"].ravel().tolist() == list(range(24))


def test_a_film_of_one_frame_is_one_clip(tmp_path: Path) -> None:
    assert features(tmp_path, greys(tmp_path / "a.mp4", 1))["feature"].tolist() == [[0, 0, 0, 0]]


def test_at_rate_0_every_frame_is_taken_with_its_own_time(tmp_path: Path) -> None:
    times = np.concatenate([[0], np.cumsum(np.random.default_rng(0).integers(10, 160, 15))])
    rows = features(tmp_path, greys(tmp_path / "a.mkv", 16, times=times), fps=0)
    assert rows["feature"].ravel().tolist() == list(range(16))
    np.testing.assert_allclose(rows["start"], times[::4] / 1000, atol=1e-6)
    assert (rows["end"] > times[3::4] / 1000).all()


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (48, [[0, 4, 8, 12], [16, 20, 24, 28], [32, 36, 40, 44]]),
        (18, [[0, 1, 3, 4], [6, 7, 9, 10], [12, 13, 15, 16]]),
        (6, [[0, 0, 1, 1], [2, 2, 3, 3], [4, 4, 5, 5]]),
    ],
)
def test_a_number_of_clips_is_spread_over_the_whole_film(frames: int, expected: list, tmp_path: Path) -> None:
    """As LOGO's I3D features: 48 clips of 16 frames, whatever the length."""
    rows = features(tmp_path, greys(tmp_path / "a.mp4", frames), clips=3)
    assert rows["feature"].tolist() == expected
    thirds = np.arange(4) * frames / 75
    np.testing.assert_allclose(rows["start"], thirds[:-1], atol=1e-6)
    np.testing.assert_allclose(rows["end"], thirds[1:], atol=0.021)


def test_the_length_of_a_clip_is_the_backbones_unless_told(tmp_path: Path) -> None:
    path = greys(tmp_path / "a.mp4", 24)
    assert features(tmp_path, path, encoder={"name": "greys", "frames": 6})["feature"].shape == (4, 6)
    assert features(tmp_path, path, encoder={"name": "greys", "frames": 6}, length=8)["feature"].shape == (3, 8)


def test_only_larger_frames_are_shrunk(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 4, size=(48, 64))
    cut = Cut(25, 4)
    for short_side, size in ((None, (48, 64)), (24, (24, 32)), (48, (48, 64)), (100, (48, 64))):
        part = read_clips(Video("a", path), cut=cut, short_side=short_side, batch=1, decoder="pyav")
        assert next(part)[0].shape == (1, 4, *size, 3)


# The stage


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Films of several lengths, one that is cut short, one that is lost."""
    folder = tmp_path_factory.mktemp("shard")
    films = {f"film{n}": greys(folder / f"{n}.mp4", n) for n in (3, 21, 50)}
    whole = greys(folder / "whole.mkv", 50, options={"g": "5"})
    (folder / "cut.mkv").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    return manifest(folder, **films, cut=folder / "cut.mkv", lost=folder / "lost.mp4")


def test_batches_and_workers_change_no_byte(shard: Path, tmp_path: Path) -> None:
    for name, options in {"1": {"batch": 1}, "8": {"batch": 8}, "w": {"batch": 3, "workers": 2}}.items():
        clip_features(shard, tmp_path / f"{name}.h5", encoder="greys", **options)
    assert len({(tmp_path / f"{name}.h5").read_bytes() for name in "18w"}) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_bad_films_are_recorded_and_the_others_go_on(workers: int, shard: Path, tmp_path: Path) -> None:
    encoder = {"name": "greys", "fails_at": 40}  # only the longest film has so many frames
    clip_features(shard, tmp_path / "f.h5", encoder=encoder, batch=2, workers=workers)
    with Artifact(tmp_path / "f.h5", "clip_features") as found:
        assert found.ids == ["film21", "film3"] and found.model == "greys@1"
        assert found.video("film21")["feature"].shape == (5, 4)
        reasons = {"cut": "ends after|breaks off", "lost": "there is no video", "film50": "holds NaN"}
        assert found.failures.keys() == reasons.keys()
        for name, words in reasons.items():
            with pytest.raises(ChoreoError, match=words):
                raise ChoreoError(found.failures[name])


def test_a_killed_job_goes_on_and_gives_the_same_bytes(
    shard: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def counted(video: Video, **options: object):
        opened.append(video.id)
        if len(opened) == 3:
            raise KeyboardInterrupt
        yield from read_clips(video, **options)

    clip_features(shard, tmp_path / "whole.h5", encoder="greys")
    monkeypatch.setattr(stage, "read_clips", counted)
    with pytest.raises(KeyboardInterrupt):
        clip_features(shard, tmp_path / "f.h5", encoder="greys")
    clip_features(shard, tmp_path / "f.h5", encoder="greys", batch=2)
    assert opened == ["cut", "film21", "film3", "cut", "film3", "film50", "lost"]
    assert (tmp_path / "f.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


MEMORY = """
import resource, sys
sys.path[:0] = {paths}
from pathlib import Path
import numpy as np
from pipeline import encoders
from pipeline.features.clip_features import clip_features

class Mean:
    identity, needs_frames, dim, frames = "mean@1", True, 3, 16

    def encode(self, clips):
        return np.stack([clip[::4, ::8, ::8].mean((0, 1, 2)) for clip in clips]).astype(np.float32)

if __name__ == "__main__":
    encoders.BACKBONE["mean"] = "__main__:Mean"
    clip_features(Path(sys.argv[1]), Path(sys.argv[2]), encoder="mean", batch=2, workers=int(sys.argv[3]))
    print(*(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
"""


@pytest.mark.parametrize("workers", [0, 1])
def test_peak_memory_does_not_grow_with_the_length_of_a_video(workers: int, tmp_path: Path) -> None:
    """1,800 frames more are 414 MB of pixels; the peak of the job and of its worker moves by less than a tenth."""
    script = tmp_path / "job.py"
    script.write_text(MEMORY.format(paths=[str(Path(stage.__file__).parents[2])]))
    pictures = [np.full((240, 320, 3), level, np.uint8) for level in (0, 60, 120, 180)]
    peaks = []
    for frames in (200, 2000):
        path = film(tmp_path / f"{frames}.mp4", pictures * (frames // 4), options={"preset": "ultrafast"})
        arguments = [manifest(tmp_path, film=path), tmp_path / f"{frames}.h5", workers]
        job = subprocess.run(
            [sys.executable, script, *map(str, arguments)], capture_output=True, text=True, check=False
        )
        assert job.returncode == 0, job.stderr
        with Artifact(tmp_path / f"{frames}.h5", "clip_features") as found:
            assert len(found["feature"]) == frames // 16
        peaks.append([int(kilobytes) / 1000 for kilobytes in job.stdout.split()])
    growth = np.diff(peaks, axis=0)[0]
    assert (growth < 40).all(), f"MB of the job and its worker at 200 and 2000 frames: {peaks}"


# Backbones of other kinds


def test_a_graph_of_clips_and_videomae_take_clips_of_16_frames(tmp_path: Path) -> None:
    from transformers import VideoMAEConfig, VideoMAEForVideoClassification, VideoMAEImageProcessor

    config = VideoMAEConfig(
        image_size=32, patch_size=16, num_frames=16, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16,
    )  # fmt: skip
    VideoMAEForVideoClassification(config).save_pretrained(tmp_path / "mae")
    VideoMAEImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(
        tmp_path / "mae"
    )
    specs = [f"onnx:{clip_graph(tmp_path / 'clips.onnx', frames=16)}", f"videomae:{tmp_path / 'mae'}"]
    path = film(tmp_path / "a.mp4", 40)
    for spec, dim in zip(specs, (6, 16)):
        together = features(tmp_path, path, encoder=spec, batch=8)["feature"]
        alone = features(tmp_path, path, encoder=spec, batch=1)["feature"]
        assert together.shape == (2, dim)
        np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)


def imported(folder: Path, videos: list[Video], **options: object) -> Artifact:
    Manifest(videos).write(folder / "m.csv")
    encoder = {"name": "import", "pattern": f"{folder}/{{video_id}}.npy", "source": "swin", "dim": 5}
    clip_features(folder / "m.csv", folder / "f.h5", encoder=encoder, **options)
    return Artifact(folder / "f.h5", "clip_features")


def test_rows_of_a_file_are_the_clips_of_a_video(tmp_path: Path) -> None:
    rows = {name: np.random.default_rng(n).normal(size=(n, 5)).astype("f4") for name, n in (("a", 3), ("b", 7))}
    for name, array in rows.items():
        np.save(tmp_path / f"{name}.npy", array)
    with imported(tmp_path, [Video(i, Path(f"{i}.mp4")) for i in rows], length=32) as found:
        assert found.model == "import:swin"
        for name, array in rows.items():
            video = found.video(name)
            np.testing.assert_array_equal(video["feature"], array)
            np.testing.assert_allclose(video["start"], np.arange(len(array)) * 32 / 25, rtol=1e-6)
            np.testing.assert_allclose(video["end"] - video["start"], 32 / 25, rtol=1e-5)


@pytest.mark.parametrize("options", [{}, {"remainder": "end"}, {"clips": 5}, {"fps": 0}, {"fps": 12.5}])
def test_clips_from_a_file_are_when_this_stage_would_have_cut_them(options: dict, tmp_path: Path) -> None:
    path = greys(tmp_path / "a.mp4", 50)
    made = features(tmp_path, path, **options)
    np.save(tmp_path / "film.npy", np.ones((len(made["start"]), 5)))
    info = probe(path)
    row = Video("film", path, duration=info.duration, frames=info.frames, fps=info.fps)
    with imported(tmp_path, [row], length=4, **options) as found:
        half_a_tick = 0.5 / (options.get("fps", 25) or 25) + 1e-6
        for edge in ("start", "end"):
            np.testing.assert_allclose(found.video("film")[edge], made[edge], atol=half_a_tick)


BAD = {
    "nan": np.full((3, 5), np.nan),
    "infinite": np.full((3, 5), np.inf),
    "other": np.ones((3, 6)),
    "none": np.ones((0, 5)),
    "deep": np.ones((3, 5, 2)),
}


def test_bad_files_are_recorded_by_the_name_of_their_video(tmp_path: Path) -> None:
    for name, array in {**BAD, "good": np.ones((3, 5))}.items():
        np.save(tmp_path / f"{name}.npy", array)
    names = [*BAD, "good", "absent"]
    with imported(tmp_path, [Video(i, Path(f"{i}.mp4")) for i in names], length=16) as found:
        assert found.ids == ["good"] and set(found.failures) == {*BAD, "absent"}
        assert all(f"'{name}'" in reason for name, reason in found.failures.items())
        assert "(T,5) of finite numbers" in found.failures["other"]


def test_without_a_frame_rate_anywhere_the_times_of_clips_are_not_known() -> None:
    with pytest.raises(VideoError, match="'a' begin is not known"):
        Cut(0, 16).spans(3, Video("a", Path("a.mp4")))


# What is asked for


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"remainder": "start"}, "no remainder 'start'"),
        ({"fps": -1}, "fps is -1"),
        ({"length": -4}, "length -4"),
        ({"clips": 0}, "clips 0"),
        ({"batch": 0}, "batch 0"),
        ({"short_side": 0}, "short_side is 0"),
        ({"encoder": {"name": "import", "pattern": "{video_id}.npy"}}, "set `length`"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict, words: str, tmp_path: Path) -> None:
    Manifest([]).write(tmp_path / "m.csv")
    with pytest.raises(ChoreoError, match=words):
        clip_features(tmp_path / "m.csv", tmp_path / "f.h5", **{"encoder": "greys", **options})


def test_the_options_that_decide_are_recorded_and_start_anew(tmp_path: Path) -> None:
    path = greys(tmp_path / "a.mp4", 24)
    features(tmp_path, path, fps=12.5, remainder="end")
    with Artifact(tmp_path / "f.h5", "clip_features") as found:
        assert found.params == {
            "encoder": "greys", "fps": 12.5, "length": 4, "clips": None, "remainder": "end", "short_side": None,
            "decoder": "pyav",
        }  # fmt: skip


def test_every_option_can_be_given_on_the_command_line() -> None:
    given = ["--manifest", "m.csv", "--out", "f.h5", "--fps", "0", "--length", "none", "--clips", "48"]
    options = cli.parser("clip_features", clip_features).parse_args([*given, "--short-side", "256"])
    assert (options.fps, options.length, options.clips, options.short_side) == (0.0, None, 48, 256)
