"""What every slow stage shares: decoding ahead in worker processes, resuming, recording failures, showing progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import TypeVar

from numpy.typing import NDArray
from tqdm import tqdm

from pipeline.artifacts import Writer
from pipeline.errors import ChoreoError, StorageError, VideoError
from pipeline.manifest import Video

Payload = TypeVar("Payload")
TIME_LIMIT = 600.0  # s a worker may take for one video before it is ended


def process(
    artifact: Writer,
    videos: Sequence[Video],
    decode: Callable[[Video], Payload],
    encode: Callable[[Video, Payload], dict[str, NDArray]],
    *,
    workers: int = 0,
    time_limit: float = TIME_LIMIT,
) -> None:
    """Decode and encode every pending video of a shard; one that fails becomes a row of /failures, the others go on.

    Args:
        artifact: where the arrays go.
        videos: the videos of the shard.
        decode: reads one video; runs in worker processes, so it must be picklable.
        encode: turns what was read into the arrays of the artifact; runs here.
        workers: worker processes that decode ahead; 0 decodes here, where nothing guards against a crash or a hang.
        time_limit: seconds a worker may take to decode one video.

    Raises:
        StorageError: the disk is full or read-only; what is finished stays.
    """
    pending = set(artifact.pending())
    todo = [v for v in videos if v.id in pending]
    with tqdm(total=len(videos), initial=len(videos) - len(todo), unit="video", file=sys.stderr, mininterval=2) as bar:
        for video, payload in _ahead(todo, decode, workers, time_limit) if workers else _here(todo, decode):
            try:
                if isinstance(payload, Exception):
                    raise payload
                artifact.add(video.id, **encode(video, payload))
            except StorageError:
                raise
            except Exception as error:  # whatever one video does, its shard goes on; the reason is recorded and counted
                artifact.fail(video.id, error)
                tqdm.write(f"'{video.id}' failed: {error}", file=sys.stderr)
            bar.update()


def _here(videos: Sequence[Video], decode: Callable[[Video], Payload]) -> Iterator[tuple[Video, Payload | Exception]]:
    """Videos with what was decoded, or what went wrong."""
    for video in videos:
        yield video, _attempt(decode, video)


def _ahead(
    videos: Sequence[Video], decode: Callable[[Video], Payload], workers: int, time_limit: float
) -> Iterator[tuple[Video, Payload | Exception]]:
    """The same from worker processes, as they finish. One that crashes or hangs costs its video and is replaced."""
    todo = list(reversed(videos))
    busy = [_Worker(decode, todo.pop()) for _ in range(min(workers, len(todo)))]
    try:
        while busy:
            patience = min(w.started for w in busy) + time_limit - time.monotonic()
            wait([w.link for w in busy], timeout=max(0.0, patience))
            for worker in [w for w in busy if w.link.poll() or time.monotonic() - w.started > time_limit]:
                video, payload = worker.video, worker.answer(time_limit)
                if todo and worker.process.is_alive():
                    worker.give(todo.pop())
                else:
                    worker.end()
                    busy.remove(worker)
                    busy += [_Worker(decode, todo.pop())] if todo else []
                yield video, payload
    finally:
        for worker in busy:
            worker.end()


class _Worker:
    """A process that decodes one video at a time. It ends when this process does: its end of the link closes."""

    def __init__(self, decode: Callable, video: Video) -> None:
        spawn = get_context("spawn")
        self.link, theirs = spawn.Pipe()
        self.process = spawn.Process(target=_serve, args=(theirs, decode), daemon=True)
        self.process.start()
        theirs.close()
        self.give(video)

    def give(self, video: Video) -> None:
        self.video, self.started = video, time.monotonic()
        with suppress(OSError):  # it just died: its answer will say so
            self.link.send(video)

    def answer(self, time_limit: float) -> object:
        """What was decoded, or what went wrong; the process is ended when it did not answer."""
        try:
            if self.link.poll():
                return self.link.recv()
            self.end()
            return VideoError(
                f"{self.video.path} took more than {time_limit:.0f} s to decode",
                "it is very long, or damaged so that the decoder hangs",
                "cut it into shorter videos, or take it out of the manifest",
            )
        except (EOFError, OSError):
            self.process.join()
            code = self.process.exitcode or 0
            return VideoError(
                f"{self.video.path} ended its decoding process ({f'signal {-code}' if code < 0 else f'exit {code}'})",
                "the file is damaged and crashes the decoder, or memory ran out",
                "try another `decoder`, ask for more memory, or take the video out of the manifest",
            )

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.link.close()


def _serve(link: Connection, decode: Callable[[Video], object]) -> None:
    """What a worker does until its link closes."""
    while True:
        try:
            video = link.recv()
        except EOFError:
            return
        link.send(_attempt(decode, video))


def _attempt(decode: Callable[[Video], Payload], video: Video) -> Payload | Exception:
    try:
        return decode(video)
    except ChoreoError as error:
        return error
    except Exception as error:  # some libraries' exceptions cannot be sent between processes
        return ChoreoError(f"{type(error).__name__}: {error}")
