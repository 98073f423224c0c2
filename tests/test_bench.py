"""The stopwatch: what it measures is the stage, and what it says of a known load is right."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from films import film

from pipeline import bench, encoders, engine
from pipeline.artifacts import create
from pipeline.bench import Measured, Stopwatch, rate, with_section
from pipeline.errors import ChoreoError, VideoError
from pipeline.manifest import Manifest, Video

VIDEOS = [Video(f"v{i}", Path(f"{i}.mp4")) for i in range(6)]


def decode(video: Video, *, seconds: float) -> int:
    time.sleep(seconds)
    return int(video.path.stem)


def watched(tmp_path: Path, decode_s: float, encode_s: float, rounds: int = 1) -> Stopwatch:
    """A stage of known speed: it only sleeps, and a sleeping machine is as fast as any."""
    watch = Stopwatch(lambda rows: 2, rounds)

    def encode(video: Video, number: int) -> dict:
        time.sleep(encode_s)
        return {"feature": np.full(3, number)}

    with watch.in_the_place_of_the_engine(), pytest.raises(Measured):  # noqa: SIM117
        with create(tmp_path / "a.h5", "features", ids=[v.id for v in VIDEOS]) as artifact:
            engine.process(artifact, VIDEOS, partial(decode, seconds=decode_s), encode, workers=1)
    assert not (tmp_path / "a.h5").exists() and engine.run is watch.engine
    return watch


def test_a_slow_model_and_a_slow_decoder_are_told_apart(tmp_path: Path) -> None:
    (decoding, model, whole), *_ = watched(tmp_path, 0.01, 0.1).rates
    assert model == pytest.approx(20, rel=0.3) and whole == pytest.approx(20, rel=0.3) and decoding > 40
    (decoding, model, whole), *_ = watched(tmp_path, 0.1, 0.01).rates
    assert decoding == pytest.approx(20, rel=0.3) and whole == pytest.approx(20, rel=0.3) and model > 40


def test_a_stage_that_decodes_and_encodes_in_turn_would_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The measure of efficiency can fail: an engine that does not decode ahead reaches a half."""
    ahead = engine.decoded
    used = iter([ahead, lambda videos, decode, workers, limit: ahead(videos, decode, 0, limit)])
    monkeypatch.setattr(engine, "decoded", lambda *args: next(used)(*args))
    (decoding, model, whole), *_ = watched(tmp_path, 0.1, 0.1).rates
    assert whole / min(decoding, model) < 0.65


def test_every_round_is_measured(tmp_path: Path) -> None:
    assert len(watched(tmp_path, 0, 0, rounds=3).rates) == 3


def test_the_clock_starts_with_the_first_answers() -> None:
    moments = [(100.0, 5), (100.5, 5), (101.0, 5), (101.5, 5)]
    assert rate(moments, 2) == pytest.approx(10 / 1.0) and rate(moments, 99) == pytest.approx(5 / 0.5)
    with pytest.raises(ChoreoError, match="a single video"):
        rate(moments[:1], 1)


class Network:
    """An encoder of a second's hundredth."""

    identity, needs_frames, dim, frames = "network@1", True, 3, 4

    def encode(self, clips: list[np.ndarray]) -> np.ndarray:
        time.sleep(0.01)
        return np.ones((len(clips), 3), np.float32)

    def images(self, frames: np.ndarray) -> np.ndarray:
        time.sleep(0.01)
        return np.full((len(frames), 4), 0.5, np.float32)


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Short videos of one's own, and the encoder above under the name `network`."""
    for registry in (encoders.IMAGE_TEXT, encoders.BACKBONE):
        monkeypatch.setitem(registry, "network", f"{__name__}:Network")
    rows = [Video(str(i), film(tmp_path / f"{i}.mp4", 12), frames=12, fps=25, duration=0.48) for i in range(4)]
    Manifest(rows).write(tmp_path / "m.csv")
    yield tmp_path / "m.csv"


@pytest.mark.parametrize(("stage", "unit"), [("keyframes", "frames"), ("embeddings", "frames"), ("backbone", "clips")])
def test_a_stage_is_measured_on_videos_of_ones_own(stage: str, unit: str, manifest: Path, tmp_path: Path) -> None:
    encoder = None if stage == "keyframes" else "network"
    printed = bench.bench(stage, encoder=encoder, manifest=manifest, workers=1, videos=3, rounds=1, json=True)
    (found,) = json.loads(printed)
    assert found["stage"] == stage and found["unit"] == unit and found["videos"] == 3
    assert min(found["decoding"], found["model"], found["whole"]) > 0
    assert found["bottleneck"] == ("decoding" if found["decoding"] < found["model"] else "model")
    assert found["efficiency"] == pytest.approx(found["whole"] / min(found["decoding"], found["model"]))
    if stage == "embeddings":
        assert found["model"] < 8 / 0.01  # eight frames a video, a hundredth of a second


def test_clips_are_counted(manifest: Path) -> None:
    options = {"clips": 3, "length": 2, "batch": 1}
    text = bench.bench("clip_features", encoder="network", manifest=manifest, workers=1, rounds=1, options=options)
    assert text.startswith("clip_features with network: 4 videos, 1 workers") and "clips/s" in text
    assert "efficiency" in text and "held up by" in text


def test_a_video_that_cannot_be_read_ends_the_measurement(manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "1.mp4").write_bytes(b"no video")
    with pytest.raises(VideoError, match=r"1\.mp4"):
        bench.bench("keyframes", manifest=manifest, workers=1, rounds=1)


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ChoreoError, match=r"'posee' cannot be measured[\s\S]*keyframes, pose"):
        bench.bench("posee")
    with pytest.raises(ChoreoError, match="at least 1"):
        bench.bench("pose", rounds=0)


def test_an_option_that_the_stage_does_not_have_is_refused(manifest: Path) -> None:
    with pytest.raises(ChoreoError, match=r"'clip' is no option of the stage keyframes[\s\S]*threshold"):
        bench.bench("keyframes", manifest=manifest, options={"clip": 3})


def test_networks_have_random_weights_where_none_are_named(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    assert bench.with_random_weights("torchvision:r3d_18", tmp_path) == {
        "name": "torchvision", "model": "r3d_18", "weights": None,
    }  # fmt: skip
    own = {"name": "i3d", "model": "my.pt"}
    assert bench.with_random_weights(own, tmp_path) == own
    made = bench.with_random_weights("i3d", tmp_path)
    assert encoders.load("backbone", made).dim == 1024
    assert bench.with_random_weights({"name": "network", "x": 1}, tmp_path) == {"name": "network", "x": 1}


def test_the_operations_of_a_network_are_counted(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(10, 20)
    assert bench.operations(lambda: len(layer(torch.ones(3, 10)))) == (3, 2 * 3 * 10 * 20)


def test_the_section_of_a_document_is_written_anew_and_the_others_stay() -> None:
    old = "# Benchmarks\n\n## Stages\n\nold\n\n## Others\n\nkept\n"
    new = with_section(old, "## Stages\n\nnew\n")
    assert new == "# Benchmarks\n\n## Stages\n\nnew\n\n## Others\n\nkept\n"
    assert with_section(new, "## Stages\n\nnew\n") == new
    assert with_section("# Benchmarks\n", "## Stages\n\nnew\n") == "# Benchmarks\n\n## Stages\n\nnew\n"
    last = "# B\n\n## Others\n\nkept\n\n## Stages\n\nold\n"
    assert with_section(last, "## Stages\n\nnew\n") == "# B\n\n## Others\n\nkept\n\n## Stages\n\nnew\n"
