"""Poses made elsewhere: the keypoint files of common tools, read instead of running a model.

NAME.npy, NAME.npz  one person in T frames: (T,J,2) x y; (T,J,3) x y confidence; (T,J,4) x y z confidence;
                    (T,J,5) x y z visibility presence. An .npz holds one array, or one for each video under its id.
NAME/*.json         OpenPose, a file for each frame: people[].pose_keypoints_2d.
NAME.json           a list of frames, each a list of people {keypoints, scores or keypoint_scores}: the results of
                    ViTPose in transformers. Also MMPose's predictions: each frame {instances: people}, as they are
                    or under instance_info.
NAME.mat            the labels of Penn Action: x, y and visibility, (T,13) each.

The skeleton is told by the number of joints: 13 Penn Action, 15 J-HMDB, 17 COCO, 18 and 25 OpenPose, 33 BlazePose. A
joint that a file gives as NaN, or at (0, 0) without confidence, was not found, and one that its skeleton lacks is not
there: both are NaN with confidence 0. A person without any joint is nobody.
"""

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import matlab
from pipeline.digest import file_digest
from pipeline.encoders.pose import Clip, Poses
from pipeline.encoders.pose.joints import SKELETONS, to_coco, told
from pipeline.encoders.pose.tracking import choose
from pipeline.errors import ChoreoError, VideoError
from pipeline.video import probe

COLUMNS = {2: None, 3: 2, 4: 3, 5: 3}  # columns of a joint -> the one that holds its confidence

HIDDEN = 0.5  # confidence of a joint that people marked although something hides it

Frame = np.ndarray  # everybody in one frame: (P,J,3), x y confidence, NaN where missing


class Imported:
    """Poses from files.

    Args:
        path: pattern of the files: `poses/{video_id}.npy`; without {video_id}, one .npz that holds every video.
        skeleton: coco17, openpose18, openpose25, blazepose33, penn13 or jhmdb15; told from the number of joints when
            empty.
        normalised: coordinates are shares of the frame's width and height, not pixels.
        tracking: iou or largest: how to choose where a frame holds several people.
    """

    needs_frames = False

    def __init__(self, path: str, skeleton: str = "", normalised: bool = False, tracking: str = "iou") -> None:
        if skeleton and skeleton not in SKELETONS:
            raise ChoreoError(f"skeleton: {skeleton!r} is not known", "", f"known skeletons: {', '.join(SKELETONS)}")
        self.path, self.skeleton, self.normalised, self.tracking = str(path), skeleton, normalised, tracking
        self.identity = f"import:{self.path}"
        if "{video_id}" not in self.path and Path(self.path).is_file():
            self.identity = f"import:{Path(self.path).stem}@{file_digest(Path(self.path))[:12]}"

    def encode(self, clip: Clip) -> Poses:
        """The poses that the video's file holds for the clip.

        Raises:
            VideoError: the video has no file, or the file ends before the clip or is of no known form.
        """
        frames = self._window(clip, _read(self.path, clip.video_id))
        people = [_coco(frame, self._skeleton(frame, clip.video_id)) for frame in frames]
        if self.normalised:
            info = probe(clip.path)
            people = [frame * np.array([info.width, info.height, 1]) for frame in people]
        people = [frame[np.isfinite(frame[..., 0]).any(axis=1)] for frame in people]
        boxes = [_boxes(frame) for frame in people]
        alone = all(len(frame) <= 1 for frame in people)  # a file of one person leaves nothing to choose
        scores = [frame[..., 2].mean(axis=1) for frame in people]
        poses = Poses.nobody(clip.length)
        for t, i in choose(boxes, scores, "largest" if alone else self.tracking).items():
            poses.joints[t], poses.confidence[t], poses.box[t] = people[t][i, :, :2], people[t][i, :, 2], boxes[t][i]
        return poses

    def _window(self, clip: Clip, frames: tuple[Frame, ...]) -> list[Frame]:
        """The clip's part of a video; a video shorter than a clip repeats its last frame."""
        if not frames or (clip.start > 0 and clip.start + clip.length > len(frames)):
            raise VideoError(
                f"video {clip.video_id!r}: its poses end after {len(frames)} frames, "
                f"the clip goes from {clip.start} to {clip.start + clip.length - 1}",
                "the poses were made from another version of the video, or at another frame rate",
                "make them again, one for each frame",
            )
        return [frames[min(clip.start + t, len(frames) - 1)] for t in range(clip.length)]

    def _skeleton(self, frame: Frame, video_id: str) -> str:
        if not len(frame):
            return "coco17"
        skeleton = self.skeleton or told(frame.shape[1])
        if not skeleton or frame.shape[1] < len(SKELETONS[skeleton]):
            raise VideoError(
                f"video {video_id!r}: its poses have {frame.shape[1]} joints",
                f"they are no {skeleton}" if skeleton else "they were made by a tool that is not known here",
                f"convert them to one of: {', '.join(SKELETONS)}",
            )
        return skeleton


