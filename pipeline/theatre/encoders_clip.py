"""The theatre's backbone of short clips: what a second of a routine is made of, one vector for it.

It is trained on routines that nobody scored, by performers of their own, as backbones are before anybody thinks of
scores: to name the motion (the elements, and what is between them), and to say where the joints are, how fast they move
and how abruptly. It is told neither difficulties nor executions nor totals.
Axes: B clip, T frame, H W pixel, J joint, D feature.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.encoders.frames import resized
from pipeline.theatre import routines
from pipeline.theatre.elements import ELEMENTS
from pipeline.theatre.encoders_backbone import Glance, Moment
from pipeline.theatre.encoders_training import convolution, export, fit, photograph, pixels
from pipeline.theatre.puppet import COCO

FRAMES = 8  # a clip: one second of a routine
SIDE = 64  # px
SHIFT = 4  # px that pictures are moved at most
JOINTS = len(COCO)


class ClipNet(nn.Module):
    """(2+1)D convolutions (Tran et al., A Closer Look at Spatiotemporal Convolutions, 2018), pooled over space only."""

    def __init__(self, dim: int = 128, frames: int = FRAMES) -> None:
        super().__init__()
        self.frames = frames
        self.net = nn.Sequential(
            Glance(24, frames),
            convolution(48, 48),
            Moment(48, frames, stride=2),
            convolution(48, 80, stride=2),
            Moment(80, frames // 2, stride=2),
            convolution(80, 112),
            Moment(112, frames // 4),
            convolution(112, 112),
        )
        self.feature = nn.Sequential(nn.Linear(2 * 112 * (frames // 4), dim), nn.BatchNorm1d(dim, affine=False))

    def forward(self, clips: Tensor) -> Tensor:  # (B,T,H,W,3) uint8 -> (B,D)
        maps = self.net(pixels(clips.flatten(0, 1)))  # (B*T/4,C,h,w)
        pooled = torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], dim=1)
        return self.feature(pooled.unflatten(0, (-1, self.frames // 4)).flatten(1))


@dataclass(frozen=True)
class Routines:
    """Whole routines, small, with what moves in them.

    Attributes:
        frames: each (T,SIDE,SIDE,3) uint8 RGB.
        joints: each (T,J,2) float32, in torso lengths from the middle of the hips; COCO-17.
        motion: each (T,) int64, index into `ELEMENTS`, or as many as there are of them for what is between.
    """

    frames: list[np.ndarray]
    joints: list[np.ndarray]
    motion: list[np.ndarray]


def clips(seed: int, videos: int) -> Routines:
    """`videos` routines of the corpus."""
    frames, joints, motion = [], [], []
    for script in routines.corpus(seed, videos):
        play = routines.perform(script)
        frames.append(np.concatenate([resized(frame[None], SIDE, SIDE) for frame in play.frames]))
        joints.append(_bodily(play.joints))
        motion.append(np.concatenate([np.full(turn.frames, turn.element % (len(ELEMENTS) + 1)) for turn in play.turns]))
    return Routines(frames, joints, motion)


@dataclass(frozen=True)
class Batch:
    """Clips and what is to be said of them.

    Attributes:
        clips: (B,T,SIDE,SIDE,3) uint8.
        joints: (B,T,J,2) torso lengths.
        motion: (B,K+1) shares of the frames.
    """

    clips: Tensor
    joints: Tensor
    motion: Tensor

    @property
    def pace(self) -> Tensor:
        """How fast every joint is and how abruptly that changes, each a mean over the clip (B,2*J), as logarithms."""
        speed = self.joints.diff(dim=1)
        return torch.cat([(x.norm(dim=-1).mean(1) + 0.02).log() for x in (speed, speed.diff(dim=1))], dim=1)


def clip_batch(data: Routines, size: int, rng: np.random.Generator) -> Batch:
    """`size` clips from anywhere in the routines, shifted, by other cameras."""
    taken, joints, motion = [], [], []
    for n in rng.integers(len(data.frames), size=size):
        start = rng.integers(len(data.frames[n]) - FRAMES + 1)
        span = slice(start, start + FRAMES)
        moved = np.roll(data.frames[n][span], rng.integers(-SHIFT, SHIFT + 1, 2), axis=(1, 2))
        taken.append(photograph(moved, rng))
        joints.append(data.joints[n][span])
        motion.append(np.bincount(data.motion[n][span], minlength=len(ELEMENTS) + 1) / FRAMES)
    stacks = (torch.from_numpy(np.stack(rows)) for rows in (taken, joints, np.float32(motion)))
    return Batch(*stacks)


class Reader(nn.Module):
    """A backbone and linear readouts, which are thrown away after training."""

    def __init__(self, net: ClipNet, dim: int) -> None:
        super().__init__()
        self.net = net
        self.motion, self.joints = nn.Linear(dim, len(ELEMENTS) + 1), nn.Linear(dim, FRAMES * JOINTS * 2)
        self.pace = nn.Linear(dim, 2 * JOINTS)

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # (B,K+1), (B,T,J,2), (B,2*J)
        feature = self.net(clips)
        return self.motion(feature), self.joints(feature).view(-1, FRAMES, JOINTS, 2), self.pace(feature)

    @torch.no_grad()
    def begin(self, batch: Batch) -> None:
        """Let joints and pace begin at their means, which a small step size takes long to reach."""
        self.joints.bias.copy_(batch.joints.mean(0).flatten())
        self.pace.bias.copy_(batch.pace.mean(0))


def clip_loss(reader: Reader, batch: Batch) -> Tensor:
    """Cross-entropy of the motion, and squared errors of joints and pace."""
    motion, joints, pace = (said.float() for said in reader(batch.clips))
    return (
        nn.functional.cross_entropy(motion, batch.motion)
        + 2 * nn.functional.mse_loss(joints, batch.joints)
        + 3 * nn.functional.mse_loss(pace, batch.pace)
    )


def train_clip(
    out: Path,
    *,
    videos: int = 480,
    steps: int = 4000,
    batch: int = 48,
    dim: int = 128,
    seed: int = 0,
    bfloat16: bool = False,
) -> None:
    """Train the backbone of short clips on routines of the corpus; write `clip.onnx` into `out`.

    Args:
        out: folder of the file.
        videos: routines to render.
        steps: of `batch` clips each.
        batch: see above.
        dim: of the feature.
        seed: of the corpus, the initial weights and the batches.
        bfloat16: train in half precision: faster on CPUs that have it.
    """
    data = clips(seed, videos)
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        reader = Reader(ClipNet(dim), dim)
    reader.begin(clip_batch(data, 8 * batch, rng))

    def loss(net: Reader) -> Tensor:
        return clip_loss(net, clip_batch(data, batch, rng))

    reader = fit(reader, loss, steps=steps, rate=3e-3, bfloat16=bfloat16)
    out.mkdir(parents=True, exist_ok=True)
    example = torch.zeros(2, FRAMES, SIDE, SIDE, 3, dtype=torch.uint8)
    export(reader.net, example, out / "clip.onnx", inputs="clips", output="features")


def _bodily(joints: np.ndarray) -> np.ndarray:
    """Joints (T,J,2) px -> torso lengths from the middle of the hips; the torso is that of an upright moment."""
    hips, shoulders = (
        joints[:, [COCO.index(f"{side}_{name}") for side in ("left", "right")]].mean(1) for name in ("hip", "shoulder")
    )
    torso = np.quantile(np.linalg.norm(shoulders - hips, axis=-1), 0.9)
    return ((joints - hips[:, None]) / torso).astype(np.float32)
