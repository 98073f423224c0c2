"""MMPose and MMDetection for real, with small configurations and random weights made here, in their own environment."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline import encoders
from pipeline.encoders.pose import JOINTS, Clip
from pipeline.errors import ChoreoError

pytest.importorskip("mmpose", reason="MMPose is not installed here; `make test-mmpose` runs this in its environment")

from pipeline.encoders.pose import mmcv_operators
from pipeline.encoders.pose import mmpose as subject
from pipeline.encoders.pose.mmpose import MMPose, configuration, published

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
]

FRAMES = np.random.default_rng(0).integers(0, 255, (5, 48, 64, 3), dtype=np.uint8)
CLIP = Clip("video", Path("video.mp4"), 0, FRAMES)
BOXES = np.tile(np.float32([5, 5, 40, 45]), (5, 1)) + np.arange(5, dtype=np.float32)[:, None]

# An RTMDet of a tenth of the smallest one's width, for pictures of 64 x 64, that is sure of nothing.
DETECTOR = """
_base_ = 'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py'
model = dict(
    backbone=dict(deepen_factor=0.167, widen_factor=0.125, init_cfg=None),
    neck=dict(in_channels=[32, 64, 128], out_channels=16, num_csp_blocks=1),
    bbox_head=dict(in_channels=16, feat_channels=16, num_classes=2),
    test_cfg=dict(nms_pre=100, score_thr=0.001, max_per_img=10),
)
test_dataloader = dict(dataset=dict(metainfo=dict(classes=('racket', 'person')), pipeline=[
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(64, 64), keep_ratio=True),
    dict(type='Pad', size=(64, 64), pad_val=dict(img=(114, 114, 114))),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]))
"""

POSE = """
default_scope = 'mmpose'
codec = {codec}
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(type='PoseDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
                           bgr_to_rgb=True),
    backbone=dict({backbone}),
    head=dict({head}, decoder=codec),
    test_cfg=dict(flip_test=False),
)
test_dataloader = dict(dataset=dict(type='CocoDataset', data_mode='topdown', pipeline=[
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=codec['input_size'], use_udp={udp}),
    dict(type='PackPoseInputs'),
]))
train_dataloader = dict(dataset=dict(
    type='CocoDataset', metainfo=dict(from_file='configs/_base_/datasets/{joints}.py')))
