"""ViTPose (Xu et al., NeurIPS 2022) and ViTPose+ on the people found by RT-DETR, both through transformers."""

import numpy as np
import torch
from transformers import VitPoseForPoseEstimation

from pipeline.encoders.detector.transformers import Transformers, checkpoint, short
from pipeline.encoders.pose import JOINTS, Clip, Poses
from pipeline.encoders.pose.top_down import top_down
from pipeline.encoders.pose.tracking import Found
from pipeline.encoders.weights import digest, pick_device
from pipeline.errors import ChoreoError


class VitPose:
    """Top-down poses from two transformers checkpoints.

    Args:
        model: ViTPose checkpoint, a folder or a name on the Hugging Face hub.
        detector: RT-DETR checkpoint, likewise.
        score: people below this score are nobody.
        detect_every: run the detector on every so-manieth frame and the last.
        tracking: iou (one person through the clip) or largest (as published).
        dataset_index: expert of a ViTPose+ checkpoint; 0 is COCO's.
        batch: frames at a time.
        device: auto, cpu, cuda or cuda:N.
    """

    needs_frames = True

    def __init__(
        self,
        model: str = "usyd-community/vitpose-base-simple",
        detector: str = "PekingU/rtdetr_r50vd_coco_o365",
        score: float = 0.25,
        detect_every: int = 1,
        tracking: str = "iou",
        dataset_index: int = 0,
        batch: int = 32,
        device: str = "auto",
    ) -> None:
        self.device = pick_device(device)
        self.pose_processor, self.pose = checkpoint(model, VitPoseForPoseEstimation, self.device)
        self.detector = Transformers(detector, score=score, batch=batch, device=device)
        self.person = self.detector.classes.index("person") if "person" in self.detector.classes else 0
        experts = self.pose.config.backbone_config.num_experts
        if experts > 1 and not 0 <= dataset_index < experts:
            raise ChoreoError(
                f"dataset_index: {dataset_index}, but {model} has {experts} experts",
                "",
                f"choose 0 to {experts - 1}; 0 is COCO",
            )
        self.expert = dataset_index if experts > 1 else None
        self.detect_every, self.tracking, self.batch = detect_every, tracking, batch
        self.identity = f"vitpose:{self.detector.weights}+{short(model)}@{digest(self.pose)}"

    def encode(self, clip: Clip) -> Poses:
        """Poses of one person through the clip."""
        return top_down(clip.frames, self.detect, self.estimate, every=self.detect_every, tracking=self.tracking)

    def detect(self, frames: np.ndarray) -> list[Found]:
        """The people in each frame (N,H,W,3): boxes in pixels of the frame, and scores."""
        return [found.of(self.person) for found in self.detector.detect(frames)]

    @torch.inference_mode()
    def estimate(self, frames: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Joints (N,17,2) in pixels of the frames and confidence (N,17) of the person in each box (N,4)."""
        corner_size = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        joints = np.empty((len(frames), len(JOINTS), 2), np.float32)
        confidence = np.empty((len(frames), len(JOINTS)), np.float32)
        for i in range(0, len(frames), self.batch):
            part = slice(i, i + self.batch)
            one_each = corner_size[part, None]
            inputs = self.pose_processor(list(frames[part]), boxes=one_each, return_tensors="pt").to(self.device)
            if self.expert is not None:
                inputs["dataset_index"] = torch.full((len(one_each),), self.expert, device=self.device)
            results = self.pose_processor.post_process_pose_estimation(self.pose(**inputs), boxes=one_each)
            joints[part] = [person["keypoints"].numpy() for (person,) in results]
            confidence[part] = [person["scores"].numpy() for (person,) in results]
        return joints, confidence.clip(0, 1)
