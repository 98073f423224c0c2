"""The theatre's clip backbone: a small video net, trained to name motion, objects and scene of random plays.

The three are drawn independently in those plays, so that none can be guessed from another; it never sees a class of the
demo. Axes: B clip, T frame, H W pixel, C channel, D feature.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.encoders.frames import resized
from pipeline.theatre.encoders_training import convolution, export, fit, photograph, pixels, plays
from pipeline.theatre.motions import PRIMITIVES
from pipeline.theatre.props import OBJECTS
from pipeline.theatre.scenery import SCENES

FRAMES = 16  # a clip, evenly spread over a video
SIDE = 64  # px


class Moment(nn.Module):
    """Convolution over time with batch norm and a skip: (B*T,C,H,W) -> (B*T/stride,C,H,W)."""

    def __init__(self, channels: int, frames: int, *, stride: int = 1) -> None:
        super().__init__()
        self.frames, self.stride = frames, stride
        self.conv = nn.Conv2d(channels, channels, (3, 1), (stride, 1), (1, 0), bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        line = x.unflatten(0, (-1, self.frames)).permute(0, 2, 1, 3, 4).flatten(3)  # (B,C,T,H*W)
        moved = nn.functional.relu(self.norm(self.conv(line)) + line[:, :, :: self.stride])
        return moved.unflatten(3, (height, width)).permute(0, 2, 1, 3, 4).flatten(0, 1)


class Glance(nn.Module):
    """A linear look at 6 x 6 pixels every 4, and its change since the frame before: (B*T,3,H,W) -> (B*T,2C,H/4,W/4)."""

    def __init__(self, channels: int, frames: int) -> None:
        super().__init__()
        self.frames = frames
        self.conv = nn.Conv2d(12, channels, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        look = self.conv(nn.functional.pixel_unshuffle(x, 2))
        line = look.unflatten(0, (-1, self.frames))  # (B,T,C,h,w)
        change = torch.cat([torch.zeros_like(line[:, :1]), line[:, 1:] - line[:, :-1]], dim=1).flatten(0, 1)
        return nn.functional.relu(self.norm(torch.cat([look, change], dim=1)))


class ClipNet(nn.Module):
    """(2+1)D convolutions (Tran et al., A Closer Look at Spatiotemporal Convolutions, 2018)."""

    def __init__(self, dim: int = 192, frames: int = FRAMES) -> None:
        super().__init__()
        self.frames = frames
        self.net = nn.Sequential(
            Glance(32, frames),
            convolution(64, 64),
            Moment(64, frames, stride=2),
            convolution(64, 96, stride=2),
            Moment(96, frames // 2, stride=2),
            convolution(96, 128),
            Moment(128, frames // 4),
            convolution(128, 128),
        )
        self.feature = nn.Sequential(nn.Linear(2 * 128 * (frames // 4), dim), nn.BatchNorm1d(dim, affine=False))

    def forward(self, clips: Tensor) -> Tensor:  # (B,T,H,W,3) uint8 -> (B,D)
        maps = self.net(pixels(clips.flatten(0, 1)))  # (B*T/4,C,h,w)
        pooled = torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], dim=1)
        return self.feature(pooled.unflatten(0, (-1, self.frames // 4)).flatten(1))


@dataclass(frozen=True)
class Clips:
    """Whole plays, small, with their independent factors.

    Attributes:
        frames: each (T,SIDE,SIDE,3) uint8 RGB.
        motion: (N,) int64, index into PRIMITIVES.
        objects: (N,K) float32, 1 where the object is on stage.
        scene: (N,) int64, index into SCENES.
    """

    frames: list[np.ndarray]
    motion: Tensor
    objects: Tensor
    scene: Tensor


def clips(seed: int, videos: int) -> Clips:
    """`videos` plays of the corpus."""
    frames, motion, objects, scene = [], [], [], []
    for play in plays(seed, videos):
        frames.append(resized(play.frames, SIDE, SIDE))
        motion.append(play.primitive.max())
        objects.append([float(name in play.objects) for name in OBJECTS])
        scene.append(SCENES.index(play.scene))
    return Clips(frames, torch.tensor(np.array(motion)), torch.tensor(objects), torch.tensor(scene))


def clip_batch(data: Clips, chosen: np.ndarray, rng: np.random.Generator) -> Tensor:
    """Clips (B,FRAMES,SIDE,SIDE,3) uint8: most of each play, evenly sampled, shifted, mirrored, other cameras."""
    batch = []
    for n in chosen:
        play = data.frames[n]
        length = rng.uniform(0.85, 1.0) * len(play)
        start = rng.uniform(0, len(play) - length)
        frames = play[(start + (np.arange(FRAMES) + rng.uniform(0.2, 0.8)) * length / FRAMES).astype(int)]
        frames = np.roll(frames, rng.integers(-4, 5, 2), axis=(1, 2))  # what leaves one edge comes in at the other
        batch.append(photograph(frames[:, :, ::-1] if rng.random() < 0.5 else frames, rng))
    return torch.from_numpy(np.stack(batch))


class Reader(nn.Module):
    """A backbone and linear readouts of the factors, which are thrown away after training."""

    def __init__(self, net: ClipNet, dim: int) -> None:
        super().__init__()
        self.net = net
        self.motion, self.objects, self.scene = (nn.Linear(dim, len(names)) for names in (PRIMITIVES, OBJECTS, SCENES))

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        feature = self.net(clips)
        return self.motion(feature), self.objects(feature), self.scene(feature)


def backbone_loss(reader: Reader, data: Clips, size: int, rng: np.random.Generator) -> Tensor:
    """Cross-entropies of the three factors."""
    chosen = rng.integers(len(data.frames), size=size)
    motion, objects, scene = reader(clip_batch(data, chosen, rng))
    return (
        nn.functional.cross_entropy(motion.float(), data.motion[chosen], label_smoothing=0.05)
        + 5 * nn.functional.binary_cross_entropy_with_logits(objects.float(), data.objects[chosen])
        + 0.5 * nn.functional.cross_entropy(scene.float(), data.scene[chosen], label_smoothing=0.05)
    )


def train_backbone(
    out: Path,
    *,
    videos: int = 2400,
    steps: int = 1200,
    batch: int = 32,
    dim: int = 192,
    seed: int = 0,
    bfloat16: bool = False,
) -> None:
    """Train the clip backbone on plays of the corpus; write `backbone.onnx` into `out`.

    Args:
        out: folder of the file.
        videos: plays to render.
        steps: of `batch` clips each.
        batch: see above.
        dim: of the feature.
        seed: of the corpus, the initial weights and the batches.
        bfloat16: train in half precision: twice as fast on CPUs with AMX.
    """
    data = clips(seed, videos)
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        reader = Reader(ClipNet(dim), dim)
    reader = fit(reader, lambda net: backbone_loss(net, data, batch, rng), steps=steps, rate=2e-3, bfloat16=bfloat16)
    out.mkdir(parents=True, exist_ok=True)
    example = torch.zeros(2, FRAMES, SIDE, SIDE, 3, dtype=torch.uint8)
    export(reader.net, example, out / "backbone.onnx", inputs="clips", output="features")
