"""Penn Action (Zhang, Zhu and Derpanis, ICCV 2013): 15 actions, sports mostly, with everybody's joints in every frame.

    ROOT/labels/0001.mat                 action, split and joints
    ROOT/frames/0001/000001.jpg          the videos, as pictures

The joints are a source of poses too, as the encoder `{name: import, path: ROOT/labels/{video_id}.mat}`. The publisher
does not say how many frames make a second; 25 are taken to.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline import matlab
from pipeline.datasets import inside
from pipeline.datasets.files import lacking, need
from pipeline.errors import ChoreoError
from pipeline.manifest import Video

SPLITS = {1: "train", -1: "test"}  # the publisher's `train`, and ours
EXPECTED = {"train": 1258, "test": 1068, "classes": 15}
MEND = (
    "unpack Penn_Action.tar.gz from dreamdragon.github.io/PennAction there; it holds the folders `frames` and `labels`"
)


def rows(root: str, videos: str = "") -> Iterator[Video]:
    """Videos of the publisher's labels, train and test as published.

    Args:
        root: folder with the folder `labels`.
        videos: folder with a folder of pictures for each video; ROOT/frames when empty.

    Raises:
        ChoreoError: there are no labels, or one lacks its action or split.
    """
    folder = Path(videos) if videos else Path(root) / "frames"
    need(Path(root), ["labels"], MEND)
    found = lists(root)
    if not found:
        raise ChoreoError(f"{Path(root) / 'labels'} holds no .mat files", "the archive was not unpacked whole", MEND)
    for path in found:
        label = matlab.load(path, "action", "train", "nframes")
        action, split, frames = (value.squeeze() for value in label.values())
        if action.shape or split.shape or frames.shape or action.dtype.kind != "U" or split.item() not in SPLITS:
            raise ChoreoError(f"{path}: action {action}, train {split}, nframes {frames}", "it is another file", MEND)
        pictures = inside(folder, path.stem)
        problem = lacking(pictures, int(frames), MEND)
        yield Video(path.stem, pictures, SPLITS[split.item()], (action.item(),), problem=problem)


def lists(root: str, **_: Any) -> list[Path]:
    """The publisher's labels, one file a video."""
    return sorted((Path(root) / "labels").glob("[0-9]*.mat"))
