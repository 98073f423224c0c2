"""Data sets: from a publisher's files to manifest rows. One file an adapter, one line of registration here."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline.digest import file_digest
from pipeline.errors import ChoreoError, VideoError
from pipeline.manifest import Manifest, Video, draw_splits
from pipeline.video import digest, probe

# name -> module; each has `rows(**options) -> Iterable[Video]`, and lists only what the publisher's files say. One that
# also says when actions take place has `intervals(**options) -> Iterable[Interval]`, of the same options; one that says
# how well they were done has `scores(**options) -> Iterable[Score]`, and one that says of what an action is made
# `attributes(**options) -> dict[id, dict[attribute, value]]`; one that reads lists of the publisher names them in
# `lists(**options) -> list[Path]`. EXPECTED, where it is there, holds the publisher's numbers by split and of classes;
# the doctor compares them.
ADAPTERS = {
    "kth": "pipeline.datasets.kth",
    "penn_action": "pipeline.datasets.penn_action",
    "haa500": "pipeline.datasets.haa500",
    "ucf101": "pipeline.datasets.ucf101",
    "scuba": "pipeline.datasets.scuba",
    "charades": "pipeline.datasets.charades",
    "sportshhi": "pipeline.datasets.sportshhi",
    "rg": "pipeline.datasets.rg",
    "fisv": "pipeline.datasets.fisv",
    "logo": "pipeline.datasets.logo",
    "mtl_aqa": "pipeline.datasets.mtl_aqa",
    "csv": "pipeline.datasets.table",
    "folder": "pipeline.datasets.folder",
}

FEATURES = ".npy"  # a file of published features stands for its video; nothing of it is decoded


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
    found = listed(dataset)
    with ThreadPoolExecutor(threads) as pool:
        videos = list(pool.map(_probed, found))
    whole = Manifest(draw_splits(videos, val=val, test=test, seed=seed))
    _check_classes(whole)
    whole.write(out)
    for index, path in enumerate(shards):
        whole.shard(index, len(shards)).write(path)


def listed(dataset: dict) -> list[Video]:
    """The videos of a data set as its own files list them; none is opened.

    Raises:
        ChoreoError: there are none, or two have one id.
    """
    found = list(adapter(dataset).rows(**options(dataset)))
    if not found:
        raise ChoreoError(
            f"the data set {dataset} holds no videos", "a wrong folder", "look at the paths in the config"
        )
    Manifest(found)  # ids are unique
    return found


def lists(dataset: dict) -> list[Path]:
    """The publisher's lists that the rows come from, whether they are there or not."""
    own = getattr(adapter(dataset), "lists", None)
    return own(**options(dataset)) if own else []


def module(dataset: dict) -> str:
    """The module of an adapter, as `pipeline.digest.source_digest` takes it."""
    adapter(dataset)
    return ADAPTERS[dataset["name"]].removeprefix("pipeline.")


def adapter(dataset: dict) -> ModuleType:
    """The adapter of that name.

    Raises:
        ChoreoError: there is none.
    """
    name = dataset.get("name", "")
    if name not in ADAPTERS:
        raise _unknown(name, ADAPTERS, "data set adapter")
    return importlib.import_module(ADAPTERS[name])


def options(dataset: dict) -> dict[str, Any]:
    """The options of a data set, as the functions of its adapter take them.

    Raises:
        ChoreoError: the adapter has no such option, or one that it needs is not there.
    """
    given = {key: value for key, value in dataset.items() if key != "name"}
    known = inspect.signature(adapter(dataset).rows).parameters
    for key in given:
        if key not in known:
            raise _unknown(key, known, f"option of the data set adapter '{dataset['name']}'")
    if missing := [key for key, p in known.items() if p.default is p.empty and key not in given]:
        raise ChoreoError(f"the data set adapter '{dataset['name']}' needs `dataset.{missing[0]}`")
    return given


def _unknown(name: object, known: Iterable[str], what: str) -> ChoreoError:
    near = get_close_matches(str(name), list(known), 1)
    return ChoreoError(
        f"there is no {what} '{name}'",
        f"did you mean '{near[0]}'?" if near else "",
        f"one of {sorted(known)}",
    )


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


def named(root: str, pattern: str, video_id: str) -> Path:
    """The file of a video by a pattern such as `videos/{video_id}.mp4`, below the root unless the pattern is absolute.

    Raises:
        ChoreoError: the pattern has no `{video_id}`, or the id leads out of its folder.
    """
    before, found, after = pattern.partition("{video_id}")
    if not found:
        raise ChoreoError(
            f"the pattern '{pattern}' names the same file for every video",
            "it lacks the place of the video's id",
            "write it as in `videos/{video_id}.mp4`",
        )
    folder, slash, start = before.rpartition("/")
    return inside(Path(root) / (folder + slash), f"{start}{video_id}{after}")


def _probed(video: Video) -> Video:
    """The row with what its file says; a file that cannot be read keeps its row and gets a problem."""
    if video.path.suffix == FEATURES:
        if not video.path.is_file():
            return replace(video, problem=f"there is no feature file {video.path}. fetch it, or mend the path")
        return replace(video, sha256=file_digest(video.path))
    try:
        info = probe(video.path)
    except VideoError as error:
        return replace(video, problem=f"{error.what}. {error.mend}" if error.mend else error.what)
    return replace(video, duration=info.duration, frames=info.frames, fps=info.fps, sha256=digest(video.path))


def _check_classes(videos: Manifest) -> None:
    train = {label for i in videos.ids("train") for label in videos.by_id[i].labels}
    empty = [label for label in videos.classes if label not in train]
    if empty:
        raise ChoreoError(
            f"no training video shows {', '.join(repr(c) for c in empty[:5])}",
            "the class has too few videos, or none of them can be read",
            "add videos of it, or take its rows out of the list",
        )
