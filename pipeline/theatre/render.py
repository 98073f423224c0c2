"""The stage function of the theatre: an act on disk, as videos, their lists and their truth."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from csv import DictWriter
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from shutil import rmtree
from types import ModuleType
from typing import Any

import av
import cv2
import numpy as np
from numpy import ndarray
from tqdm import tqdm

from pipeline.artifacts import create
from pipeline.digest import source_digest
from pipeline.errors import ChoreoError
from pipeline.theatre import actions, graphs, home, routines, stage
from pipeline.theatre.elements import DIFFICULTY, ELEMENTS
from pipeline.theatre.motions import PRIMITIVES
from pipeline.theatre.props import OBJECTS
from pipeline.theatre.scenery import SCENES
from pipeline.writing import replacing


@dataclass(frozen=True)
class Act:
    """What an act plays and what it writes beside its videos.

    Attributes:
        cast: the scripts of a seed and a number of videos.
        play: the module whose `perform` renders a script, and whose `truth` says what is true of it without frames.
        file, kind: the artifact of its truth.
        shared: arrays that all videos share.
        arrays: a truth in the terms of that kind.
        tables: CSV files, each with the rows of a script; `index.csv` comes last.
    """

    cast: Callable[[int, int], list]
    play: ModuleType
    file: str
    kind: str
    shared: dict[str, tuple[str, ...]]
    arrays: Callable[[Any], dict[str, ndarray]]
    tables: dict[str, Callable[[Any], list[dict[str, str]]]]


def theatre(out: Path, *, act: str = "actions", videos: int = 432, seed: int = 0, workers: int = 1) -> None:
    """Perform an act; writes `videos/ID.mp4`, `index.csv` (id, path, split, labels, group) and the act's truth.

    Args:
        out: folder to write. Videos that are there already are kept if the same act, seed and source made them.
        act: which act.
        videos: how many videos.
        seed: another seed, other performers and videos; the same one, the same bytes.
        workers: processes that render.

    Raises:
        ChoreoError: there is no such act.
    """
    if act not in ACTS:
        raise ChoreoError(f"there is no act '{act}'", "a typo", f"known are {', '.join(ACTS)}")
    chosen = ACTS[act]
    scripts = {script.id: script for script in chosen.cast(seed, videos)}
    digest = source_digest("theatre.render")
    _prepare(out / "videos", mark=f"{act} {seed} {digest}\n")
    options = {"act": act, "videos": videos, "seed": seed}
    with create(out / chosen.file, chosen.kind, ids=list(scripts), stage=digest, params=options) as artifact:
        artifact.share(**chosen.shared)
        todo = [scripts[video_id] for video_id in artifact.pending()]
        with tqdm(total=len(scripts), initial=len(scripts) - len(todo), unit="video", mininterval=2) as bar:
            for script, truth in _rendered(act, todo, out / "videos", workers):
                artifact.add(script.id, **chosen.arrays(truth))
                bar.update()
    for name, rows in chosen.tables.items():
        _list([row for script in scripts.values() for row in rows(script)], out / name)


def annotations(truth: stage.Truth) -> dict[str, ndarray]:
    """A truth of act one in the terms of the artifact `annotations`."""
    return {
        "primitive": truth.primitive,
        "joints": truth.joints,
        "visible": truth.visible,
        "objects": np.isin(OBJECTS, truth.objects),
        "scene": np.array(SCENES.index(truth.scene)),
    }


def graph_annotations(truth: home.Truth) -> dict[str, ndarray]:
    """A truth of act two in the terms of the artifact `graph_annotations`."""
    return {
        "frame": np.arange(len(truth.boxes)),
        "box": truth.boxes,
        "relation": truth.relations,
        "node_class": truth.nodes,
    }


def elements(truth: routines.Truth) -> dict[str, ndarray]:
    """A truth of act three in the terms of the artifact `elements`."""
    turns = [turn for turn in truth.turns if turn.element >= 0]
    performed = np.array([turn.element for turn in turns])
    return {
        "element": performed,
        "start": np.array([turn.start for turn in turns]) / routines.FPS,
        "end": np.array([turn.end for turn in turns]) / routines.FPS,
        "difficulty": DIFFICULTY[performed],
        "execution": np.array([turn.execution for turn in turns]),
    }


def listed(script: stage.Script) -> list[dict[str, str]]:
    """The row of a video of one label in the list."""
    return [_row(script) | {"labels": script.label, "group": script.group}]


def listed_at_home(script: home.Script) -> list[dict[str, str]]:
    """The row of a video of several labels, with its scene."""
    return [_row(script) | {"labels": ";".join(script.labels), "group": script.group, "scene": script.scene}]


def listed_unlabelled(script: routines.Script) -> list[dict[str, str]]:
    """The row of a video that has no label."""
    return [_row(script) | {"labels": "", "group": script.group}]


def judged(script: routines.Script) -> list[dict[str, str]]:
    """The row of a routine's score."""
    return [{"id": script.id, "total": f"{script.total:.4f}"}]


