"""The theatre's pose encoder: a person detector and a pose net, a megabyte each, as ONNX files.

Both files take uint8 RGB images (N,H,W,3) and hold their own normalisation.
Axes: N image, C channel, h w cell of a map, K box, J joint.
"""

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from pipeline.theatre.encoders_training import Stills, convolution, export, fit, photograph, pixels, plays, stills
from pipeline.theatre.stage import SWAPPED

FRAME = 128  # px, side of the detector's input
CROP = 96  # px, side of the pose net's input
MARGIN = 1.25  # side of the crop in lengths of the box's longer side
GREY = 114  # of the letterbox


class Detector(nn.Module):
    """Boxes of people as peaks of a centre map (Zhou et al., Objects as Points, 2019)."""

    stride = 8

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.net = nn.Sequential(
            convolution(3, width, size=5, stride=2),
            convolution(width, 2 * width, stride=2),
            convolution(2 * width, 4 * width, stride=2),
            *(convolution(4 * width, 4 * width, dilation=dilation) for dilation in (1, 2, 4, 1)),
            nn.Conv2d(4 * width, 5, 1),
        )
        nn.init.constant_(self.net[-1].bias[0], -4.0)

    def forward(
        self, frames: Tensor
    ) -> Tensor:  # (N,H,W,3) uint8 -> (N,5,h,w): centre logit; left, top, right, bottom in cells
        maps = self.net(pixels(frames))
        return torch.cat([maps[:, :1], nn.functional.softplus(maps[:, 1:])], dim=1)


