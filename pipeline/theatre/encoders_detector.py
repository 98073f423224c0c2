"""The theatre's object detector: who and what is where in a frame of the act `home`, half a megabyte, as an ONNX file.

The file takes uint8 RGB images (N,H,W,3) and holds its own normalisation.
Axes: N image, C class, K box, h w cell of a map.
"""

import json
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from pipeline.theatre import home
from pipeline.theatre.encoders_pose import FRAME, gaussians, intersection_over_union
from pipeline.theatre.encoders_training import convolution, export, fit, photograph, pixels


class Detector(nn.Module):
    """Things of C classes as peaks of C centre maps, with one box a cell (Zhou et al., Objects as Points, 2019)."""

    stride = 4

    def __init__(self, classes: int, width: int = 16) -> None:
        super().__init__()
        self.fine = nn.Sequential(convolution(3, width, size=5, stride=2), convolution(width, 2 * width, stride=2))
        self.coarse = nn.Sequential(
            convolution(2 * width, 4 * width, stride=2),
            *(convolution(4 * width, 4 * width, dilation=dilation) for dilation in (1, 2, 4, 1)),
        )
        self.join = convolution(6 * width, 4 * width)
        self.centre = nn.Conv2d(4 * width, classes, 1)
        self.sides = nn.Conv2d(4 * width, 4 * classes, 1)
        nn.init.constant_(self.centre.bias, -4.0)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """(N,H,W,3) uint8 -> centre logits (N,C,h,w); left, top, right, bottom in cells (N,C,4,h,w)."""
        fine = self.fine(pixels(frames))
        coarse = nn.functional.interpolate(self.coarse(fine), scale_factor=2.0, mode="nearest")
        x = self.join(torch.cat([fine, coarse], dim=1))
        centre = self.centre(x)
        return centre, nn.functional.softplus(self.sides(x)).unflatten(1, (centre.shape[1], 4))


