"""A data set's download: counts, missing files, a sample of its videos, and what a run of it will take."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from inspect import signature
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from pipeline import datasets
from pipeline.doctor.table import BAD, NOTE, Row, failed, size, some
from pipeline.doctor.weights import made
from pipeline.errors import ChoreoError, VideoError
from pipeline.manifest import SPLITS, Manifest, Video
from pipeline.video import Source, probe, stream

PLACES = {"root", "videos", "features", "index", "ucf101_root"}  # options that say where things are, not which count
STRETCH = 64  # frames of each sampled video that are decoded
RESULTS = 0.4e6  # bytes of results a video, at most: its scene graphs; poses, embeddings and features take a fourth


@dataclass(frozen=True)
class Look:
    """What one video says of itself.

    Attributes:
        frames, seconds: its length.
        bytes: on disk; those of the whole file where the video is a part of it.
        decoded, took: frames of a stretch, and seconds in which they were decoded.
    """

    frames: int
    seconds: float
    bytes: int
    decoded: int
    took: float


def rows(dataset: dict[str, Any], sample: int) -> Iterator[Row]:
    """Every check of a download.

    Args:
        dataset: name of an adapter and its options.
        sample: videos to probe.
    """
    try:
        absent = [path for path in datasets.lists(dataset) if not path.exists()]
        if absent and all(map(made, absent)):
            yield Row("data set", f"the run makes its lists, as {absent[0]}")
            return
        videos = [_placed(video) for video in datasets.listed(dataset)]
    except (ChoreoError, OSError, UnicodeDecodeError) as error:
        yield failed("data set", error if isinstance(error, ChoreoError) else ChoreoError(str(error)))
        return
    yield from counts(dataset, videos)
    yield from files(dataset, videos)
    there = [video for video in videos if not video.problem and Source.of(video.path).path.exists()]
    chosen = random.Random(0).sample(there, min(max(sample, 0), len(there)))
    if chosen:
        yield from sampled(chosen, len(videos), len({Source.of(v.path).path for v in videos if not v.problem}))


def counts(dataset: dict[str, Any], videos: Sequence[Video]) -> Iterator[Row]:
    """Videos and classes as listed, beside the publisher's numbers; and whether all classes can be learned."""
    classes, found = Manifest(videos).classes, Counter(v.split for v in videos if v.split)
    text = f"{len(videos)} videos"
    text += f" ({', '.join(f'{found[split]} {split}' for split in SPLITS if found[split])})" if found else ""
    text += f", {len(classes)} classes" if classes else ""
    found["classes"] = len(classes)
    expected = published(dataset)
    if odd := [f"{number} {what}" for what, number in expected.items() if found[what] != number]:
        mend = getattr(datasets.adapter(dataset), "MEND", "fetch the lists again")
        yield Row("data set", f"{text}; the publisher has {', '.join(odd)}", BAD, mend)
    else:
        yield Row("data set", f"{text}{', as published' if expected else ''}")
    trained = {label for v in videos if v.split == "train" for label in v.labels}
    if found["train"] and (untrained := sorted(set(classes) - trained)):
        yield Row("classes", f"no training video shows {some(untrained)}", BAD, "take their videos out of the list")


def published(dataset: dict[str, Any]) -> dict[str, int]:
    """The publisher's numbers, by split and of `classes`; empty where options choose other videos than usual."""
    module = datasets.adapter(dataset)
    usual = {key: parameter.default for key, parameter in signature(module.rows).parameters.items()}
    given = {key: value for key, value in datasets.options(dataset).items() if key not in PLACES}
    return getattr(module, "EXPECTED", {}) if all(usual[key] == value for key, value in given.items()) else {}


