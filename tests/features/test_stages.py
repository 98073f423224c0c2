"""Poses, embeddings and features, with encoders so small that their answers are known."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from films import film

from pipeline import encoders
from pipeline.artifacts import Artifact, validate
from pipeline.encoders.pose import Clip, Poses
from pipeline.errors import ChoreoError
from pipeline.features.backbone import backbone
from pipeline.features.embeddings import embeddings
from pipeline.features.failures import failures
from pipeline.features.keyframes import keyframes
from pipeline.features.pose import pose, stretches
from pipeline.manifest import Manifest, Video
from pipeline.video import probe, read, segments, window

LENGTHS = {"long": 40, "middle": 20, "short": 5}


class Brightness:
    """Answers with the mean brightness of what it is given."""

    identity = "brightness@1"
    needs_frames = True
    dim, frames = 3, 4

    def __init__(self, fails_on: str = "") -> None:
        self.fails_on = fails_on

    def encode(self, given: Clip | list[np.ndarray]) -> Poses | np.ndarray:
        if not isinstance(given, Clip):
            return np.stack([clip.mean((0, 1, 2)) for clip in given]).astype(np.float32)
        if given.video_id == self.fails_on:
            raise RuntimeError("out of memory")
        level = given.frames.mean((1, 2, 3))
        poses = Poses.nobody(len(level))
        poses.joints[:, 0] = level[:, None]
        poses.confidence[:, 0] = 1
        return poses

    def images(self, frames: np.ndarray) -> np.ndarray:
        found = frames.mean((1, 2))
        return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


class Elsewhere:
    """Poses and features that were made elsewhere."""

    identity = "elsewhere@1"
    needs_frames = False
    dim, frames = 2, 4

    def encode(self, given: Clip | list[str]) -> Poses | np.ndarray:
        if isinstance(given, Clip):
            assert given.frames is None
            return Poses.nobody(given.length)
        return np.array([[len(video_id), 1] for video_id in given], np.float32)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("POSE", "IMAGE_TEXT", "BACKBONE"):
        registry = getattr(encoders, kind)
        monkeypatch.setitem(registry, "brightness", f"{__name__}:Brightness")
        monkeypatch.setitem(registry, "elsewhere", f"{__name__}:Elsewhere")
    assert __name__ in sys.modules


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a shard: three sound videos, one that was lost after the manifest, one with a known problem."""
    root = tmp_path_factory.mktemp("shard")
    rows = [Video(i, film(root / f"{i}.mp4", n), frames=n, fps=25) for i, n in LENGTHS.items()]
    rows += [Video("lost", root / "lost.mp4", frames=9), Video("bad", root / "bad.mp4", problem="cut")]
    Manifest(rows).write(root / "m.csv")
    keyframes(root / "m.csv", root / "keyframes.h5")
    return root


@pytest.mark.parametrize("workers", [0, 2])
def test_embeddings_are_those_of_the_middles_of_equal_parts(workers: int, shard: Path, tmp_path: Path) -> None:
    embeddings(shard / "m.csv", tmp_path / "e.h5", encoder="brightness", frames=4, workers=workers)
    with Artifact(tmp_path / "e.h5", "embeddings") as found:
        assert found.ids == list(LENGTHS) and list(found.failures) == ["lost"] and found.model == "brightness@1"
        for name, length in LENGTHS.items():
            chosen = segments(length, 4)
            row = found.video(name)
            assert row["frame"].tolist() == chosen.tolist()
            assert row["embedding"] == pytest.approx(Brightness().images(read(shard / f"{name}.mp4", chosen)[0]))


@pytest.mark.parametrize(
    ("sampling", "choose"), [("segments", lambda n: segments(n, 4)), ("window", lambda n: window(n, 4, 3))]
)
def test_features_are_those_of_the_sampled_frames(sampling: str, choose, shard: Path, tmp_path: Path) -> None:
    backbone(shard / "m.csv", tmp_path / "f.h5", encoder="brightness", sampling=sampling, stride=3)
    with Artifact(tmp_path / "f.h5", "features") as found:
        assert found.ids == list(LENGTHS) and list(found.failures) == ["lost"]
        for name, length in LENGTHS.items():
            wanted = Brightness().encode([read(shard / f"{name}.mp4", choose(length))[0]])[0]
            assert found.video(name)["feature"] == pytest.approx(wanted)


