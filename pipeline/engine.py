"""What every slow stage shares: decoding ahead in worker processes, resuming, recording failures, showing progress."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline.artifacts import Writer
from pipeline.errors import ChoreoError, StorageError, VideoError
from pipeline.manifest import Video
from pipeline.video import decoder_threads

Payload = TypeVar("Payload")
Part = TypeVar("Part")
Arrays = dict[str, NDArray]
Answer = tuple[Video, Part | Exception, bool]  # a part of a video, or what went wrong with it; whether it is the last
TIME_LIMIT = 600.0  # s without an answer after which a worker is ended


def process(
    artifact: Writer,
    videos: Sequence[Video],
    decode: Callable[[Video], Payload],
    encode: Callable[[Video, Payload], Arrays],
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
    run(artifact, videos, partial(_whole, decode), partial(_each, encode), 1, workers, time_limit)


def process_batches(
    artifact: Writer,
    videos: Sequence[Video],
    decode: Callable[[Video], Payload],
    encode: Callable[[list[Video], list[Payload]], Iterable[Arrays]],
    *,
    together: int,
    workers: int = 0,
    time_limit: float = TIME_LIMIT,
) -> None:
    """`process` for an encoder that is fastest with the payloads of several videos at once.

    Args:
        artifact, videos, decode, workers, time_limit: as in `process`.
        encode: turns what was read of some videos into the arrays of each. Where it fails, each video is tried alone.
        together: videos that `encode` gets at once; at the end of a shard fewer.

    Raises:
        StorageError: the disk is full or read-only; what is finished stays.
    """
    run(artifact, videos, partial(_whole, decode), encode, together, workers, time_limit)


def process_streams(
    artifact: Writer,
    videos: Sequence[Video],
    decode: Callable[[Video], Iterable[Part]],
    encode: Callable[[Video, Part], Arrays],
    *,
    workers: int = 0,
    time_limit: float = TIME_LIMIT,
) -> None:
    """`process` for videos that are too long to be in memory: they come in parts, one after another.

    The arrays of the parts of a video are joined along their first axis. A worker holds the part it sends and the next
    one, and waits while nobody takes them, so that memory does not grow with the length of a video.

    Args:
        artifact, videos, workers: as in `process`.
        decode: reads one video part by part, at least one.
        encode: turns one part into the rows that it adds to the arrays of the artifact.
        time_limit: seconds a worker may take to decode one part.

    Raises:
        StorageError: the disk is full or read-only; what is finished stays.
    """
    run(artifact, videos, decode, partial(_each, encode), 1, workers, time_limit)


def run(
    artifact: Writer,
    videos: Sequence[Video],
    decode: Callable[[Video], Iterable[Part]],
    encode: Callable[[list[Video], list[Part]], Iterable[Arrays]],
    together: int,
    workers: int,
    time_limit: float,
) -> None:
    """What the three above have in common: videos come in parts, and parts are encoded in batches."""
    pending = set(artifact.pending())
    todo = [v for v in videos if v.id in pending]
    rows: dict[str, list[Arrays]] = defaultdict(list)
    failed: set[str] = set()
    with progress(videos, todo) as finished:
        for answers in batches(decoded(todo, decode, workers, time_limit), together):
            for (video, _, last), found in zip(answers, _encoded(encode, answers, failed), strict=True):
                if video.id not in failed:  # what is left of one that failed is passed over
                    try:
                        if isinstance(found, Exception):
                            raise found
                        rows[video.id].append(found)
                        if last:
                            artifact.add(video.id, **_joined(rows[video.id]))
                    except StorageError:
                        raise
                    except Exception as error:  # whatever one video does, its shard goes on; the reason is counted
                        failed.add(video.id)
                        artifact.fail(video.id, error)
                        tqdm.write(f"'{video.id}' failed: {error}", file=sys.stderr)
                if last:
                    rows.pop(video.id, None)
                    finished(video)


def decoded(
    videos: Sequence[Video], decode: Callable[[Video], Iterable[Part]], workers: int, time_limit: float = TIME_LIMIT
) -> Iterator[Answer]:
    """The parts of videos, in the order in which the workers have them."""
    return _ahead(videos, decode, workers, time_limit) if workers else _here(videos, decode)


@contextmanager
def progress(videos: Sequence[Video], todo: Sequence[Video]) -> Iterator[Callable[[Video], None]]:
    """The bar of a job, in frames, so that the time left is right where some videos are longer than others.

    Args:
        videos: all videos of the job; one of unknown length counts for one frame.
        todo: those that are not finished yet.

    Yields:
        What to call when a video is finished.
    """
    total, left = (sum(max(1, v.frames) for v in some) for some in (videos, todo))
    done = len(videos) - len(todo)
    look = {"unit": " frames", "unit_scale": True, "mininterval": 2, "file": sys.stderr}
    with tqdm(desc=f"{done}/{len(videos)} videos", total=total, initial=total - left, **look) as bar:

        def finished(video: Video) -> None:
            nonlocal done
            done += 1
            bar.set_description_str(f"{done}/{len(videos)} videos", refresh=False)
            bar.update(max(1, video.frames))

        yield finished


def _each(encode: Callable[[Video, Part], Arrays], videos: list[Video], parts: list[Part]) -> Iterator[Arrays]:
    """One part after the other."""
    return (encode(video, part) for video, part in zip(videos, parts, strict=True))


def batches(answers: Iterable[Answer], size: int) -> Iterator[list[Answer]]:
    """Answers in lists with `size` parts each; what went wrong does not count."""
    batch: list[Answer] = []
    for answer in answers:
        batch.append(answer)
        if sum(not isinstance(part, Exception) for _, part, _ in batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _encoded(
    encode: Callable[[list[Video], list[Part]], Iterable[Arrays]], answers: list[Answer], failed: Set[str]
) -> list[Arrays | Exception]:
    """The arrays of each part, or what went wrong with it; parts of videos that failed before are left as they are."""
    found: list[Arrays | Exception] = [part for _, part, _ in answers]
    sound = [i for i, (v, p, _) in enumerate(answers) if v.id not in failed and not isinstance(p, Exception)]
    try:
        arrays = encode([answers[i][0] for i in sound], [answers[i][1] for i in sound]) if sound else []
        for i, one in zip(sound, arrays, strict=True):
            found[i] = one
    except StorageError:
        raise
    except Exception as error:
        for i in sound:  # one of several may be to blame: each is tried alone
            found[i] = error if len(sound) == 1 else _encoded(encode, [answers[i]], failed)[0]
    return found


def _joined(parts: list[Arrays]) -> Arrays:
    return parts[0] if len(parts) == 1 else {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}


def _here(videos: Sequence[Video], decode: Callable[[Video], Iterable[Part]]) -> Iterator[Answer]:
    """The parts of videos, decoded in this process."""
    for video in videos:
        for part, last in _parts(decode, video):
            yield video, part, last


def _ahead(
    videos: Sequence[Video], decode: Callable[[Video], Iterable[Part]], workers: int, time_limit: float
) -> Iterator[Answer]:
    """The same from worker processes, as they come. One that crashes or hangs costs its video and is replaced."""
    todo = list(reversed(videos))
    busy = [_Worker(decode, todo.pop()) for _ in range(min(workers, len(todo)))]
    try:
        while busy:
            patience = min(w.heard for w in busy) + time_limit - time.monotonic()
            wait([w.link for w in busy], timeout=max(0.0, patience))
            for worker in [w for w in busy if w.link.poll() or time.monotonic() - w.heard > time_limit]:
                video, (part, last) = worker.video, worker.answer(time_limit)
                if last and todo and worker.process.is_alive():
                    worker.give(todo.pop())
                elif last:
                    worker.end()
                    busy.remove(worker)
                    busy += [_Worker(decode, todo.pop())] if todo else []
                yield video, part, last
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
        self.video, self.heard = video, time.monotonic()
        with suppress(OSError):  # it just died: its answer will say so
            self.link.send(video)

    def answer(self, time_limit: float) -> tuple[object, bool]:
        """A part of the video, or what went wrong, and whether it is the last; ends a process that did not answer."""
        try:
            if self.link.poll():
                answer = self.link.recv()
                self.heard = time.monotonic()
                return answer
            self.end()
            return VideoError(
                f"{self.video.path} was decoded for more than {time_limit:.0f} s without an answer",
                "it is very long, or damaged so that the decoder hangs",
                "cut it into shorter videos, or take it out of the manifest",
            ), True
        except (EOFError, OSError):
            self.process.join()
            code = self.process.exitcode or 0
            return VideoError(
                f"{self.video.path} ended its decoding process ({f'signal {-code}' if code < 0 else f'exit {code}'})",
                "the file is damaged and crashes the decoder, or memory ran out",
                "try another `decoder`, ask for more memory, or take the video out of the manifest",
            ), True

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.link.close()


def _serve(link: Connection, decode: Callable[[Video], Iterable]) -> None:
    """What a worker does until its link closes."""
    cv2.setNumThreads(1)  # it is one of several: threads of its own would only stand in the way
    decoder_threads(1)
    while True:
        try:
            video = link.recv()
        except EOFError:
            return
        for answer in _parts(decode, video):
            link.send(answer)


def _whole(decode: Callable[[Video], Payload], video: Video) -> Iterator[Payload]:
    """A video in one part."""
    yield decode(video)


def _parts(decode: Callable[[Video], Iterable[Part]], video: Video) -> Iterator[tuple[Part | Exception, bool]]:
    """The parts of a video, or what went wrong, each with whether it is the last."""
    try:
        parts, end = iter(decode(video)), object()
        part = next(parts, end)
        if part is end:
            raise VideoError(f"nothing was decoded of {video.path}")
        while part is not end:
            following = next(parts, end)
            yield part, following is end
            part = following
    except ChoreoError as error:
        yield error, True
    except Exception as error:  # some libraries' exceptions cannot be sent between processes
        yield ChoreoError(f"{type(error).__name__}: {error}"), True