def _coco(frame: Frame, skeleton: str) -> Frame:
    """(P,J,3) of any skeleton -> (P,17,3); confidence within 0-1, and 0 for a joint that was not found."""
    if not len(frame):
        return np.zeros((0, len(SKELETONS["coco17"]), 3))
    people = to_coco(frame.astype(float), skeleton)
    lost = ~np.isfinite(people).all(axis=-1) | (people == 0).all(axis=-1)
    people[..., 2] = people[..., 2].clip(0, 1)
    people[lost] = np.nan, np.nan, 0
    return people


def _boxes(people: np.ndarray) -> np.ndarray:
    """The box (P,4) around the joints of each person."""
    if not len(people):
        return np.zeros((0, 4))
    return np.concatenate([np.nanmin(people[..., :2], axis=1), np.nanmax(people[..., :2], axis=1)], axis=1)


@lru_cache(maxsize=8)  # the clips of a video come one after another
def _read(pattern: str, video_id: str) -> tuple[Frame, ...]:
    """Everybody in every frame of a video."""
    path = Path(pattern.replace("{video_id}", video_id))
    if not path.exists():
        raise VideoError(
            f"video {video_id!r} has no poses: there is no {path}",
            "they were not made, or the pattern does not fit",
            f"make them, or mend the encoder's path: {pattern}",
        )
    try:
        if path.is_dir():
            return tuple(_openpose(file) for file in sorted(path.glob("*.json"), key=_frame_number))
        if path.suffix == ".json":
            return tuple(_instances(json.loads(path.read_text())))
        if path.suffix == ".mat":
            return tuple(_marked(path)[:, None])
        return tuple(_columns(_array(path, video_id))[:, None])
    except ChoreoError as error:
        raise VideoError(f"video {video_id!r}: {error.what}", error.cause, error.mend) from error
    except (ValueError, KeyError, TypeError, IndexError, EOFError, OSError) as error:
        raise VideoError(
            f"video {video_id!r}: {path} holds no poses that can be read ({error})",
            "it was cut, or is of another form",
            "see `encoders/pose/imported.py` for the forms that are known",
        ) from error


def _array(path: Path, video_id: str) -> np.ndarray:
    """(T,J,C) of an .npy or .npz file; pickled objects are never loaded."""
    data = np.load(path, allow_pickle=False)
    if isinstance(data, np.ndarray):
        return data
    with data:
        if video_id in data:
            return data[video_id]
        if len(data.files) != 1:
            raise KeyError(f"no array {video_id!r} among {len(data.files)}")
        return data[data.files[0]]


def _columns(joints: np.ndarray) -> np.ndarray:
    """(T,J,C) -> (T,J,3), x y confidence; confidence is 1 where a file gives none."""
    if joints.ndim != 3 or joints.shape[2] not in COLUMNS:
        raise ValueError(f"an array {joints.shape}, not (frames, joints, 2 to 5)")
    column = COLUMNS[joints.shape[2]]
    confidence = np.ones(joints.shape[:2]) if column is None else joints[..., column]
    return np.concatenate([joints[..., :2], confidence[..., None]], axis=2)


def _marked(path: Path) -> np.ndarray:
    """Joints (T,13,3) that people marked for Penn Action, whose pixels count from 1; those at (1, 1) they did not mark.

    The publisher scaled some videos after they were marked, so that the (1, 1) of theirs is less.
    """
    x, y, visible = (v.astype(float) for v in matlab.load(path, "x", "y", "visibility").values())
    joints = np.stack([x - 1, y - 1, np.where(visible > 0, 1.0, HIDDEN)], axis=-1)
    joints[(visible == 0) & (x <= 1) & (y <= 1)] = np.nan
    return joints


def _frame_number(file: Path) -> int:
    """The last number of VIDEO_000000000012_keypoints.json."""
    return int(re.findall(r"\d+", file.stem)[-1])


def _openpose(file: Path) -> Frame:
    people = json.loads(file.read_text())["people"]
    return _frame([np.array(person["pose_keypoints_2d"], float).reshape(-1, 3) for person in people])


def _instances(data: Any) -> list[Frame]:
    """Frames of people with `keypoints` (J,2) and their scores (J,)."""
    frames = data["instance_info"] if isinstance(data, dict) else data
    people = [frame["instances"] if isinstance(frame, dict) else frame for frame in frames]
    return [_frame([_person(person) for person in frame]) for frame in people]


def _person(person: dict[str, Any]) -> np.ndarray:
    scores = person["keypoint_scores"] if "keypoint_scores" in person else person["scores"]
    return np.column_stack([np.array(person["keypoints"], float)[:, :2], np.ravel(scores)])


def _frame(people: list[np.ndarray]) -> Frame:
    """People (J,3) in one frame, of whom there may be none."""
    return np.stack(people) if people else np.zeros((0, 0, 3))