def test_features_made_elsewhere_are_asked_for_by_id(shard: Path, tmp_path: Path) -> None:
    backbone(shard / "m.csv", tmp_path / "f.h5", encoder={"name": "elsewhere"})
    with Artifact(tmp_path / "f.h5", "features") as found:
        assert found.video("middle")["feature"].tolist() == [6, 1]


def test_an_unknown_sampling_is_refused(shard: Path, tmp_path: Path) -> None:
    with pytest.raises(ChoreoError, match="no sampling 'random'"):
        backbone(shard / "m.csv", tmp_path / "f.h5", encoder="brightness", sampling="random")


@pytest.mark.parametrize("workers", [0, 2])
def test_poses_are_those_of_the_frames_around_the_keyframes(workers: int, shard: Path, tmp_path: Path) -> None:
    pose(
        shard / "m.csv", shard / "keyframes.h5", tmp_path / "p.h5", encoder="brightness", clip_length=8, workers=workers
    )
    validate(tmp_path / "p.h5")
    with Artifact(tmp_path / "p.h5", "pose") as found, Artifact(shard / "keyframes.h5", "keyframes") as keys:
        assert found.ids == list(LENGTHS)
        for name, length in LENGTHS.items():
            row = found.video(name)
            middles = keys.video(name)["keyframe"]
            starts = sorted({int(max(0, min(k - 4, length - 8))) for k in middles})
            assert row["start"].tolist() == starts and row["size"].tolist() == [48, 64]
            for start, joints, confidence in zip(starts, row["joints"], row["confidence"]):
                index = [min(i, length - 1) for i in range(start, start + 8)]
                level = read(shard / f"{name}.mp4", index)[0].mean((1, 2, 3))
                assert joints[:, 0, 0] == pytest.approx(level, rel=1e-5)
                assert np.isnan(joints[:, 1:]).all() and not confidence[:, 1:].any()


def test_clips_that_overlap_or_touch_are_looked_at_as_one_stretch() -> None:
    assert stretches([0, 3, 10, 18, 30], 8) == [(0, 26), (30, 8)]
    assert stretches([5], 16) == [(5, 16)]


def test_poses_made_elsewhere_need_no_frames_but_know_the_length(shard: Path, tmp_path: Path) -> None:
    pose(shard / "m.csv", shard / "keyframes.h5", tmp_path / "p.h5", encoder="elsewhere", clip_length=8)
    with Artifact(tmp_path / "p.h5", "pose") as found:
        assert found.ids == list(LENGTHS)
        assert found["joints"].shape[1:] == (8, 17, 2) and np.isnan(found["joints"]).all()
        assert found.video("long")["size"].tolist() == [probe(shard / "long.mp4").height, 64]


class OutOfMemoryError(RuntimeError):
    """Named as PyTorch's."""


class Gpu(Brightness):
    """The same on a GPU that holds `room` frames, or clips; it notes how many came at once."""

    def __init__(self, room: int = 99, batch: int = 16) -> None:
        super().__init__()
        self.batch, self.room, self.came, self.device = batch, room, [], SimpleNamespace(type="cuda")

    def images(self, frames: np.ndarray) -> np.ndarray:
        return np.concatenate([self._held(frames[i : i + self.batch]) for i in range(0, len(frames), self.batch)])

    def _held(self, frames: np.ndarray) -> np.ndarray:
        self.came.append(len(frames))
        if len(frames) > self.room:
            raise OutOfMemoryError("CUDA out of memory")
        return super().images(frames)

    def encode(self, given: list[np.ndarray]) -> np.ndarray:
        self.came.append(len(given))
        return super().encode(given)


