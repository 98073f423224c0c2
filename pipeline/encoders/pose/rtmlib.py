"""RTMPose on the people that YOLOX or RTMDet finds, by rtmlib (Jiang, 2023), from ONNX files on this machine.

The files are those that rtmlib's documentation lists: `end2end.onnx` of each archive. rtmlib itself would fetch a file
that is not there; here it must be. One frame goes through at a time, as rtmlib has it: for batches take `onnx`.

| file     | outputs                                                                               |
|----------|---------------------------------------------------------------------------------------|
| detector | (1,K,5), x0 y0 x1 y1 in input px and score, after suppression; a second output (1,K)  |
|          | names the class, without it everything is a person                                    |
|          | (1,K,5+C), raw rows of YOLOX                                                          |
| pose     | (1,17,2*W) and (1,17,2*H), SimCC of COCO-17                                           |
"""

import sys
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import rtmlib

from pipeline.encoders.onnx_graph import digest, session
from pipeline.encoders.pose import JOINTS, Clip, Poses
from pipeline.encoders.pose.top_down import top_down
from pipeline.encoders.pose.tracking import Found
from pipeline.errors import ChoreoError

PERSON = 0
DETECTORS = {"yolox": rtmlib.YOLOX, "rtmdet": rtmlib.RTMDet}
Size = tuple[int, int]


class RtmLib:
    """Top-down poses from two ONNX files.

    Args:
        detector, pose: the .onnx files.
        detector_format: yolox or rtmdet: how the detector wants its frames.
        detector_size, pose_size: width and height of the inputs, for graphs that leave them open.
        score: people below this score are nobody.
        detect_every: run the detector on every so-manieth frame and the last.
        tracking: iou (one person through the clip) or largest (as published).
        device: auto, cpu or cuda.
        threads: per operator.

    Raises:
        ChoreoError: a file is not there, no graph, or of another form.
    """

    needs_frames = True

    def __init__(
        self,
        detector: Path,
        pose: Path,
        detector_format: str = "yolox",
        detector_size: Size | None = None,
        pose_size: Size | None = None,
        score: float = 0.25,
        detect_every: int = 1,
        tracking: str = "iou",
        device: str = "auto",
        threads: int = 1,
    ) -> None:
        if detector_format not in DETECTORS:
            known = ", ".join(DETECTORS)
            raise ChoreoError(f"detector_format: {detector_format!r} is not known", "", f"known formats: {known}")
        make = DETECTORS[detector_format]
        self.detector = _tool(make, detector, detector_size, device, threads, det_mode="multiclass", score_thr=score)
        self.detector.model_input_size = self.detector.model_input_size[::-1]  # height first, unlike RTMPose
        self.pose = _tool(rtmlib.RTMPose, pose, pose_size, device, threads)
        if [output.shape[1] for output in self.pose.session.get_outputs()] != [len(JOINTS)] * 2:
            raise ChoreoError(
                f"{pose} puts out {', '.join(f'{o.name} {o.shape}' for o in self.pose.session.get_outputs())}",
                "it is no SimCC model of COCO's 17 joints",
                "take an RTMPose of 17 joints; other forms have the encoder `onnx`",
            )
        self.score, self.detect_every, self.tracking = score, detect_every, tracking
        self.identity = f"rtmlib:{Path(detector).stem}@{digest(detector)}+{Path(pose).stem}@{digest(pose)}"

    def encode(self, clip: Clip) -> Poses:
        """Poses of one person through the clip."""
        return top_down(clip.frames, self.detect, self.estimate, every=self.detect_every, tracking=self.tracking)

    def detect(self, frames: np.ndarray) -> list[Found]:
        """The people in each frame (N,H,W,3): boxes in pixels of the frame, and scores."""
        limits = np.float32((frames.shape[2], frames.shape[1]) * 2)
        people = (self._people(np.ascontiguousarray(frame[..., ::-1])) for frame in frames)
        return [(boxes.astype(np.float32).clip(0, limits), scores) for boxes, scores in people]

    def _people(self, frame: np.ndarray) -> Found:
        """The people in one BGR frame; all score 1 where rtmlib does not tell."""
        image, ratio = self.detector.preprocess(frame)
        rows, *kinds = self.detector.inference(image)
        if rows.shape[-1] > 5:
            boxes, found = self.detector.postprocess(rows, ratio)
            boxes = boxes.reshape(-1, 4)[found == PERSON]
            return boxes, np.ones(len(boxes), np.float32)
        people = (rows[0, :, 4] > self.score) & ((kinds[0][0] == PERSON) if kinds else True)
        return rows[0, people, :4] / ratio, rows[0, people, 4]

    def estimate(self, frames: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Joints (N,17,2) in pixels of the frames and confidence (N,17) of the person in each box (N,4).

        A joint that the model gives no place (a peak of 0 or less) is NaN.
        """
        pairs = zip(frames, boxes, strict=True)
        found = [self.pose(np.ascontiguousarray(frame[..., ::-1]), [box]) for frame, box in pairs]
        joints, confidence = (np.concatenate(part) for part in zip(*found, strict=True))
        return np.where(confidence[..., None] > 0, joints, np.nan), confidence.clip(0, 1)


def _tool(make: type, file: Path, size: Size | None, device: str, threads: int, **options: object) -> rtmlib.RTMPose:
    """A model of rtmlib on a file that is there, with a session that keeps to its threads."""
    graph = session(file, device, threads)
    wanted = graph.get_inputs()[0].shape
    size = size or tuple(wanted[:1:-1])
    if len(wanted) != 4 or not all(isinstance(side, int) for side in size):
        raise ChoreoError(
            f"{file} takes {wanted}",
            "it leaves its image size open, or is no graph of images (N,3,H,W)",
            "give detector_size or pose_size: [width, height]",
        )
    with redirect_stdout(sys.stderr):  # rtmlib says what it loads
        tool = make(str(file), tuple(size), **options)
    tool.session = graph
    return tool
