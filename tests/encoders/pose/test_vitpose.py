"""ViTPose and RT-DETR through transformers, with tiny random checkpoints in the real format."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    RTDetrConfig,
    RTDetrForObjectDetection,
    RTDetrImageProcessor,
    RTDetrResNetConfig,
    VitPoseBackboneConfig,
    VitPoseConfig,
    VitPoseForPoseEstimation,
    VitPoseImageProcessor,
)

from pipeline.encoders.pose import Clip
from pipeline.encoders.pose.vitpose import VitPose
from pipeline.errors import ChoreoError

FRAMES = np.random.default_rng(0).integers(0, 255, (5, 48, 64, 3), dtype=np.uint8)
CLIP = Clip("video", Path("video.mp4"), 0, FRAMES)


def save_pose(folder: Path, experts: int = 1) -> str:
    """A checkpoint of ViTPose, or of ViTPose+ where it has experts."""
    backbone = VitPoseBackboneConfig(
        image_size=(64, 48), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, num_experts=experts,
        part_features=4, out_indices=[2],
    )  # fmt: skip
    model = VitPoseForPoseEstimation(VitPoseConfig(backbone_config=backbone, num_labels=17))
    for weight in model.parameters():  # the tiny default weights give the same answer everywhere
        torch.nn.init.normal_(weight, 0, 0.3)
    model.save_pretrained(folder)
    VitPoseImageProcessor(size={"height": 64, "width": 48}).save_pretrained(folder)
    return str(folder)


def save_detector(folder: Path) -> str:
    backbone = RTDetrResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    config = RTDetrConfig(
        backbone_config=backbone, encoder_hidden_dim=16, encoder_in_channels=[8, 16, 16], encoder_ffn_dim=16,
        encoder_attention_heads=2, d_model=16, decoder_in_channels=[16, 16, 16], decoder_ffn_dim=16, decoder_layers=1,
        decoder_attention_heads=2, num_queries=10, num_denoising=0, id2label={0: "person", 1: "racket"},
        label2id={"person": 0, "racket": 1},
    )  # fmt: skip
    RTDetrForObjectDetection(config).save_pretrained(folder)
    RTDetrImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("checkpoints")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return save_pose(folder / "vitpose-tiny"), save_detector(folder / "rtdetr-tiny")


@pytest.fixture(scope="module")
def encoder(checkpoints) -> VitPose:
    model, detector = checkpoints
    return VitPose(model, detector, score=0.01, batch=2, device="cpu")


def test_poses_of_a_clip_have_their_shapes_and_ranges(encoder):
    """The random detector finds somebody everywhere at so low a score; its people are sometimes lost on the way."""
    poses = encoder.encode(CLIP)
    seen = np.isfinite(poses.box).all(axis=1)
    assert seen.any()
    assert poses.joints.shape == (5, 17, 2) and poses.confidence.shape == (5, 17) and poses.box.shape == (5, 4)
    assert np.isfinite(poses.joints[seen]).all() and np.isnan(poses.joints[~seen]).all()
    assert (poses.confidence >= 0).all() and (poses.confidence <= 1).all()


def test_boxes_lie_within_the_frame_and_hold_people_only(encoder):
    found = encoder.detect(FRAMES)
    assert len(found) == 5
    for boxes, scores in found:
        assert (boxes >= 0).all() and (boxes <= (64, 48, 64, 48)).all() and (scores > 0.01).all()
    people = sum(len(scores) for _, scores in found)
    encoder.person = 1
    rackets = sum(len(scores) for _, scores in encoder.detect(FRAMES))
    encoder.person = 0
    assert people > 0 and people + rackets <= 5 * 10


def test_joints_do_not_depend_on_the_batch(encoder, monkeypatch):
    boxes = np.tile(np.float32([5, 5, 40, 45]), (5, 1)) + np.arange(5, dtype=np.float32)[:, None]
    joints, confidence = encoder.estimate(FRAMES, boxes)
    monkeypatch.setattr(encoder, "batch", 5)
    again, same = encoder.estimate(FRAMES, boxes)
    np.testing.assert_allclose(again, joints, atol=1e-2)
    np.testing.assert_allclose(same, confidence, atol=1e-4)
    assert np.ptp(joints, axis=0).max() > 1  # and they do depend on the frame


def test_nobody_found_is_nobody(encoder, monkeypatch):
    monkeypatch.setattr(encoder.detector, "score", 1.1)
    poses = encoder.encode(CLIP)
    assert np.isnan(poses.joints).all() and np.isnan(poses.box).all() and (poses.confidence == 0).all()


def test_vitpose_plus_asks_the_expert_of_its_data_set(checkpoints, tmp_path):
    _, detector = checkpoints
    with torch.random.fork_rng():
        torch.manual_seed(0)
        plus = save_pose(tmp_path / "vitpose-plus", experts=2)
    boxes = np.tile(np.float32([5, 5, 40, 45]), (5, 1))
    first, second = (
        VitPose(plus, detector, dataset_index=i, device="cpu").estimate(FRAMES, boxes)[1] for i in range(2)
    )
    assert np.abs(first - second).max() > 1e-4
    with pytest.raises(ChoreoError, match="has 2 experts"):
        VitPose(plus, detector, dataset_index=2, device="cpu")


def test_identity_tells_both_checkpoints_and_their_weights(encoder, checkpoints, tmp_path):
    _, detector = checkpoints
    other = VitPose(save_pose(tmp_path / "vitpose-tiny"), detector, device="cpu")
    assert "rtdetr-tiny@" in encoder.identity and "vitpose-tiny@" in encoder.identity
    assert other.identity != encoder.identity
    assert other.identity.split("+")[0] == encoder.identity.split("+")[0]


def test_weights_out_of_reach_are_named_with_the_place_for_them(checkpoints, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ChoreoError, match=r"(?s)model\.safetensors of 'owner/absent'.*models--owner--absent"):
        VitPose("owner/absent", checkpoints[1])
