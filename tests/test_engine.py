"""The engine: whatever one video does, its shard goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline import engine
from pipeline import video as reading
from pipeline.artifacts import Artifact, create
from pipeline.engine import process, process_batches, process_streams
from pipeline.errors import StorageError, VideoError
from pipeline.manifest import Video

VIDEOS = [Video(id=f"v{i}", path=Path(f"{i}.mp4")) for i in range(6)]


def decode(video: Video) -> int:
    """A decoder whose videos misbehave as their ids say."""
    if "raises" in video.id:
        raise VideoError(f"{video.path} ends early", "a cut", "fetch it again")
    if "odd" in video.id:
        raise UnicodeDecodeError("utf-8", b"x", 0, 1, "no exception that another process can rebuild from its text")
    if "segfault" in video.id:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "killed" in video.id:
        os.kill(os.getpid(), signal.SIGKILL)
    if "exits" in video.id:
        os._exit(3)
    if "hangs" in video.id:
        time.sleep(60)
    return int(video.path.stem)


def encode(video: Video, payload: int) -> dict:
    if "encoder" in video.id:
        raise RuntimeError("no")
    if "nan" in video.id:
        return {"feature": [np.nan] * 3}
    return {"feature": np.full(3, payload)}


def run(out: Path, videos: list[Video], workers: int, **options: object) -> Artifact:
    with create(out, "features", ids=[v.id for v in videos]) as artifact:
        process(artifact, videos, decode, encode, workers=workers, **options)
    return Artifact(out, "features")


def limit(name: str) -> float:
    """Short only where it is to be reached: on a busy machine a process takes seconds to start."""
    return 5 if name == "hangs" else 60


def bad(name: str) -> Video:
    return Video(id=name, path=Path("9.mp4"))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("name", "reason"),
    [("raises", "ends early"), ("odd", "UnicodeDecodeError"), ("encoder", "RuntimeError: no"), ("nan", "holds NaN")],
)
def test_a_bad_video_never_stops_its_shard(name: str, reason: str, workers: int, tmp_path: Path) -> None:
    with run(tmp_path / "a.h5", [*VIDEOS[:2], bad(name), *VIDEOS[2:]], workers) as found:
        assert found.ids == [v.id for v in VIDEOS]
        assert found["feature"][:, 0].tolist() == list(range(6))
        assert list(found.failures) == [name] and reason in found.failures[name]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("segfault", "signal 11"), ("killed", "signal 9"), ("exits", "exit 3"), ("hangs", "more than 5 s")],
)
def test_a_crashed_or_hanging_decoder_costs_its_video_alone(name: str, reason: str, tmp_path: Path) -> None:
    videos = [bad(name), *VIDEOS[:3], bad(f"{name} again"), *VIDEOS[3:]]
    with run(tmp_path / "a.h5", videos, workers=2, time_limit=limit(name)) as found:
        assert found["feature"][:, 0].tolist() == list(range(6))
        assert set(found.failures) == {name, f"{name} again"}
        assert all(reason in text and "Mend:" in text for text in found.failures.values())


def test_workers_change_no_byte(tmp_path: Path) -> None:
    videos = [*VIDEOS, bad("raises")]
    for workers in (0, 1, 3):
        run(tmp_path / f"{workers}.h5", videos, workers).__exit__()
    assert len({(tmp_path / f"{w}.h5").read_bytes() for w in (0, 1, 3)}) == 1


def threads(video: Video) -> int:
    """Threads that this process lets a decoder and OpenCV have, as one number."""
    return 100 * reading._threads + cv2.getNumThreads()


def test_a_worker_takes_one_thread_because_others_decode_beside_it(tmp_path: Path) -> None:
    seen = []
    with create(tmp_path / "a.h5", "features", ids=["v0"]) as artifact:

        def note(video: Video, payload: int) -> dict:
            seen.append(payload)
            return {"feature": np.zeros(3)}

        process(artifact, VIDEOS[:1], threads, note, workers=1)
    assert seen == [101]
    assert reading._threads == 0, "a process of its own decodes with as many as suit the machine"


def test_only_what_is_missing_is_decoded_again(tmp_path: Path) -> None:
    seen: list[str] = []

    def counted(video: Video) -> int:
        seen.append(video.id)
        return decode(video)

    def interrupted(video: Video, payload: int) -> dict:
        if len(seen) == 4:
            raise KeyboardInterrupt
        return encode(video, payload)

    ids = [v.id for v in VIDEOS]
    with pytest.raises(KeyboardInterrupt), create(tmp_path / "a.h5", "features", ids=ids) as artifact:
        process(artifact, VIDEOS, counted, interrupted)
    assert seen == ids[:4]
    with create(tmp_path / "a.h5", "features", ids=ids) as artifact:
        process(artifact, VIDEOS, counted, encode)
    assert seen == ids[:4] + ids[3:]
    run(tmp_path / "b.h5", VIDEOS, 0).__exit__()
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_a_full_disk_stops_the_job_and_blames_no_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StorageError), create(tmp_path / "a.h5", "features", ids=["v0", "v1"]) as artifact:

        def full(*_: object, **__: object) -> None:
            raise StorageError("the disk is full")

        monkeypatch.setattr(artifact, "add", full)
        process(artifact, VIDEOS[:2], decode, encode)
    assert not list(tmp_path.rglob("*.failed"))


def test_workers_end_with_the_job_that_was_killed(tmp_path: Path) -> None:
    code = f"""
