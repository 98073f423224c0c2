"""The theatre's small encoders: what ships, through the plug-ins that read real models, on plays never trained on."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from pipeline import encoders
from pipeline.encoders.pose import Clip
from pipeline.theatre import (
    corpus,
    encoders_backbone,
    encoders_detector,
    encoders_evaluation,
    encoders_image_text,
    encoders_pose,
    encoders_training,
    home,
    stage,
)
from pipeline.theatre.scenery import SCENES
from pipeline.video import segments

WEIGHTS = Path(encoders_pose.__file__).parent / "weights"
FRESH = 123456  # a seed of the corpus that no training uses


def pose_encoder(folder: Path):
    files = {"detector": str(folder / "detector.onnx"), "pose": str(folder / "pose.onnx")}
    return encoders.load("pose", {"name": "onnx", "detector_format": "boxes", "pose_format": "heatmap", **files})


def image_text_encoder(folder: Path):
    files = {"model": str(folder / "image_text.json"), "pretrained": str(folder / "image_text.safetensors")}
    return encoders.load("image_text", {"name": "open_clip", **files})


def backbone_encoder(folder: Path):
    return encoders.load("backbone", {"name": "onnx", "model": str(folder / "backbone.onnx")})


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options)


@pytest.fixture(scope="module")
def plays() -> list[stage.Performance]:
    return [stage.perform(script) for script in corpus.scripts(FRESH, 12)]


@pytest.fixture(scope="module")
def backbone():
    return backbone_encoder(WEIGHTS)


@pytest.mark.parametrize("name", ["detector", "pose", "backbone"])
def test_what_ships_takes_uint8_and_any_batch(name):
    graph = session(WEIGHTS / f"{name}.onnx")
    (taken,), (given,) = graph.get_inputs(), graph.get_outputs()
    assert taken.type == "tensor(uint8)" and taken.shape[-1] == 3 and given.type == "tensor(float)"
    expected = {"detector": (5, 6), "pose": (17, 48, 48), "backbone": (192,)}[name]
    for batch in (1, 3):
        (values,) = graph.run(None, {taken.name: np.zeros((batch, *taken.shape[1:]), np.uint8)})
        assert values.shape == (batch, *expected) and np.isfinite(values).all()


def test_what_ships_is_a_few_megabytes():
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) < 9e6


def test_joints_of_unseen_performers_are_found_to_a_fraction_of_their_torso(plays):
    encoder, distances = pose_encoder(WEIGHTS), []
    for play in plays[:8]:
        found = encoder.encode(Clip("play", Path("play"), 10, play.frames[10:26]))
        joints, seen = play.joints[10:26], play.visible[10:26]
        torso = np.linalg.norm(joints[:, [5, 6]].mean(1) - joints[:, [11, 12]].mean(1), axis=-1)
        distances.append((np.linalg.norm(found.joints - joints, axis=-1) / np.median(torso))[seen])
    assert np.mean(np.concatenate(distances)) < 0.16


def test_nobody_is_found_on_an_empty_stage_and_somebody_on_a_full_one(plays):
    encoder = pose_encoder(WEIGHTS)
    empty = [stage.perform(script, empty=True).frames[0] for script in corpus.scripts(FRESH, 12)]
    assert sum(len(boxes) for boxes, _ in encoder.detect(np.stack(empty))) <= 1
    assert all(len(boxes) for boxes, _ in encoder.detect(np.stack([play.frames[20] for play in plays])))


def test_a_joint_behind_the_foreground_gets_less_confidence_than_one_in_sight():
    encoder, seen, hidden = pose_encoder(WEIGHTS), [], []
    scripts = [s for s in corpus.scripts(FRESH, 60) if not stage.truth(s).visible[20:24].all()][:8]
    for play in map(stage.perform, scripts):
        confidence = encoder.encode(Clip("play", Path("play"), 20, play.frames[20:24])).confidence
        seen.append(confidence[play.visible[20:24]])
        hidden.append(confidence[~play.visible[20:24]])
    assert np.concatenate(hidden).mean() < np.concatenate(seen).mean() - 0.1


def test_the_scene_of_a_play_is_the_sentence_nearest_to_its_frames(plays):
    encoder = image_text_encoder(WEIGHTS)
    texts = encoder.texts([f"A video of {scene}" for scene in SCENES])
    for play in plays:
        video = encoder.images(play.frames[segments(len(play.frames), 4)]).mean(0)
        assert SCENES[int(np.argmax(texts @ video))] == play.scene


def test_the_backbone_tells_a_play_from_its_reversal_and_not_from_a_frame_later(plays, backbone):
    chosen = [segments(len(play.frames) - 1, backbone.frames) for play in plays]
    forward, later, reverse = (
        backbone.encode([play.frames[pick(index)] for play, index in zip(plays, chosen, strict=True)])
        for pick in (lambda i: i, lambda i: i + 1, lambda i: i[::-1])
    )
    away = np.linalg.norm(forward - reverse, axis=1)
    assert np.median(away) > 2 * np.median(np.linalg.norm(forward - later, axis=1))


def test_a_lowering_is_nearer_to_a_reversed_raising_than_to_a_raising(backbone):
    scripts = corpus.scripts(FRESH, 150)
    clips = {
        motion: [stage.perform(script) for script in scripts if script.primitive == motion][:8]
        for motion in ("raise", "lower")
    }
    raised, lowered = (
        [play.frames[segments(len(play.frames), backbone.frames)] for play in clips[motion]]
        for motion in ("raise", "lower")
    )
    centre = backbone.encode(lowered).mean(0)
    forward, backward = backbone.encode(raised), backbone.encode([clip[::-1] for clip in raised])
    nearer = np.linalg.norm(backward - centre, axis=1) < np.linalg.norm(forward - centre, axis=1)
    assert nearer.mean() > 0.8


def test_the_evaluation_finds_scenes_and_motions_where_the_tests_above_do():
    figures = encoders_evaluation.evaluate(WEIGHTS, videos=40, cast=60, seed=FRESH)
    scenes = [line for line in figures.splitlines() if "average precision 1.0" in line and line.count(" ") > 9]
    assert len(scenes) >= 2, figures
    motion = float(figures.split("readout of the primitive ")[1].split()[0])
    assert motion > 0.8, figures


def test_gaussians_are_one_at_the_joint_and_absent_where_nobody_is():
    points = torch.tensor([[3.0, 5.0], [float("nan"), float("nan")]])
    maps = encoders_pose.gaussians(points, (8, 10), sigma=1.5)
    literal = [[np.exp(-((x - 3) ** 2 + (y - 5) ** 2) / (2 * 1.5**2)) for x in range(10)] for y in range(8)]
    np.testing.assert_allclose(maps[0], literal, rtol=1e-5)
    assert not maps[1].any()


def test_crops_of_training_show_their_joints_where_they_say():
    """A white dot at the joint is bright there after turning, scaling and mirroring."""
    frame = np.zeros((1, 128, 128, 3), np.uint8)
    frame[0, 68:73, 58:63] = 255
    joints = np.tile(np.float32([60, 70]), (1, 17, 1))
    box = np.float32([[40, 40, 90, 100]])
    data = encoders_training.Stills(frame, joints, np.ones((1, 17), bool), box, [()], [""])
    crops, moved, _ = encoders_pose.crop_batch(data, 40, np.random.default_rng(0))
    x, y = moved[:, 0].round().long().T
    bright = crops[torch.arange(40), y, x].float().mean(-1)
    assert (bright > 120).float().mean() > 0.8  # some are covered on purpose


def test_the_decoded_box_of_a_centre_is_the_box():
    class Planted(torch.nn.Module):
        stride = 8

        def forward(self, frames):
            maps = torch.full((1, 5, 16, 16), -9.0)
            maps[0, :, 6, 4] = torch.tensor([3.0, 1.5, 2.0, 2.5, 3.0])
            return maps

    (boxes,) = encoders_pose.Boxes(Planted())(torch.zeros(1, 128, 128, 3, dtype=torch.uint8))
    np.testing.assert_allclose(boxes[0, :4], [8 * 2.5, 8 * 4.0, 8 * 6.5, 8 * 9.0])
    assert boxes[0, 4] > 0.9 and boxes[1, 4] < 0.01


def test_an_exported_net_computes_what_the_net_computes(tmp_path):
    torch.manual_seed(0)
    net = encoders_pose.HeatMaps(encoders_pose.PoseNet()).eval()
    crops = torch.randint(0, 256, (3, encoders_pose.CROP, encoders_pose.CROP, 3), dtype=torch.uint8)
    encoders_training.export(net, crops[:2], tmp_path / "pose.onnx", inputs="crops", output="heatmaps")
    (maps,) = session(tmp_path / "pose.onnx").run(None, {"crops": crops.numpy()})
    np.testing.assert_allclose(maps, net(crops).detach(), atol=2e-3)  # weights are stored in half precision


def test_training_writes_files_that_the_plug_ins_load(tmp_path, plays):
    frames = plays[0].frames[:4]
    encoders_pose.train_pose(tmp_path, videos=2, stills_per_video=2, steps=2, detector_steps=2, batch=4)
    assert pose_encoder(tmp_path).encode(Clip("play", Path("play"), 0, frames)).joints.shape == (4, 17, 2)
    encoders_backbone.train_backbone(tmp_path, videos=2, steps=2, batch=4)
    assert backbone_encoder(tmp_path).encode([plays[0].frames[:16]]).shape == (1, 192)
    encoders_image_text.train_image_text(tmp_path, videos=2, stills_per_video=2, steps=2, batch=4)
    assert image_text_encoder(tmp_path).images(frames).shape == (4, 384)


def test_the_object_detector_finds_the_person_always_and_most_things():
    found, right = encoders_evaluation.detector_figures(WEIGHTS, FRESH, videos=8)
    shares = [[float(share) for share in line.split(":")[1].split()] for line in (found, right)]
    assert min(shares[0][0], shares[1][0]) > 0.95 and np.mean(shares) > 0.7, (found, right)


def test_stills_of_the_detector_hold_their_boxes():
    frames, boxes = encoders_detector.stills(FRESH, 2, 3)
    assert frames.shape == (6, 128, 128, 3) and boxes.shape == (6, len(home.NODES), 4)
    pictures, places = encoders_detector.batch(frames, boxes, 5, np.random.default_rng(0))
    known = places[~places.isnan().any(-1)]
    assert pictures.shape == (5, 128, 128, 3) and (known[:, :2] <= known[:, 2:]).all() and known.max() <= 127


def test_a_detector_that_is_right_has_next_to_no_loss_of_boxes():
    class Detector(torch.nn.Module):
        stride = 4

        def __init__(self, wrong):
            super().__init__()
            self.wrong = wrong

        def forward(self, pictures):
            y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
            edges = (places.nan_to_num(0.0) / 4)[..., None, None]
            sides = [x - edges[:, :, 0], y - edges[:, :, 1], edges[:, :, 2] - x, edges[:, :, 3] - y]
            centre = (places[..., :2] + places[..., 2:]) / 8
            near = encoders_pose.gaussians(centre, (32, 32), sigma=1.0).clamp(1e-6, 1 - 1e-6)
            return near.logit(), torch.stack(sides, 2).clamp(min=0) + self.wrong

    frames, boxes = encoders_detector.stills(FRESH, 2, 3)
    _, places = encoders_detector.batch(frames, boxes, 4, np.random.default_rng(1))

    def loss(wrong):
        return float(encoders_detector.detector_loss(Detector(wrong), frames, boxes, 4, np.random.default_rng(1)))

    assert loss(2.0) > loss(0.0) + 1
