"""What every slow stage shares: decoding ahead in worker processes, resuming, recording failures, showing progress."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

from numpy.typing import NDArray
from tqdm import tqdm

from pipeline.artifacts import Writer
from pipeline.manifest import Video

Payload = TypeVar("Payload")


def process(
    artifact: Writer,
    videos: Sequence[Video],
    decode: Callable[[Video], Payload],
    encode: Callable[[Video, Payload], dict[str, NDArray]],
    *,
    workers: int = 0,
) -> None:
    """Decode and encode every pending video of a shard; one that fails becomes a row of /failures, the others go on.

    Args:
        artifact: where the arrays go.
        videos: the videos of the shard.
        decode: reads one video; runs in worker processes, so it must be picklable.
        encode: turns what was read into the arrays of the artifact; runs here.
        workers: worker processes that decode ahead; 0 decodes here.
    """
    pending = set(artifact.pending())
    todo = [v for v in videos if v.id in pending]
    with tqdm(total=len(videos), initial=len(videos) - len(todo), unit="video", file=sys.stderr, mininterval=2) as bar:
        for video, payload in _ahead(todo, decode, workers):
            try:
                artifact.add(video.id, **encode(video, payload()))
            except Exception as error:  # whatever one video does, its shard goes on; the reason is recorded and counted
                artifact.fail(video.id, error)
                tqdm.write(f"'{video.id}' failed: {error}", file=sys.stderr)
            bar.update()


def _ahead(
    videos: Sequence[Video], decode: Callable[[Video], Payload], workers: int
) -> Iterator[tuple[Video, Callable[[], Payload]]]:
    """Videos in order, each with a function that returns what was decoded or raises what went wrong."""
    if workers == 0 or len(videos) < 2:
        for video in videos:
            yield video, lambda video=video: decode(video)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        queue: deque[tuple[Video, Future]] = deque()
        for video in videos:
            queue.append((video, _submit(pool, decode, video)))
            if len(queue) > 2 * workers:
                first, future = queue.popleft()
                yield first, future.result
        for first, future in queue:
            yield first, future.result


def _submit(pool: Executor, decode: Callable[[Video], Payload], video: Video) -> Future:
    try:
        return pool.submit(decode, video)
    except RuntimeError as error:  # a decoder took its process with it: the pool is broken
        future: Future = Future()
        future.set_exception(error)
        return future