def intervals(script: home.Script) -> list[dict[str, str]]:
    """A row for each occurrence of an action, in seconds."""
    return [
        {
            "id": script.id,
            "action": event.action,
            "start": f"{event.start / stage.FPS:.4f}",
            "end": f"{event.end / stage.FPS:.4f}",
        }
        for event in home.events(script)
    ]


def render(act: str, script: Any, folder: Path) -> Any:
    """Write one video, unless it is there, and return its truth. A file has its name only once it is complete.

    Frames are written as they are performed; what comes back has none.
    """
    play, path = ACTS[act].play, folder / f"{script.id}.mp4"
    if path.exists():
        return play.truth(script)
    performance = play.perform(script)
    aside = path.with_suffix(".aside")
    write_video(aside, performance.frames, performance.fps)
    aside.replace(path)
    return replace(performance, frames=())


def write_video(path: Path, frames: Iterable[ndarray], fps: int) -> None:
    """Frames (H, W, 3) uint8 RGB as H.264 in MP4; one thread, so that the bytes do not depend on the cores.

    Args:
        path: the file.
        frames: one after another, at least one; only one is held at a time.
        fps: of them a second.
    """
    with av.open(str(path), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=fps, options={"crf": "18", "preset": "veryfast", "threads": "1"})
        video.pix_fmt = "yuv420p"
        for index, pixels in enumerate(frames):
            if index == 0:
                video.height, video.width = pixels.shape[:2]
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode())


def _prepare(folder: Path, mark: str) -> None:
    """An empty folder, or the one that an earlier run of the same act, seed and source has left."""
    made_by = folder / "made_by.txt"
    if not made_by.exists() or made_by.read_text() != mark:
        rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        made_by.write_text(mark)


def _rendered(act: str, scripts: list, folder: Path, workers: int) -> Iterator[tuple[Any, Any]]:
    if workers < 2:
        yield from ((script, render(act, script, folder)) for script in scripts)
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        task = partial(render, act, folder=folder)
        yield from zip(scripts, pool.map(task, scripts, chunksize=4), strict=True)


def _row(script: Any) -> dict[str, str]:
    return {"id": script.id, "path": f"videos/{script.id}.mp4", "split": script.split}


def _list(rows: list[dict[str, str]], path: Path) -> None:
    """A table; it appears at once, and the list of the videos last: that one says that everything is there."""
    with replacing(path) as file:
        table = DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


ACTS = {
    "actions": Act(
        cast=actions.cast,
        play=stage,
        file="annotations.h5",
        kind="annotations",
        shared={"primitives": PRIMITIVES, "object_names": OBJECTS, "scene_names": SCENES},
        arrays=annotations,
        tables={"index.csv": listed},
    ),
    "home": Act(
        cast=home.cast,
        play=home,
        file="graphs.h5",
        kind="graph_annotations",
        shared={"class_name": home.NODES, "relation_name": graphs.RELATIONS},
        arrays=graph_annotations,
        tables={"intervals.csv": intervals, "index.csv": listed_at_home},
    ),
    "routines": Act(
        cast=routines.cast,
        play=routines,
        file="elements.h5",
        kind="elements",
        shared={"element_name": tuple(element.name for element in ELEMENTS)},
        arrays=elements,
        tables={"scores.csv": judged, "index.csv": listed_unlabelled},
    ),
}