import os, signal, sys
sys.path[:0] = {[str(Path(__file__).parent), str(Path(engine.__file__).parents[1])]}
from pathlib import Path
import test_engine as t
from pipeline.artifacts import create
from pipeline.engine import _Worker
worker = _Worker(t.parts, t.VIDEOS[0])
worker.link.poll(9)
worker.answer(9)
print(worker.process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    (tmp_path / "job.py").write_text(f"if __name__ == '__main__':\n    exec({code!r})\n")
    job = subprocess.run([sys.executable, str(tmp_path / "job.py")], capture_output=True, text=True, check=False)
    assert job.returncode == -signal.SIGKILL, job.stderr
    worker = Path("/proc", job.stdout.strip())
    for _ in range(50):
        if not worker.exists() or "\nState:\tZ" in (worker / "status").read_text():
            return
        time.sleep(0.1)
    pytest.fail("the worker outlived its job")


# Videos that are encoded together


def mean_of_batch(sizes: list[int], fails: str = ""):
    """An encoder of batches that notes their sizes, and fails on any batch with a certain video."""

    def encode_many(videos: list[Video], payloads: list[int]) -> list[dict]:
        sizes.append(len(videos))
        if any(fails and fails in video.id for video in videos):
            raise RuntimeError("no")
        return [encode(video, payload) for video, payload in zip(videos, payloads, strict=True)]

    return encode_many


def run_batches(out: Path, videos: list[Video], workers: int, together: int, encode_many) -> Artifact:
    with create(out, "features", ids=[v.id for v in videos]) as artifact:
        process_batches(artifact, videos, decode, encode_many, together=together, workers=workers)
    return Artifact(out, "features")


@pytest.mark.parametrize("workers", [0, 2])
def test_videos_together_give_what_they_give_alone(workers: int, tmp_path: Path) -> None:
    videos, sizes = [*VIDEOS, bad("raises")], []
    run_batches(tmp_path / "a.h5", videos, workers, 4, mean_of_batch(sizes)).__exit__()
    run(tmp_path / "b.h5", videos, 0).__exit__()
    assert sizes == [4, 2]  # what could not be decoded fills no place
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_a_video_that_an_encoder_cannot_bear_does_not_take_its_batch_along(tmp_path: Path) -> None:
    sizes: list[int] = []
    with run_batches(
        tmp_path / "a.h5", [*VIDEOS[:2], bad("poison"), *VIDEOS[2:]], 0, 4, mean_of_batch(sizes, "poison")
    ) as found:
        assert found["feature"][:, 0].tolist() == list(range(6))
        assert found.failures == {"poison": "RuntimeError: no"}
    assert sizes == [4, 1, 1, 1, 1, 3]


def test_a_video_of_a_batch_without_an_answer_is_not_lost(tmp_path: Path) -> None:
    with run_batches(tmp_path / "a.h5", VIDEOS[:2], 0, 2, lambda videos, payloads: []) as found:
        assert not found.ids and set(found.failures) == {"v0", "v1"}


def test_the_bar_counts_frames_and_begins_where_an_earlier_job_ended(capsys: pytest.CaptureFixture) -> None:
    videos = [Video(str(n), Path(f"{n}.mp4"), frames=n) for n in (100, 300)]
    with engine.progress(videos, videos[1:]) as finished:
        finished(videos[1])
    text = capsys.readouterr().err
    assert "1/2 videos:  25%" in text and "100/400" in text and "2/2 videos: 100%" in text and "frames/s" in text


# Videos that come in parts

PARTS = 5


def parts(video: Video, folder: Path | None = None) -> Iterator[np.ndarray]:
    """Rows (2,3) with the number of the video and of the part; some videos misbehave in the middle."""
    if "empty" in video.id:
        return
    for part in range(PARTS):
        if part == 2:
            decode(video)
        if folder is not None:
            (folder / f"{video.id}-{part}").touch()
        yield np.full((2, 3), [int(video.path.stem), part, 0])


def row(video: Video, part: np.ndarray) -> dict:
    if "encoder" in video.id and part[0, 1] == 3:
        raise RuntimeError("no")
    return {"feature": part, "start": part[:, 1], "end": part[:, 1] + 1}


def run_streams(out: Path, videos: list[Video], workers: int, cut=parts, **options: object) -> Artifact:
    with create(out, "clip_features", ids=[v.id for v in videos]) as artifact:
        process_streams(artifact, videos, cut, row, workers=workers, **options)
    return Artifact(out, "clip_features")


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_the_parts_of_a_video_are_joined_in_their_order(workers: int, tmp_path: Path) -> None:
    with run_streams(tmp_path / "a.h5", VIDEOS, workers) as found:
        assert found.ids == [v.id for v in VIDEOS] and not found.failures
        for number, video in enumerate(VIDEOS):
            rows = found.video(video.id)
            assert rows["feature"].shape == (2 * PARTS, 3) and set(rows["feature"][:, 0]) == {number}
            assert rows["start"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("raises", "ends early"),
        ("odd", "UnicodeDecodeError"),
        ("encoder", "RuntimeError: no"),
        ("empty", "nothing was decoded"),
        ("raises after its encoder", "ends early"),
    ],
)
def test_a_video_that_fails_in_the_middle_leaves_nothing_behind(
    name: str, reason: str, workers: int, tmp_path: Path
) -> None:
    with run_streams(tmp_path / "a.h5", [*VIDEOS[:2], bad(name), *VIDEOS[2:]], workers) as found:
        assert found.ids == [v.id for v in VIDEOS] and len(found["start"]) == len(VIDEOS) * 2 * PARTS
        assert list(found.failures) == [name] and reason in found.failures[name]


