"""A person detector and a pose model, each one ONNX file: YOLOX, MoveNet, RTMPose, and any model with their outputs.

The detector's formats are those of `pipeline.encoders.detector.onnx`; its class 0 is a person.

| pose_format | output for a crop (H,W) of the person, RGB 0-255       |
|-------------|--------------------------------------------------------|
| movenet     | (N,1,17,3), y x score in 0-1                           |
| heatmap     | (N,17,h,w); cell (i,j) stands for pixel (i*H/h, j*W/w) |
| simcc       | (N,17,2*W) and (N,17,2*H)                              |

Size, layout (NHWC or NCHW) and type (uint8 or float) of the inputs are read from the graphs. RTMPose wants
`mean: [123.675, 116.28, 103.53]` and `std: [58.395, 57.12, 57.375]`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.encoders.detector import onnx as detectors
from pipeline.encoders.onnx_graph import Graph, digest
from pipeline.encoders.pose import Clip, Poses, decode
from pipeline.encoders.pose.crops import crop, to_frame, windows
from pipeline.encoders.pose.top_down import top_down
from pipeline.encoders.pose.tracking import Found
from pipeline.errors import ChoreoError

PERSON = 0
POSES = {"movenet": decode.movenet, "heatmap": decode.heatmaps, "simcc": lambda x, y, *size: decode.simcc(x, y)}


class Onnx:
    """Top-down poses from two ONNX files.

    Args:
        detector, pose: the .onnx files.
        detector_format, pose_format: what they put out, see the module.
        score: people below this score are nobody.
        detect_every: run the detector on every so-manieth frame and the last.
        crop_scale: side of the pose model's crop over that of the person's box.
        tracking: iou (one person through the clip) or largest (as published).
        mean, std: of the pose model's input, per channel on 0-255, where it is float.
        batch: frames at a time where the graph's batch axis is free.
        device: auto, cpu or cuda.
        threads: per operator.
    """

    needs_frames = True

    def __init__(
        self,
        detector: Path,
        pose: Path,
        detector_format: str = "yolox",
        pose_format: str = "movenet",
        score: float = 0.25,
        detect_every: int = 1,
        crop_scale: float = 1.25,
        tracking: str = "iou",
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        batch: int = 32,
        device: str = "auto",
        threads: int = 1,
    ) -> None:
        for key, value, known in (("detector", detector_format, detectors.FORMATS), ("pose", pose_format, POSES)):
            if value not in known:
                raise ChoreoError(f"{key}_format: {value!r} is not known", "", f"known formats: {', '.join(known)}")
        self.detector = detectors.Onnx(
            detector, detector_format, score=score, batch=batch, device=device, threads=threads
        )
        self.pose = Graph(pose, mean=mean, std=std, batch=batch, device=device, threads=threads)
        self.pose_format = pose_format
        self.detect_every, self.crop_scale, self.tracking = detect_every, crop_scale, tracking
        self.identity = f"onnx:{self.detector.weights}+{Path(pose).stem}@{digest(pose)}"

    def encode(self, clip: Clip) -> Poses:
        """Poses of one person through the clip."""
        return top_down(clip.frames, self.detect, self.estimate, every=self.detect_every, tracking=self.tracking)

    def detect(self, frames: np.ndarray) -> list[Found]:
        """The people in each frame (N,H,W,3): boxes in pixels of the frame, and scores."""
        return [found.of(PERSON) for found in self.detector.detect(frames)]

    def estimate(self, frames: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Joints (N,17,2) in pixels of the frames and confidence (N,17) of the person in each box (N,4)."""
        width, height = self.pose.width, self.pose.height
        views = windows(boxes, width / height, self.crop_scale)
        images = np.stack([crop(frame, view, width, height) for frame, view in zip(frames, views, strict=True)])
        joints, confidence = POSES[self.pose_format](*self.pose(images), width, height)
        return to_frame(joints, views, width, height), confidence
