"""Top-down models of MMPose (RTMPose, HRNet, ViTPose, ...) on the people that a detector of MMDetection finds (RTMDet).

Both live in an environment of their own (`requirements-mmpose.txt`, `envs/mmpose.yaml`).

A model is a configuration and a checkpoint. A configuration is a name or alias that comes with MMPose or MMDetection
(`td-hm_hrnet-w32_8xb64-210e_coco-256x192`, `vitpose-b`) or a file; it is Python and is run, so name only files that you
trust. A checkpoint is a file or, for a name, what was published with it; nothing in it is run.
"""

import difflib
import warnings
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import mmpose
import numpy as np
import torch
import yaml

from pipeline.encoders.offline import fetching
from pipeline.encoders.pose import (
    JOINTS,
    Clip,
    Poses,
    mmcv_operators,  # noqa: F401, before what imports mmcv's operators
)
from pipeline.encoders.pose.top_down import top_down
from pipeline.encoders.pose.tracking import Found
from pipeline.encoders.weights import digest, load_body, pick_device
from pipeline.errors import ChoreoError

# isort: split
import mmdet
from mmdet.apis import init_detector
from mmdet.utils import get_test_pipeline_cfg
from mmengine.dataset import Compose, pseudo_collate
from mmpose.apis import init_model
from mmpose.apis.inferencers.utils import default_det_models, get_model_aliases
from mmpose.models import TopdownPoseEstimator


class Aside:
    """In the place of what a checkpoint says of its training, which is not needed here: nothing."""

    def __init__(self, *args: object) -> None: ...


# What may lie in a checkpoint beside weights: arrays and numbers of numpy, and, put aside, curves of the training.
ARRAYS = (np.empty(0).__reduce__()[0], np.float64(0).__reduce__()[0])
CURVES = ("mmengine.logging.history_buffer.HistoryBuffer", "builtins.getattr", "__builtin__.getattr")
PLAIN = [
    *(np.ndarray, np.dtype, *{type(np.dtype(t)) for t in ("f8", "f4", "i8", "i4", "u1", "bool")}),
    *((make, f"numpy.{core}.multiarray.{make.__name__}") for make in ARRAYS for core in ("core", "_core")),
    *((Aside, name) for name in CURVES),
]


