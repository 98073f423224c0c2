"""Data sets: from a publisher's files to manifest rows. One file an adapter, one line of registration here."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from pipeline.digest import file_digest
from pipeline.errors import ChoreoError, VideoError
from pipeline.manifest import Manifest, Video, draw_splits
from pipeline.video import probe

# name -> module; each has `rows(**options) -> Iterable[Video]`, and lists only what the publisher's files say.
ADAPTERS = {
    "csv": "pipeline.datasets.table",
    "folder": "pipeline.datasets.folder",
}


def manifest(
    out: Path,
    shards: list[Path],
    *,
    dataset: dict,
    val: float = 0.15,
    test: float = 0.25,
    seed: int = 0,
    threads: int = 4,
) -> None:
    """The videos of a data set with labels, splits and digests, as one table and one table a shard.

    The tables of the shards leave out labels, splits and groups: slow stages do not read them, and need not run again
    when they change.

    Args:
        out: the manifest (CSV) to write.
        shards: one CSV file for each shard, to write.
        dataset: name of an adapter and its options.
        val, test: shares of the videos, where the data set draws no split itself.
        seed: seed of that draw.
        threads: files probed at a time.
    """
    found = list(adapter(dataset)(**{k: v for k, v in dataset.items() if k != "name"}))
    if not found:
        raise ChoreoError(
            f"the data set {dataset} holds no videos", "a wrong folder", "look at the paths in the config"
        )
    Manifest(found)  # ids are unique
    with ThreadPoolExecutor(threads) as pool:
        videos = list(pool.map(_probed, found))
    whole = Manifest(draw_splits(videos, val=val, test=test, seed=seed))
    _check_classes(whole)
    whole.write(out)
    for index, path in enumerate(shards):
        whole.shard(index, len(shards)).write(path)


def module(dataset: dict) -> str:
    """The module of an adapter, as `pipeline.digest.source_digest` takes it."""
    adapter(dataset)
    return ADAPTERS[dataset["name"]].removeprefix("pipeline.")


def adapter(dataset: dict) -> Callable[..., Iterable[Video]]:
    """The adapter of that name.

    Raises:
        ChoreoError: there is none.
    """
    name = dataset.get("name", "")
    if name not in ADAPTERS:
        near = get_close_matches(str(name), ADAPTERS, 1)
        raise ChoreoError(
            f"there is no data set adapter '{name}'",
            f"did you mean '{near[0]}'?" if near else "",
            f"one of {sorted(ADAPTERS)}",
        )
    return importlib.import_module(ADAPTERS[name]).rows


def inside(root: Path, path: str) -> Path:
    """A path below the data set's root.

    Raises:
        ChoreoError: it leads outside.
    """
    whole = root / path
    try:
        outside = not whole.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # a link that leads to itself
        outside = True
    if outside:
        raise ChoreoError(
            f"the path '{path}' leads out of the data set's root {root}",
            "the list was made for another folder",
            "mend the path, or set `dataset.root` to a folder that holds all videos",
        )
    return whole


def _probed(video: Video) -> Video:
    """The row with what its file says; a file that cannot be read keeps its row and gets a problem."""
    try:
        info = probe(video.path)
    except VideoError as error:
        return replace(video, problem=f"{error.what}. {error.mend}" if error.mend else error.what)
    return replace(video, duration=info.duration, frames=info.frames, fps=info.fps, sha256=file_digest(video.path))


def _check_classes(videos: Manifest) -> None:
    train = {label for i in videos.ids("train") for label in videos.by_id[i].labels}
    empty = [label for label in videos.classes if label not in train]
    if empty:
        raise ChoreoError(
            f"no training video shows {', '.join(repr(c) for c in empty[:5])}",
            "the class has too few videos, or none of them can be read",
            "add videos of it, or take its rows out of the list",
        )
