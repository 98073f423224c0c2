"""The stage function of the theatre: a cast on disk, as videos, their list and their truth."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from csv import writer
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from shutil import rmtree

import av
import cv2
import numpy as np
from numpy import ndarray
from tqdm import tqdm

from pipeline.artifacts import create
from pipeline.digest import source_digest
from pipeline.errors import ChoreoError
from pipeline.theatre import actions, stage
from pipeline.theatre.motions import PRIMITIVES
from pipeline.theatre.props import OBJECTS
from pipeline.theatre.scenery import SCENES
from pipeline.theatre.stage import Script, Truth
from pipeline.writing import replacing

ACTS = {"actions": actions.cast}


def theatre(out: Path, *, act: str = "actions", videos: int = 432, seed: int = 0, workers: int = 1) -> None:
    """Perform an act; writes `videos/ID.mp4`, `index.csv` (id, path, split, labels, group) and `annotations.h5`.

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
    scripts = {script.id: script for script in ACTS[act](seed, videos)}
    digest = source_digest("theatre.render")
    _prepare(out / "videos", mark=f"{act} {seed} {digest}\n")
    options = {"act": act, "videos": videos, "seed": seed}
    with create(out / "annotations.h5", "annotations", ids=list(scripts), stage=digest, params=options) as artifact:
        artifact.share(primitives=PRIMITIVES, object_names=OBJECTS, scene_names=SCENES)
        todo = [scripts[video_id] for video_id in artifact.pending()]
        with tqdm(total=len(scripts), initial=len(scripts) - len(todo), unit="video", mininterval=2) as bar:
            for script, truth in _rendered(todo, out / "videos", workers):
                artifact.add(script.id, **annotations(truth))
                bar.update()
    _list(scripts.values(), out)


def annotations(truth: Truth) -> dict[str, ndarray]:
    """A truth in the terms of the artifact of that name."""
    return {
        "primitive": truth.primitive,
        "joints": truth.joints,
        "visible": truth.visible,
        "objects": np.isin(OBJECTS, truth.objects),
        "scene": np.array(SCENES.index(truth.scene)),
    }


def render(script: Script, folder: Path) -> Truth:
    """Write one video, unless it is there, and return its truth. A file has its name only once it is complete."""
    path = folder / f"{script.id}.mp4"
    if path.exists():
        return stage.truth(script)
    performance = stage.perform(script)
    aside = path.with_suffix(".aside")
    write_video(aside, performance.frames, performance.fps)
    aside.replace(path)
    return performance


def write_video(path: Path, frames: ndarray, fps: int) -> None:
    """Frames (T, H, W, 3) uint8 RGB as H.264 in MP4; one thread, so that the bytes do not depend on the cores."""
    with av.open(str(path), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=fps, options={"crf": "18", "preset": "veryfast", "threads": "1"})
        video.height, video.width = frames.shape[1:3]
        video.pix_fmt = "yuv420p"
        for pixels in frames:
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode())


def _prepare(folder: Path, mark: str) -> None:
    """An empty folder, or the one that an earlier run of the same act, seed and source has left."""
    made_by = folder / "made_by.txt"
    if not made_by.exists() or made_by.read_text() != mark:
        rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        made_by.write_text(mark)


def _rendered(scripts: list[Script], folder: Path, workers: int) -> Iterator[tuple[Script, Truth]]:
    if workers < 2:
        yield from ((script, render(script, folder)) for script in scripts)
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        yield from zip(scripts, pool.map(partial(render, folder=folder), scripts, chunksize=4), strict=True)


def _list(scripts: list[Script], out: Path) -> None:
    """The list of the videos; it appears last and at once, and says that everything is there."""
    with replacing(out / "index.csv") as file:
        rows = writer(file, lineterminator="\n")
        rows.writerow(["id", "path", "split", "labels", "group"])
        rows.writerows([s.id, f"videos/{s.id}.mp4", s.split, s.label, s.group] for s in scripts)
