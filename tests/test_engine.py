"""The engine: whatever one video does, its shard goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline import engine
from pipeline.artifacts import Artifact, create
from pipeline.engine import process
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
    [("segfault", "signal 11"), ("killed", "signal 9"), ("exits", "exit 3"), ("hangs", "more than 3 s")],
)
def test_a_crashed_or_hanging_decoder_costs_its_video_alone(name: str, reason: str, tmp_path: Path) -> None:
    videos = [bad(name), *VIDEOS[:3], bad(f"{name} again"), *VIDEOS[3:]]
    with run(tmp_path / "a.h5", videos, workers=2, time_limit=3) as found:
        assert found["feature"][:, 0].tolist() == list(range(6))
        assert set(found.failures) == {name, f"{name} again"}
        assert all(reason in text and "Mend:" in text for text in found.failures.values())


def test_workers_change_no_byte(tmp_path: Path) -> None:
    videos = [*VIDEOS, bad("raises")]
    for workers in (0, 1, 3):
        run(tmp_path / f"{workers}.h5", videos, workers).__exit__()
    assert len({(tmp_path / f"{w}.h5").read_bytes() for w in (0, 1, 3)}) == 1


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
worker = _Worker(t.decode, t.VIDEOS[0])
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