class MMPose:
    """Top-down poses from two configurations and their checkpoints.

    Args:
        model: configuration of the pose model, a name or a file.
        checkpoint: its weights; what was published for the name when not given.
        detector: configuration of the detector, likewise.
        detector_checkpoint: its weights, likewise.
        score: people below this score are nobody.
        detect_every: run the detector on every so-manieth frame and the last.
        tracking: iou (one person through the clip) or largest (as published).
        batch: frames at a time.
        device: auto, cpu, cuda or cuda:N.

    Raises:
        ChoreoError: no such configuration, weights out of reach or of another model, a model that is not top-down or
            lacks one of COCO's joints.
    """

    needs_frames = True

    def __init__(
        self,
        model: str = "rtmpose-m_8xb256-420e_body8-256x192",
        checkpoint: str | None = None,
        detector: str = "rtmdet_m_640-8xb32_coco-person",
        detector_checkpoint: str | None = None,
        score: float = 0.25,
        detect_every: int = 1,
        tracking: str = "iou",
        batch: int = 32,
        device: str = "auto",
    ) -> None:
        self.device = pick_device(device)
        self.detector = build(init_detector, detector, detector_checkpoint, self.device)
        seen = get_test_pipeline_cfg(self.detector.cfg.copy())
        seen[0].type = "mmdet.LoadImageFromNDArray"
        self.detector_transforms = Compose(seen)
        self.person = _person(self.detector)
        self.pose = build(init_model, model, checkpoint, self.device)
        self.order = _order(self.pose, model)
        self.pose_transforms = Compose(self.pose.cfg.test_dataloader.dataset.pipeline)
        self.score, self.detect_every, self.tracking, self.batch = score, detect_every, tracking, batch
        self.identity = "mmpose:" + "+".join(
            f"{Path(network.cfg.filename).stem}@{digest(network)}" for network in (self.detector, self.pose)
        )

    def encode(self, clip: Clip) -> Poses:
        """Poses of one person through the clip."""
        return top_down(clip.frames, self.detect, self.estimate, every=self.detect_every, tracking=self.tracking)

    def detect(self, frames: np.ndarray) -> list[Found]:
        """The people in each frame (N,H,W,3): boxes in pixels of the frame, and scores."""
        images = (self.detector_transforms({"img": bgr(frame), "img_id": 0}) for frame in frames)
        limits = np.float32((frames.shape[2], frames.shape[1]) * 2)
        people = []
        for found in self._run(self.detector, images):
            found = found[(found.labels == self.person) & (found.scores > self.score)]
            people.append((found.bboxes.cpu().numpy().clip(0, limits), found.scores.cpu().numpy()))
        return people

    def estimate(self, frames: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Joints (N,17,2) in pixels of the frames and confidence (N,17) of the person in each box (N,4).

        A joint that the model gives no place (a peak of 0 or less) is NaN.
        """
        one = {"bbox_score": np.ones(1, np.float32)} | self.pose.dataset_meta
        people = ({"img": bgr(frame), "bbox": box[None]} | one for frame, box in zip(frames, boxes, strict=True))
        found = list(self._run(self.pose, map(self.pose_transforms, people)))
        joints = np.stack([person.keypoints[0, self.order] for person in found])
        confidence = np.stack([person.keypoint_scores[0, self.order] for person in found]).clip(0, 1)
        return np.where(confidence[..., None] > 0, joints, np.nan), confidence

    @torch.inference_mode()
    def _run(self, model: torch.nn.Module, images: Iterable[dict]) -> list[Any]:
        """What a model finds in each image, already transformed, `batch` images at a time."""
        images, found = iter(images), []
        while part := list(islice(images, self.batch)):
            found += [sample.pred_instances for sample in model.test_step(pseudo_collate(part))]
        return found


def bgr(frame: np.ndarray) -> np.ndarray:
    """An RGB frame as OpenMMLab expects it."""
    return np.ascontiguousarray(frame[..., ::-1])


def build(init: Callable, model: str, checkpoint: str | None, device: torch.device) -> torch.nn.Module:
    """The model of a configuration with the weights of its checkpoint, ready to be used."""
    file = configuration(model)
    weights = checkpoint or published(file)
    try:
        with warnings.catch_warnings(record=True):
            network = init(str(file), None, device=str(device))
    except Exception as error:  # a configuration is a program: it can fail in any way
        raise ChoreoError(
            f"the configuration {file} builds no model: {type(error).__name__}: {error}",
            "it is of another version, or names a part that is not installed",
            "try it with MMPose's own tools, or choose another",
        ) from error
    with torch.serialization.safe_globals(PLAIN):
        load_body(network, weights, heads=("data_preprocessor",))  # the mean and deviation of old checkpoints
    return network


def configuration(model: str) -> Path:
    """The file of a configuration that is named or given; a demonstration's only where no other has its name."""
    if Path(model).suffix == ".py":
        if not Path(model).is_file():
            raise ChoreoError(f"there is no configuration {model}", "", "correct the path")
        return Path(model)
    shipped = [Path(package.__path__[0]) / ".mim" for package in (mmdet, mmpose)]
    files = [f for part in ("demo/mmdetection_cfg", "configs") for root in shipped for f in (root / part).rglob("*.py")]
    known = {f.stem: f for f in files if "_base_" not in f.parts}
    known |= {alias: known[name] for alias, name in get_model_aliases("mmpose").items() if name in known}
    if model not in known:
        nearest = difflib.get_close_matches(model, known, n=3, cutoff=0.4)
        raise ChoreoError(
            f"{model!r} is no configuration of MMPose or MMDetection",
            f"a slip of the pen for one of: {', '.join(nearest)}" if nearest else "",
            f"choose from {' and '.join(map(str, shipped))}, or name a .py file",
        )
    return known[model]


def published(config: Path) -> Path:
    """The weights published for a configuration, in torch's cache; fetched where they are not there.

    Raises:
        ChoreoError: nothing was published, or it cannot be reached.
    """
    lists = [yaml.safe_load(file.read_text()) for file in sorted(config.parent.glob("*.yml"))]
    entries = [entry for file in lists if isinstance(file, dict) for entry in file.get("Models", [])]
    addresses = {Path(entry["Config"]).name: entry["Weights"] for entry in entries if "Weights" in entry}
    addresses |= {Path(d["model"]).name: d["weights"] for d in default_det_models.values() if d["weights"]}
    if config.name not in addresses:
        raise ChoreoError(
            f"no weights are known for the configuration {config.stem!r}",
            "it is one's own, or was published without",
            "name a file as its checkpoint",
        )
    address = addresses[config.name]
    file = Path(torch.hub.get_dir()) / "checkpoints" / address.rpartition("/")[2]
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        where = f"put {file.name} into {file.parent}, or name the file as its checkpoint"
        with fetching(f"the weights of {config.stem!r} ({address})", where):
            torch.hub.download_url_to_file(address, str(file))
    return file


def _person(detector: torch.nn.Module) -> int:
    """Index of the class `person`; 0 where a detector has no such name."""
    told = detector.cfg.test_dataloader.dataset.get("metainfo", {})
    classes = list(told.get("classes", detector.dataset_meta["classes"]))
    return classes.index("person") if "person" in classes else 0


def _order(pose: torch.nn.Module, model: str) -> list[int]:
    """Index of each COCO-17 joint among the model's, by name."""
    known = pose.dataset_meta["keypoint_name2id"]
    lost = next((joint for joint in JOINTS if joint not in known), None)
    if lost or not isinstance(pose, TopdownPoseEstimator):
        raise ChoreoError(
            f"{model} does not estimate {lost!r}" if lost else f"{model} is not top-down: it takes no box of a person",
            "it was trained for another kind of pose",
            "choose a top-down model of human bodies: COCO, Halpe or whole body",
        )
    return [known[joint] for joint in JOINTS]