@pytest.mark.parametrize(
    ("name", "reason"), [("segfault", "signal 11"), ("exits", "exit 3"), ("hangs", "more than 5 s")]
)
def test_a_crash_or_a_hang_in_the_middle_costs_its_video_alone(name: str, reason: str, tmp_path: Path) -> None:
    videos = [bad(name), *VIDEOS[:3], bad(f"{name} again"), *VIDEOS[3:]]
    with run_streams(tmp_path / "a.h5", videos, workers=2, time_limit=limit(name)) as found:
        assert found.ids == [v.id for v in VIDEOS] and len(found["start"]) == len(VIDEOS) * 2 * PARTS
        assert set(found.failures) == {name, f"{name} again"}
        assert all(reason in text and "Mend:" in text for text in found.failures.values())


def slow(video: Video) -> Iterator[np.ndarray]:
    """Parts that take longer than the time limit together, but not each."""
    for part in 2 * list(parts(video)):
        time.sleep(0.6)
        yield part


def test_the_time_limit_is_for_a_part_not_for_a_video(tmp_path: Path) -> None:
    with run_streams(tmp_path / "a.h5", VIDEOS[:1], workers=1, cut=slow, time_limit=5) as found:
        assert found.ids == ["v0"] and not found.failures


def large(video: Video, folder: Path) -> Iterator[np.ndarray]:
    """Thirty parts of 8 MB, each of which leaves a trace."""
    for part in range(30):
        (folder / str(part)).touch()
        yield np.full((1_000_000,), float(part))


def test_a_worker_waits_while_nobody_takes_its_parts(tmp_path: Path) -> None:
    """So that memory does not grow: three parts at most are on their way, one sent, one held, one being made."""
    folder, ahead = tmp_path / "made", []
    folder.mkdir()

    def look(video: Video, part: np.ndarray) -> dict:
        if part[0] < 3:
            time.sleep(0.5)
        ahead.append(len(list(folder.iterdir())) - int(part[0]) - 1)
        return {"feature": part[None, :1], "start": [0], "end": [1]}

    with create(tmp_path / "a.h5", "clip_features", ids=["v0"]) as artifact:
        process_streams(artifact, VIDEOS[:1], partial(large, folder=folder), look, workers=1)
    assert len(ahead) == 30 and max(ahead) <= 3


def test_a_stream_goes_on_with_the_videos_that_are_not_finished(tmp_path: Path) -> None:
    folder, ids = tmp_path / "made", [v.id for v in VIDEOS]
    folder.mkdir()

    def interrupted(video: Video, part: np.ndarray) -> dict:
        if video.id == "v3" and part[0, 1] == 2:
            raise KeyboardInterrupt
        return row(video, part)

    with pytest.raises(KeyboardInterrupt), create(tmp_path / "a.h5", "clip_features", ids=ids) as artifact:
        process_streams(artifact, VIDEOS, partial(parts, folder=folder), interrupted)
    for file in folder.iterdir():
        file.unlink()
    with create(tmp_path / "a.h5", "clip_features", ids=ids) as artifact:
        process_streams(artifact, VIDEOS, partial(parts, folder=folder), row)
    assert {file.name.split("-")[0] for file in folder.iterdir()} == {"v3", "v4", "v5"}
    run_streams(tmp_path / "b.h5", VIDEOS, 2).__exit__()
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