class Boxes(nn.Module):
    """The detector with its decoding: the K highest local maxima of the centre map."""

    def __init__(self, detector: Detector, most: int = 5) -> None:
        super().__init__()
        self.detector, self.most = detector, most

    def forward(self, frames: Tensor) -> Tensor:  # (N,H,W,3) uint8 -> (N,K,6): x0 y0 x1 y1 px, score, class 0
        maps = self.detector(frames)
        width = maps.shape[-1]
        centre = maps[:, 0].sigmoid()
        peaks = centre * (centre == nn.functional.max_pool2d(centre, 5, 1, 2))
        score, cell = peaks.flatten(1).topk(self.most)  # (N,K)
        sides = maps[:, 1:].flatten(2).gather(2, cell[:, None].expand(-1, 4, -1)).transpose(1, 2)  # (N,K,4)
        middle = torch.stack([cell % width, cell // width], dim=-1)  # (N,K,2)
        corners = torch.cat([middle - sides[..., :2], middle + sides[..., 2:]], dim=-1) * self.detector.stride
        return torch.cat([corners, score[..., None], torch.zeros_like(score[..., None])], dim=-1)


class PoseNet(nn.Module):
    """One heat map a joint from a crop of one person: a small U-Net. The peak's height is the confidence."""

    stride = 2

    def __init__(self, joints: int = 17, widths: tuple[int, ...] = (24, 48, 64, 96)) -> None:
        super().__init__()
        first, last, steps = widths[0], widths[-1], list(pairwise(widths))
        self.stem = nn.Sequential(convolution(3, first, size=5, stride=2), convolution(first, first))
        self.down = nn.ModuleList(nn.Sequential(convolution(a, b, stride=2), convolution(b, b)) for a, b in steps)
        self.bottom = nn.Sequential(convolution(last, last, dilation=2), convolution(last, last))
        self.up = nn.ModuleList(nn.Sequential(convolution(a + b, a, size=1), convolution(a, a)) for a, b in steps[::-1])
        self.head = nn.Conv2d(first, joints, 1)

    def forward(self, crops: Tensor) -> Tensor:  # (N,H,W,3) uint8 -> (N,J,h,w)
        skips = [self.stem(pixels(crops))]
        for down in self.down:
            skips.append(down(skips[-1]))
        x = self.bottom(skips.pop())
        for up in self.up:
            x = up(torch.cat([nn.functional.interpolate(x, scale_factor=2.0, mode="nearest"), skips.pop()], dim=1))
        return self.head(x)


class HeatMaps(nn.Module):
    """The pose net as it ships: logits to 0-1."""

    def __init__(self, net: PoseNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, crops: Tensor) -> Tensor:  # (N,H,W,3) uint8 -> (N,J,h,w) in 0-1
        return self.net(crops).sigmoid()


def gaussians(points: Tensor, shape: tuple[int, int], sigma: float) -> Tensor:
    """Height-1 Gaussians (..., h, w) at `points` (..., 2) x,y in cells; zero where not finite."""
    rows, columns = (torch.arange(size, dtype=torch.float32) for size in shape)
    across = torch.exp(-((columns - points[..., :1]) ** 2) / (2 * sigma**2)).nan_to_num(0.0)  # (..., w)
    down = torch.exp(-((rows - points[..., 1:]) ** 2) / (2 * sigma**2)).nan_to_num(0.0)  # (..., h)
    return down[..., :, None] * across[..., None, :]


def crop_batch(data: Stills, size: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Crops (N,CROP,CROP,3) uint8 around loose boxes, turned, mirrored; joints (N,17,2) in crop px, visible (N,17)."""
    crops, joints, visible = [], [], []
    for n in rng.integers(len(data.frames), size=size):
        box, mirrored = data.box[n], rng.random() < 0.5
        longer = max(box[2:] - box[:2])
        scale = CROP / (MARGIN * longer * rng.uniform(0.8, 1.25))
        angle = rng.normal(0, 0.1)
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        turn = turn * ((-1, 1) if mirrored else (1, 1))
        centre = (box[:2] + box[2:]) / 2 + rng.normal(0, 0.05, 2) * longer
        shift = CROP / 2 - turn @ centre
        crop = cv2.warpAffine(data.frames[n], np.hstack([turn, shift[:, None]]), (CROP, CROP), flags=cv2.INTER_LINEAR)
        crops.append(hide(photograph(crop[None], rng)[0], rng))
        order = SWAPPED if mirrored else slice(None)
        joints.append((data.joints[n] @ turn.T + shift)[order])
        visible.append(data.visible[n][order])
    arrays = np.stack(crops), np.float32(joints), np.stack(visible)
    return tuple(torch.from_numpy(array) for array in arrays)


def hide(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cover a part of some crops with a plain rectangle, so that the net learns to infer hidden joints."""
    if rng.random() < 0.3:
        x, y = rng.integers(0, len(crop), 2)
        w, h = rng.integers(len(crop) // 10, len(crop) // 3, 2)
        crop[y : y + h, x : x + w] = rng.integers(0, 256, 3)
    return crop


def pose_loss(net: PoseNet, data: Stills, size: int, rng: np.random.Generator, hidden: float = 0.5) -> Tensor:
    """Cross-entropy of the heat maps with Gaussians at the joints, 1 high where seen and `hidden` where not."""
    crops, joints, visible = crop_batch(data, size, rng)
    logits = net(crops).float()
    height = torch.where(visible, 1.0, hidden)[..., None, None]
    target = height * gaussians(joints / net.stride, logits.shape[-2:], sigma=1.5)
    return 200 * nn.functional.binary_cross_entropy_with_logits(logits, target)


def frame_batch(frames: np.ndarray, boxes: np.ndarray, size: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Pictures (N,FRAME,FRAME,3) uint8, fitted at the top left on grey; boxes (N,4) in them, NaN where nobody is."""
    pictures, places = [], []
    for n in rng.integers(len(frames), size=size):
        frame, box = part(frames[n], boxes[n], rng)
        scale = FRAME / max(frame.shape[:2])
        small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)[:FRAME, :FRAME]
        picture = np.full((FRAME, FRAME, 3), GREY, np.uint8)
        picture[: small.shape[0], : small.shape[1]] = photograph(small[None], rng)[0]
        pictures.append(picture)
        places.append(box * scale)
    return torch.from_numpy(np.stack(pictures)), torch.from_numpy(np.float32(places))


def part(frame: np.ndarray, box: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The whole frame or a part of it, with most of the performer or without; and the box in it, NaN when left out."""
    height, width = frame.shape[:2]
    for _ in range(rng.integers(0, 6)):
        w, h = (rng.uniform(0.3, 1, 2) * (width, height)).astype(int)
        x, y = rng.integers(0, width - w + 1), rng.integers(0, height - h + 1)
        inside = np.concatenate([box[:2].clip((x, y), (x + w, y + h)), box[2:].clip((x, y), (x + w, y + h))])
        shown = np.prod(inside[2:] - inside[:2]) / np.prod(box[2:] - box[:2])
        if shown > 0.8 or shown < 0.02:
            return frame[y : y + h, x : x + w], (inside - (x, y, x, y)) if shown > 0.8 else np.full(4, np.nan)
    return frame, box


def detector_loss(net: Detector, frames: np.ndarray, boxes: np.ndarray, size: int, rng: np.random.Generator) -> Tensor:
    """Cross-entropy of the centre map and, around the centres, one minus the boxes' intersection over union."""
    pictures, places = frame_batch(frames, boxes, size, rng)
    maps, places = net(pictures).float(), places / net.stride
    height, width = maps.shape[-2:]
    near = gaussians((places[:, :2] + places[:, 2:]) / 2, (height, width), sigma=1.0)  # (N,h,w)
    weight = 1 + 20 * near
    entropy = nn.functional.binary_cross_entropy_with_logits(maps[:, 0], near, weight, reduction="sum") / len(maps)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    edges = places.nan_to_num(0.0)[..., None, None]  # (N,4,1,1)
    sides = torch.stack([x - edges[:, 0], y - edges[:, 1], edges[:, 2] - x, edges[:, 3] - y], dim=1).clamp(min=0)
    overlap = intersection_over_union(maps[:, 1:], sides)
    return entropy + 2 * ((1 - overlap) * near).sum() / near.sum().clamp(min=1)


def intersection_over_union(a: Tensor, b: Tensor) -> Tensor:
    """Of boxes given as (N,4,...): left, top, right, bottom from one point inside both."""
    inside = torch.minimum(a, b)
    shared, first, second = ((s[:, 0] + s[:, 2]) * (s[:, 1] + s[:, 3]) for s in (inside, a, b))
    return shared / (first + second - shared).clamp(min=1e-6)


def train_pose(
    out: Path,
    *,
    videos: int = 1500,
    stills_per_video: int = 8,
    steps: int = 2000,
    detector_steps: int = 900,
    batch: int = 64,
    seed: int = 0,
    bfloat16: bool = False,
) -> None:
    """Train the detector and the pose net on plays of the corpus; write `detector.onnx` and `pose.onnx` into `out`.

    Args:
        out: folder of the two files.
        videos: plays to render.
        stills_per_video: frames kept of each play.
        steps: of the pose net, `batch` crops each.
        detector_steps: of the detector, `batch` frames each.
        batch: see above.
        seed: of the corpus, the initial weights and the batches.
        bfloat16: train in half precision: twice as fast on CPUs with AMX.
    """
    data = stills(seed, videos, stills_per_video)
    empty = np.stack([play.frames[0] for play in plays(seed, max(1, videos // 3), empty=True)])
    frames = np.concatenate([data.frames, empty])
    boxes = np.concatenate([data.box, np.full((len(empty), 4), np.nan, np.float32)])
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        detector, net = Detector(), PoseNet()
    out.mkdir(parents=True, exist_ok=True)
    print("detector")
    detector = fit(
        detector,
        lambda net: detector_loss(net, frames, boxes, batch, rng),
        steps=detector_steps,
        rate=3e-3,
        bfloat16=bfloat16,
    )
    export(
        Boxes(detector),
        torch.zeros(2, FRAME, FRAME, 3, dtype=torch.uint8),
        out / "detector.onnx",
        inputs="frames",
        output="boxes",
    )
    print("pose net")
    net = fit(net, lambda net: pose_loss(net, data, batch, rng), steps=steps, rate=3e-3, bfloat16=bfloat16)
    export(
        HeatMaps(net),
        torch.zeros(2, CROP, CROP, 3, dtype=torch.uint8),
        out / "pose.onnx",
        inputs="crops",
        output="heatmaps",
    )