class Boxes(nn.Module):
    """The detector with its decoding: of each class the K highest local maxima of the centre map."""

    def __init__(self, detector: Detector, most: int = 2) -> None:
        super().__init__()
        self.detector, self.most = detector, most

    def forward(self, frames: Tensor) -> Tensor:  # (N,H,W,3) uint8 -> (N,C*K,6): x0 y0 x1 y1 px, score, class
        logits, sides = self.detector(frames)
        classes, width = logits.shape[1], logits.shape[-1]
        centre = logits.sigmoid()
        peaks = centre * (centre == nn.functional.max_pool2d(centre, 5, 1, 2))
        score, cell = peaks.flatten(2).topk(self.most)  # (N,C,K)
        side = sides.flatten(3).gather(3, cell[:, :, None].expand(-1, -1, 4, -1)).transpose(2, 3)  # (N,C,K,4)
        middle = torch.stack([cell % width, cell // width], dim=-1)  # (N,C,K,2)
        corners = torch.cat([middle - side[..., :2], middle + side[..., 2:]], dim=-1) * self.detector.stride
        kind = torch.arange(classes)[None, :, None].expand_as(score).to(score.dtype)
        return torch.cat([corners, score[..., None], kind[..., None]], dim=-1).flatten(1, 2)


def stills(seed: int, videos: int, per_play: int) -> tuple[np.ndarray, np.ndarray]:
    """`per_play` frames of each of `videos` plays: frames (N,H,W,3) uint8, boxes (N,C,4) px, NaN where unseen."""
    rng = np.random.default_rng(seed)
    frames, boxes = [], []
    for script in home.corpus(seed, videos):
        play = home.perform(script)
        for t in rng.choice(len(play.frames), per_play, replace=False):
            box = np.full((len(home.NODES), 4), np.nan, np.float32)
            there = play.nodes >= 0
            box[play.nodes[there]] = play.boxes[t, there]
            frames.append(play.frames[t])
            boxes.append(box)
    return np.stack(frames), np.stack(boxes)


def batch(frames: np.ndarray, boxes: np.ndarray, size: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Pictures (N,FRAME,FRAME,3) uint8, mirrored, shifted, scaled and with another camera's noise; boxes (N,C,4)."""
    pictures, places = [], []
    for n in rng.integers(len(frames), size=size):
        scale, shift = rng.uniform(0.85, 1.2), rng.uniform(-12, 12, 2)
        centre = FRAME / 2
        move = np.float64(
            [[scale, 0, centre - scale * centre + shift[0]], [0, scale, centre - scale * centre + shift[1]]]
        )
        picture = cv2.warpAffine(frames[n], move, (FRAME, FRAME), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        box = (boxes[n].reshape(-1, 2) * scale + move[:, 2]).reshape(-1, 4)
        if rng.random() < 0.5:
            picture = picture[:, ::-1]
            box = (FRAME - 1 - box[:, [2, 1, 0, 3]]) * [1, 0, 1, 0] + box * [0, 1, 0, 1]
        inside = box.clip(0, FRAME - 1)
        shown = np.prod(inside[:, 2:] - inside[:, :2], 1) / np.prod(box[:, 2:] - box[:, :2], 1).clip(1)
        inside[~(shown > 0.4)] = np.nan  # little of it is left in the picture, or nothing was there
        pictures.append(photograph(np.ascontiguousarray(picture)[None], rng)[0])
        places.append(inside)
    return torch.from_numpy(np.stack(pictures)), torch.from_numpy(np.float32(places))


def detector_loss(net: Detector, frames: np.ndarray, boxes: np.ndarray, size: int, rng: np.random.Generator) -> Tensor:
    """Cross-entropy of the centre maps and, around the centres, one minus the boxes' intersection over union."""
    pictures, places = batch(frames, boxes, size, rng)
    logits, found = (maps.float() for maps in net(pictures))
    places = places / net.stride
    height, width = logits.shape[-2:]
    near = gaussians((places[..., :2] + places[..., 2:]) / 2, (height, width), sigma=1.0)  # (N,C,h,w)
    weight = 1 + 20 * near
    entropy = nn.functional.binary_cross_entropy_with_logits(logits, near, weight, reduction="sum") / len(logits)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    edges = places.nan_to_num(0.0)[..., None, None]  # (N,C,4,1,1)
    sides = [x - edges[:, :, 0], y - edges[:, :, 1], edges[:, :, 2] - x, edges[:, :, 3] - y]
    overlap = intersection_over_union(found.transpose(1, 2), torch.stack(sides, dim=1).clamp(min=0))  # (N,C,h,w)
    return entropy + 10 * ((1 - overlap) * near).sum() / near.sum().clamp(min=1)


def train_detector(
    out: Path,
    *,
    videos: int = 700,
    stills_per_video: int = 8,
    steps: int = 1800,
    size: int = 32,
    seed: int = 0,
    bfloat16: bool = False,
) -> None:
    """Train the object detector on plays of the act `home`; write `objects.onnx` and the names of its classes.

    Args:
        out: folder of `objects.onnx` and `objects.json`.
        videos: plays to render, by performers that the demo does not show.
        stills_per_video: frames kept of each play.
        steps: optimisation steps.
        size: frames a step.
        seed: of the plays, the initial weights and the batches.
        bfloat16: train in half precision: twice as fast on CPUs with AMX.
    """
    frames, boxes = stills(seed, videos, stills_per_video)
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        detector = Detector(len(home.NODES))
    loss = lambda net: detector_loss(net, frames, boxes, size, rng)  # noqa: E731
    detector = fit(detector, loss, steps=steps, rate=3e-3, bfloat16=bfloat16)
    out.mkdir(parents=True, exist_ok=True)
    example = torch.zeros(2, FRAME, FRAME, 3, dtype=torch.uint8)
    export(Boxes(detector), example, out / "objects.onnx", inputs="frames", output="boxes")
    (out / "objects.json").write_text(json.dumps(home.NODES) + "\n")