def files(dataset: dict[str, Any], videos: Sequence[Video]) -> Iterator[Row]:
    """Files that the lists name and that are not there, and videos that the adapter finds not to be whole."""
    module, root = datasets.adapter(dataset), Path(dataset.get("root", ""))
    sources = {video.id: Source.of(video.path).path for video in videos if not video.problem}
    gone = {i: path for i, path in sources.items() if not path.exists()}
    partly = [video for video in videos if video.problem]
    if gone:
        names = [str(p.relative_to(root) if p.is_relative_to(root) else p) for p in sorted(set(gone.values()))]
        elsewhere = [f"`{option}`" for option in ("videos", "features") if option in signature(module.rows).parameters]
        mend = f"put them there{', or say where they are with ' * bool(elsewhere)}{' or '.join(elsewhere)}"
        mend += f"; {module.MEND}" if hasattr(module, "MEND") else ""
        yield Row("files", f"{len(gone)} of {len(videos)} videos are missing: {some(names)}", BAD, mend)
    if partly:
        found = f"{len(partly)} of {len(videos)} videos are not whole: {some([v.problem for v in partly], 1)}"
        yield Row("files", found, BAD, "fetch them again, or take them out of the list")
    if not gone and not partly:
        weight = sum(path.stat().st_size for path in set(sources.values()) if path.is_file())
        yield Row("files", f"all {len(set(sources.values()))} are there{f', {size(weight)}' if weight else ''}")


def sampled(chosen: Sequence[Video], count: int, files: int) -> Iterator[Row]:
    """Some videos, probed and decoded for a stretch; and what all will take by that.

    Args:
        chosen: the sample.
        count, files: of all videos, those that are missing too; a file may hold several.
    """
    broken, looks = [], []
    for video in chosen:
        try:
            if video.path.suffix == datasets.FEATURES:
                _check_features(video.path)
            else:
                looks.append(look(video.path))
        except VideoError as error:
            broken.append(f"'{video.id}': {error.what}")
    found = f"{len(chosen) - len(broken)} of {len(chosen)} can be read"
    if broken:
        mend = "fetch those again, and look at more with --sample; a run lists all that fail and leaves them out"
        yield Row("sample", f"{found}; {some(broken)}", BAD, mend)
    else:
        yield Row("sample", found)
    if looks:
        yield outlook(looks, count, files)


def look(path: Path) -> Look:
    """Probe a video and decode a stretch of it.

    Raises:
        VideoError: it cannot be read.
    """
    info, source = probe(path), Source.of(path).path
    held = sum(p.stat().st_size for p in source.iterdir()) if source.is_dir() else source.stat().st_size
    start = time.perf_counter()
    with closing(stream(path)) as frames:
        decoded = sum(1 for _ in islice(frames, STRETCH))
    return Look(info.frames, info.duration, held, decoded, time.perf_counter() - start)


def outlook(looks: Sequence[Look], count: int, files: int) -> Row:
    """Disk and hours that a data set of so many videos will take, by some of them: rough."""
    frames, seconds = fmean(v.frames for v in looks) * count, fmean(v.seconds for v in looks) * count
    speed = sum(v.decoded for v in looks) / max(sum(v.took for v in looks), 1e-9)
    found = (
        f"roughly, by {len(looks)} of them: {_round(frames)} frames, {_spell(seconds)} of video,"
        f" {size(fmean(v.bytes for v in looks) * files)} on disk; {_spell(frames / speed)} to decode all once in one"
        f" process ({_round(speed)} frames/s here), as every slow stage does, beside the time of its encoder; up to"
        f" {size(RESULTS * count)} of results"
    )
    free = shutil.disk_usage(Path.cwd()).free
    if free < RESULTS * count:
        return Row("to expect", f"{found}; {size(free)} are free", NOTE, "make room, or link results/ to a larger disk")
    return Row("to expect", found)


def _placed(video: Video) -> Video:
    """The row, with a problem where its path names no part of a video."""
    try:
        Source.of(video.path)
    except VideoError as error:
        return replace(video, problem=error.what)
    return video


def _check_features(path: Path) -> None:
    try:
        sound = np.isfinite(np.load(path, allow_pickle=False)).all()
    except (OSError, ValueError, EOFError, TypeError) as error:
        raise VideoError(f"{path} cannot be read ({error})") from error
    if not sound:
        raise VideoError(f"{path} holds values that are no numbers")


def _round(number: float) -> str:
    """Two digits that count: 1.3 million, 840."""
    return f"{number / 1e6:.2g} million" if number >= 1e6 else f"{float(f'{number:.2g}'):.0f}"


def _spell(seconds: float) -> str:
    return (
        f"{seconds / 3600:.1f} h"
        if seconds >= 3600
        else f"{seconds / 60:.0f} min"
        if seconds >= 60
        else "less than 1 min"
    )