"""

MODELS = {
    "rtmpose": {
        "codec": "dict(type='SimCCLabel', input_size=(64, 96), sigma=(4.9, 5.66), simcc_split_ratio=2.0,"
        " normalize=False, use_dark=False)",
        "backbone": "_scope_='mmdet', type='CSPNeXt', arch='P5', expand_ratio=0.5, deepen_factor=0.167,"
        " widen_factor=0.125, out_indices=(4,), channel_attention=True, norm_cfg=dict(type='BN')",
        "head": "type='RTMCCHead', in_channels=128, out_channels=17, input_size=codec['input_size'],"
        " in_featuremap_size=(2, 3), simcc_split_ratio=2.0, final_layer_kernel_size=1,"
        " gau_cfg=dict(hidden_dims=16, s=8, expansion_factor=2, dropout_rate=0.0, drop_path=0.0, act_fn='SiLU',"
        " use_rel_bias=False, pos_enc=False), loss=dict(type='KLDiscretLoss')",
        "udp": False,
        "joints": "coco",
    },
    "hrnet": {
        "codec": "dict(type='MSRAHeatmap', input_size=(64, 96), heatmap_size=(16, 24), sigma=2)",
        "backbone": "type='HRNet', in_channels=3, extra=dict("
        "stage1=dict(num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(1,), num_channels=(8,)),"
        "stage2=dict(num_modules=1, num_branches=2, block='BASIC', num_blocks=(1, 1), num_channels=(8, 16)),"
        "stage3=dict(num_modules=1, num_branches=3, block='BASIC', num_blocks=(1,) * 3, num_channels=(8, 16, 24)),"
        "stage4=dict(num_modules=1, num_branches=4, block='BASIC', num_blocks=(1,) * 4, num_channels=(8, 16, 24, 32)))",
        "head": "type='HeatmapHead', in_channels=8, out_channels=17, deconv_out_channels=None,"
        " loss=dict(type='KeypointMSELoss')",
        "udp": False,
        "joints": "coco",
    },
    "vitpose": {
        "codec": "dict(type='UDPHeatmap', input_size=(48, 64), heatmap_size=(12, 16), sigma=2)",
        "backbone": "type='mmpretrain.VisionTransformer', img_size=(64, 48), patch_size=16, qkv_bias=True,"
        " with_cls_token=False, out_type='featmap', patch_cfg=dict(padding=2),"
        " arch=dict(embed_dims=16, num_layers=1, num_heads=2, feedforward_channels=32)",
        "head": "type='HeatmapHead', in_channels=16, out_channels=17, deconv_out_channels=(8, 8),"
        " deconv_kernel_sizes=(4, 4), loss=dict(type='KeypointMSELoss')",
        "udp": True,
        "joints": "coco",
    },
}


def save(folder: Path, name: str, text: str) -> tuple[str, str]:
    """A configuration and a checkpoint of random weights, as mmengine writes it: with arrays beside the weights."""
    from mmengine.config import Config
    from mmengine.logging import HistoryBuffer
    from mmengine.registry import MODELS as REGISTRY
    from mmengine.registry import init_default_scope

    file = folder / f"{name}.py"
    file.write_text(text)
    config = Config.fromfile(file)
    init_default_scope(config.default_scope)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = REGISTRY.build(config.model)
        for weight in model.parameters():  # the small default weights give the same answer everywhere
            if weight.ndim > 1:
                torch.nn.init.normal_(weight, 0, 2 / weight[0].numel() ** 0.5)
    meta = {"dataset_meta": {"sigmas": np.ones(17, np.float32)}, "epoch": 1, "lr": np.float64(0.1), "cfg": text}
    hub = {"log_scalars": {"loss": HistoryBuffer([1.0], [1])}}
    state = model.state_dict() | {"data_preprocessor.mean": torch.zeros(3, 1, 1)}
    torch.save({"meta": meta, "message_hub": hub, "state_dict": state}, folder / f"{name}.pth")
    return str(file), str(folder / f"{name}.pth")


def made(folder: Path, kind: str = "rtmpose", **changes: object) -> dict:
    """The spec of an encoder with random weights."""
    model, checkpoint = save(folder, kind, POSE.format(**MODELS[kind] | changes))
    detector, detector_checkpoint = save(folder, "rtmdet", DETECTOR)
    spec = {"name": "mmpose", "model": model, "checkpoint": checkpoint, "device": "cpu"}
    return spec | {"detector": detector, "detector_checkpoint": detector_checkpoint, "score": 0.01}


@pytest.fixture(scope="module", params=MODELS)
def encoder(request, tmp_path_factory) -> MMPose:
    return encoders.load("pose", made(tmp_path_factory.mktemp("mmpose"), request.param) | {"batch": 2})


def test_poses_of_a_clip_have_their_shapes_and_ranges(encoder):
    poses = encoder.encode(CLIP)
    seen = np.isfinite(poses.box).all(axis=1)
    assert seen.any()
    assert poses.joints.shape == (5, 17, 2) and poses.confidence.shape == (5, 17) and poses.box.shape == (5, 4)
    assert np.isfinite(poses.joints[poses.confidence > 0]).all() and (poses.confidence[seen] > 0).any()
    assert np.isnan(poses.joints[poses.confidence == 0]).all() and (poses.confidence[~seen] == 0).all()
    assert (poses.confidence >= 0).all() and (poses.confidence <= 1).all()


def test_joints_are_those_of_mmposes_own_inference(encoder):
    """One frame at a time through `mmpose.apis.inference_topdown`; here in batches of two."""
    from mmpose.apis import inference_topdown

    joints, confidence = encoder.estimate(FRAMES, BOXES)
    for frame, box, ours, sure in zip(FRAMES, BOXES, joints, confidence, strict=True):
        (theirs,) = inference_topdown(encoder.pose, frame[..., ::-1].copy(), box[None])
        found = theirs.pred_instances.keypoint_scores[0] > 0
        np.testing.assert_allclose(ours[found], theirs.pred_instances.keypoints[0][found], atol=1e-3)
        np.testing.assert_allclose(sure, theirs.pred_instances.keypoint_scores[0].clip(0, 1), atol=1e-4)
        assert np.isnan(ours[~found]).all()
    assert np.nanmax(np.ptp(joints - BOXES[:, None, :2], axis=0)) > 1  # and they do depend on the frame


def test_people_are_those_of_mmdetections_own_inference(encoder):
    """The second class is `person` here; the first is left out, and so is whoever scores less."""
    from mmdet.apis import inference_detector
    from mmengine.registry import init_default_scope

    init_default_scope("mmdet")
    people = encoder.detect(FRAMES)
    rackets = 0
    for frame, (boxes, scores) in zip(FRAMES, people, strict=True):
        found = inference_detector(encoder.detector, frame[..., ::-1].copy()).pred_instances
        rackets += int((found.labels == 0).sum())
        found = found[(found.labels == 1) & (found.scores > 0.01)]
        np.testing.assert_allclose(boxes, found.bboxes.numpy().clip(0, (64, 48, 64, 48)), atol=1e-3)
        np.testing.assert_allclose(scores, found.scores.numpy(), atol=1e-5)
    assert rackets > 0 and sum(len(scores) for _, scores in people) > 0


def test_nobody_found_is_nobody(encoder, monkeypatch):
    """Never the whole image, which MMPose takes where it is given no box."""
    monkeypatch.setattr(encoder, "score", 1.1)
    poses = encoder.encode(CLIP)
    assert np.isnan(poses.joints).all() and np.isnan(poses.box).all() and (poses.confidence == 0).all()


def test_joints_are_found_by_name_in_larger_skeletons(tmp_path):
    """Of Halpe's 26 joints, COCO's 17 are taken."""
    head = MODELS["rtmpose"]["head"].replace("out_channels=17", "out_channels=26")
    encoder = encoders.load("pose", made(tmp_path, head=head, joints="halpe26"))
    names = encoder.pose.dataset_meta["keypoint_id2name"]
    assert len(names) == 26 and [names[i] for i in encoder.order] == list(JOINTS)
    assert encoder.estimate(FRAMES, BOXES)[0].shape == (5, 17, 2)


def test_a_skeleton_without_cocos_joints_is_refused(tmp_path):
    head = MODELS["rtmpose"]["head"].replace("out_channels=17", "out_channels=21")
    with pytest.raises(ChoreoError, match=r"rtmpose\.py does not estimate 'nose'"):
        encoders.load("pose", made(tmp_path, head=head, joints="coco_wholebody_hand"))


def test_identity_names_both_models_and_their_weights(tmp_path):
    spec = made(tmp_path)
    first = encoders.load("pose", spec)
    assert first.identity.startswith("mmpose:rtmdet@") and "+rtmpose@" in first.identity
    assert encoders.load("pose", spec).identity == first.identity
    saved = torch.load(spec["checkpoint"], weights_only=False)
    saved["state_dict"]["head.mlp.1.weight"] += 1
    torch.save(saved, spec["checkpoint"])
    assert encoders.load("pose", spec).identity.split("+")[0] == first.identity.split("+")[0]
    assert encoders.load("pose", spec).identity != first.identity


@pytest.mark.parametrize(
    ("wrong", "words"),
    [("vitpose", "lacks 'backbone.stage1.0.bn.bias'"), ("rtmdet", "lacks 'head.cls_x.weight'")],
)
def test_a_checkpoint_of_another_model_is_refused_by_its_first_strange_key(wrong, words, tmp_path):
    spec = made(tmp_path, "vitpose") | made(tmp_path, "rtmpose")
    with pytest.raises(ChoreoError, match=words):
        encoders.load("pose", spec | {"checkpoint": str(tmp_path / f"{wrong}.pth")})


def test_a_checkpoint_that_would_run_code_or_is_cut_is_refused(tmp_path):
    spec = made(tmp_path)
    content = Path(spec["checkpoint"]).read_bytes()
    for bad in (lambda file: torch.save({"state_dict": Path}, file), lambda file: file.write_bytes(content[:5000])):
        bad(tmp_path / "bad.pth")
        with pytest.raises(ChoreoError, match=r"bad\.pth cannot be read as a checkpoint"):
            encoders.load("pose", spec | {"checkpoint": str(tmp_path / "bad.pth")})


# Names ----------------------------------------------------------------------------------------


def test_configurations_go_by_name_by_alias_and_by_file(tmp_path):
    assert "coco" in configuration("td-hm_hrnet-w32_8xb64-210e_coco-256x192").parts
    assert configuration("human").stem == "rtmpose-m_8xb256-420e_body8-256x192"
    assert "mmdet" in configuration("rtmdet_tiny_8xb32-300e_coco").parts
    (tmp_path / "own.py").write_text("")
    assert configuration(str(tmp_path / "own.py")) == tmp_path / "own.py"
    with pytest.raises(ChoreoError, match="a slip of the pen for one of: rtmpose-m_8xb256-420e"):
        configuration("rtmpose-m_8xb256-420e_coco-256x19")
    with pytest.raises(ChoreoError, match=r"there is no configuration .*absent\.py"):
        configuration(str(tmp_path / "absent.py"))


@pytest.mark.parametrize(
    "name",
    ["rtmpose-m_8xb256-420e_body8-256x192", "vitpose-b", "rtmdet_m_640-8xb32_coco-person", "rtmdet_m_8xb32-300e_coco"],
)
def test_published_weights_out_of_reach_are_named_with_the_place_for_them(name, monkeypatch, tmp_path):
    """A file put there by hand is taken."""

    def refuse(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    with pytest.raises(ChoreoError, match=rf"put (\S+)\.pth into {tmp_path}/hub/checkpoints") as error:
        published(configuration(name))
    file = tmp_path / "hub/checkpoints" / error.value.mend.split(" put ")[1].split()[0]
    file.touch()
    assert published(configuration(name)) == file


def test_a_configuration_of_ones_own_needs_a_checkpoint(tmp_path):
    with pytest.raises(ChoreoError, match="no weights are known for the configuration 'rtmpose'"):
        encoders.load("pose", made(tmp_path) | {"checkpoint": None})


def test_a_configuration_that_builds_no_model_is_named(tmp_path):
    with pytest.raises(ChoreoError, match=r"rtmpose\.py builds no model: KeyError: .*Unheard"):
        spec = made(tmp_path)
        Path(spec["model"]).write_text(POSE.format(**MODELS["rtmpose"]).replace("'CSPNeXt'", "'Unheard'"))
        encoders.load("pose", spec)


@pytest.mark.parametrize(
    "name",
    ["rtmpose-t_8xb256-420e_coco-256x192", "td-hm_hrnet-w32_8xb64-210e_coco-256x192", "vitpose-s"],
)
def test_models_of_the_zoo_run_at_their_real_sizes(name, tmp_path, monkeypatch):
    """Random weights in place of the published ones, which are not at hand."""
    from mmpose.apis import init_model

    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(
            {"state_dict": init_model(str(configuration(name)), None, device="cpu").state_dict()}, tmp_path / "x.pth"
        )
    monkeypatch.setattr(subject, "published", lambda config: tmp_path / "x.pth")
    spec = made(tmp_path) | {"model": name, "checkpoint": None}
    joints, confidence = encoders.load("pose", spec).estimate(FRAMES[:2], BOXES[:2])
    assert joints.shape == (2, 17, 2) and np.isfinite(joints[confidence > 0]).all()


# The stand-in for mmcv's compiled operators ------------------------------------------------------------------------


def test_suppression_keeps_the_surest_of_the_boxes_that_overlap():
    boxes = torch.tensor([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10.0]])
    kept = mmcv_operators.Operators.nms(boxes, torch.tensor([0.5, 0.9, 0.1]), 0.5)
    assert kept.tolist() == [1, 2]


def test_an_operator_that_is_missing_says_so_when_it_is_called():
    from mmcv.ops import RoIAlign

    with pytest.raises(ChoreoError, match="calls 'roi_align_forward', a compiled operator of mmcv"):
        RoIAlign(2)(torch.zeros(1, 1, 4, 4), torch.zeros(1, 5))