@pytest.mark.parametrize("stage", [embeddings, backbone])
def test_on_a_gpu_videos_go_together_with_the_same_numbers(stage, shard: Path, tmp_path: Path, monkeypatch) -> None:
    """Also those of another size, and one that cannot be read takes no place."""
    known = Manifest.read(shard / "m.csv").videos
    odd = Video("odd", film(tmp_path / "odd.mp4", 9, size=(32, 32)), frames=9, fps=25)
    Manifest([*known, odd]).write(tmp_path / "m.csv")
    stage(tmp_path / "m.csv", tmp_path / "alone.h5", encoder="brightness")
    gpu = Gpu()
    monkeypatch.setattr(encoders, "load", lambda *_: gpu)
    stage(tmp_path / "m.csv", tmp_path / "together.h5", encoder="brightness")
    kind, name = ("embeddings", "embedding") if stage is embeddings else ("features", "feature")
    with Artifact(tmp_path / "alone.h5", kind) as alone, Artifact(tmp_path / "together.h5", kind) as found:
        assert found.ids == alone.ids == ["long", "middle", "odd", "short"] and list(found.failures) == ["lost"]
        np.testing.assert_allclose(found[name], alone[name], atol=1e-6)
    assert gpu.came == ([16, 8, 8] if stage is embeddings else [4])


def test_a_gpu_whose_memory_runs_out_gets_less_at_once(shard: Path, tmp_path: Path, monkeypatch) -> None:
    embeddings(shard / "m.csv", tmp_path / "alone.h5", encoder="brightness")
    gpu = Gpu(room=5)
    monkeypatch.setattr(encoders, "load", lambda *_: gpu)
    embeddings(shard / "m.csv", tmp_path / "e.h5", encoder="brightness")
    with Artifact(tmp_path / "alone.h5", "embeddings") as alone, Artifact(tmp_path / "e.h5", "embeddings") as found:
        np.testing.assert_allclose(found["embedding"], alone["embedding"], atol=1e-6)
        assert list(found.failures) == ["lost"]
    assert gpu.batch == 4 and gpu.came[:3] == [16, 8, 4]


def test_an_encoder_that_fails_on_one_video_costs_that_video(shard: Path, tmp_path: Path) -> None:
    encoder = {"name": "brightness", "fails_on": "middle"}
    pose(shard / "m.csv", shard / "keyframes.h5", tmp_path / "p.h5", encoder=encoder, clip_length=8)
    with Artifact(tmp_path / "p.h5", "pose") as found:
        assert found.ids == ["long", "short"] and found.failures == {"middle": "RuntimeError: out of memory"}


# Failures


def test_failures_are_listed_once_with_the_first_stage(shard: Path, tmp_path: Path) -> None:
    embeddings(shard / "m.csv", tmp_path / "e.h5", encoder="brightness")
    stages = [shard / "keyframes.h5", tmp_path / "e.h5"]
    failures(shard / "m.csv", stages, tmp_path / "failures.tsv", max_failed_fraction=0.4)
    header, bad, lost = (tmp_path / "failures.tsv").read_text().splitlines()
    assert header == "id\tstage\treason" and bad == "bad\tmanifest\tcut"
    assert lost.startswith("lost\tkeyframes\tthere is no video") and "Mend:" in lost


def test_too_many_failures_stop_the_run_and_keep_the_table(shard: Path, tmp_path: Path) -> None:
    with pytest.raises(ChoreoError, match=r"2 of 5 videos failed \(40%\)") as caught:
        failures(shard / "m.csv", [shard / "keyframes.h5"], tmp_path / "failures.tsv", max_failed_fraction=0.39)
    table = tmp_path / "failures.too_many.tsv"
    assert str(table) in caught.value.mend and len(table.read_text().splitlines()) == 3
    assert not (tmp_path / "failures.tsv").exists()


def test_a_data_set_without_failures_gives_an_empty_table(tmp_path: Path) -> None:
    Manifest([Video("a", Path("a.mp4"))]).write(tmp_path / "m.csv")
    failures(tmp_path / "m.csv", [], tmp_path / "failures.tsv", max_failed_fraction=0)
    assert (tmp_path / "failures.tsv").read_text() == "id\tstage\treason\n"
