"""I3D: two-dimensional filters inflated into time (Carreira & Zisserman, CVPR 2017, Fig. 3: Inception-V1).

Written from the paper. Names and shapes of the weights are those of `rgb_imagenet.pt` and `rgb_charades.pt`, the
publishers' weights as they are passed on for PyTorch, and padding is TensorFlow's "SAME", which they were trained with.

Axes: B clip, C channel, T frame, H W pixel.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.encoders.backbone import with_short_side
from pipeline.encoders.frames import channels_first
from pipeline.encoders.weights import arithmetic, digest, pick_device, read_checkpoint, require_match
from pipeline.errors import ChoreoError

SHORT_SIDE, CROP = 256, 224  # px
COUNTER = ".num_batches_tracked"  # of batch normalisation; only files that PyTorch 0.4.1 or later wrote have it

# Channels of a mixed block: 1x1x1 | 1x1x1, 3x3x3 | 1x1x1, 3x3x3 | pool, 1x1x1
MIXED = {
    "3b": (64, 96, 128, 16, 32, 32),
    "3c": (128, 128, 192, 32, 96, 64),
    "4b": (192, 96, 208, 16, 48, 64),
    "4c": (160, 112, 224, 24, 64, 64),
    "4d": (128, 128, 256, 24, 64, 64),
    "4e": (112, 144, 288, 32, 64, 64),
    "4f": (256, 160, 320, 32, 128, 128),
    "5b": (256, 160, 320, 32, 128, 128),
    "5c": (384, 192, 384, 48, 128, 128),
}


class I3D:
    """The 1024 values that an I3D network hands to its last layer, averaged over the clip.

    Pre-processing is the publishers': short side 256 px, bilinear, the middle 224 x 224, values from -1 to 1.

    Args:
        model: the checkpoint, such as rgb_imagenet.pt; all its keys and shapes must fit.
        classes: classes that it was trained on; 400 for Kinetics.
        frames: T.
        precision: 'fp32' | 'fp16' | 'bf16', on a GPU only.
        device: 'auto' | 'cpu' | 'cuda'.
        batch: clips through the network at once.

    Raises:
        ChoreoError: no such checkpoint, or one of another model, by the first key that does not fit.
    """

    needs_frames = True
    dim = 1024

    def __init__(
        self,
        model: Path,
        classes: int = 400,
        frames: int = 16,
        precision: str = "fp32",
        device: str = "auto",
        batch: int = 8,
    ) -> None:
        self.model = Network(classes)
        load(self.model, model)
        self.identity = f"i3d:{Path(model).stem}@{digest(self.model)}"
        self.frames, self.precision, self.batch = frames, precision, batch
        self.device = pick_device(device)
        self.model.to(self.device).eval()

    @torch.inference_mode()
    def encode(self, clips: list[np.ndarray]) -> np.ndarray:
        """B clips (T,H,W,3) uint8 RGB -> (B,1024) float32."""
        rows = np.zeros((len(clips), self.dim), np.float32)
        for start in range(0, len(clips), self.batch):
            part = torch.stack([prepared(clip) for clip in clips[start : start + self.batch]]).to(self.device)
            with arithmetic(self.device, self.precision):
                rows[start : start + self.batch] = self.model.features(part).float().cpu().numpy()
        return rows


class Network(nn.Module):
    """(B,3,T,H,W), values from -1 to 1 -> logits (B, classes)."""

    def __init__(self, classes: int = 400) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = Unit(3, 64, 7, 2)
        self.Conv3d_2b_1x1 = Unit(64, 64, 1)
        self.Conv3d_2c_3x3 = Unit(64, 192, 3)
        width = 192
        for name, channels in MIXED.items():
            mixed = Mixed(width, *channels)
            self.add_module(f"Mixed_{name}", mixed)
            width = mixed.width
        self.logits = nn.ModuleDict({"conv3d": nn.Conv3d(width, classes, 1)})

    def features(self, x: Tensor) -> Tensor:
        """(B,3,T,H,W) -> (B,1024): the mean over windows of two time steps, as the last layer sees them."""
        x = pool(self.Conv3d_1a_7x7(x), (1, 3, 3), (1, 2, 2))  # (B,64,T/2,H/4,W/4)
        x = self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x))
        x = pool(x, (1, 3, 3), (1, 2, 2))  # (B,192,T/2,H/8,W/8)
        x = self.Mixed_3c(self.Mixed_3b(x))
        x = pool(x, (3, 3, 3), (2, 2, 2))  # (B,480,T/4,H/16,W/16)
        x = self.Mixed_4f(self.Mixed_4e(self.Mixed_4d(self.Mixed_4c(self.Mixed_4b(x)))))
        x = pool(x, (2, 2, 2), (2, 2, 2))  # (B,832,T/8,H/32,W/32)
        x = self.Mixed_5c(self.Mixed_5b(x))  # (B,1024,T/8,H/32,W/32)
        return functional.avg_pool3d(x, (min(2, x.shape[2]), *x.shape[3:]), stride=1).mean((2, 3, 4))

    def forward(self, x: Tensor) -> Tensor:
        """Logits, averaged over time."""
        return self.logits["conv3d"](self.features(x)[:, :, None, None, None]).flatten(1)


class Mixed(nn.Module):
    """Four branches side by side: (B,C,T,H,W) -> (B,width,T,H,W)."""

    def __init__(self, inputs: int, one: int, to_two: int, two: int, to_three: int, three: int, pooled: int) -> None:
        super().__init__()
        self.width = one + two + three + pooled
        self.b0 = Unit(inputs, one, 1)
        self.b1a, self.b1b = Unit(inputs, to_two, 1), Unit(to_two, two, 3)
        self.b2a, self.b2b = Unit(inputs, to_three, 1), Unit(to_three, three, 3)
        self.b3b = Unit(inputs, pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        branches = self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(pool(x, (3, 3, 3), (1, 1, 1)))
        return torch.cat(branches, 1)


class Unit(nn.Module):
    """Convolution, batch normalisation, ReLU: (B,C,T,H,W) -> (B,outputs, T,H,W over stride, rounded up)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(inputs, outputs, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv3d(same(x, self.conv3d.kernel_size, self.conv3d.stride))))


def pool(x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    """Largest values under a kernel; the zeros around never win, because what is pooled went through a ReLU."""
    return functional.max_pool3d(same(x, kernel, stride), kernel, stride)


def same(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """Zeros around T, H and W so that ceil(size / stride) windows fit; an odd one goes to the end."""
    sides: list[int] = []
    for size, k, s in zip(x.shape[2:], kernel, stride):
        total = max(0, (-(-size // s) - 1) * s + k - size)
        sides = [total // 2, total - total // 2, *sides]  # `pad` wants the last axis first
    return functional.pad(x, sides)


def prepared(clip: np.ndarray) -> Tensor:
    """(T,H,W,3) uint8 RGB -> (3,T,224,224) float32 from -1 to 1."""
    frames = np.stack([with_short_side(frame, SHORT_SIDE) for frame in clip])
    top, left = ((size - CROP) // 2 for size in frames.shape[1:3])
    middle = frames[:, top : top + CROP, left : left + CROP]
    return channels_first(middle).transpose(0, 1).float() / 127.5 - 1


def load(network: nn.Module, path: str | Path) -> None:
    """Fill a network from a checkpoint in which every key and shape must be as its own.

    Raises:
        ChoreoError: no such file, or the first key that does not fit.
    """
    state = {k: v for k, v in read_checkpoint(path).items() if not k.endswith(COUNTER)}
    own = {k: v for k, v in network.state_dict().items() if not k.endswith(COUNTER)}
    require_match(path, own.keys() - state.keys(), state.keys() - own.keys())
    for key, value in own.items():
        if state[key].shape != value.shape:
            raise ChoreoError(
                f"the checkpoint {path} has '{key}' of shape {tuple(state[key].shape)}, not {tuple(value.shape)}",
                "it was trained on other classes or pictures, such as optical flow",
                "say its number of `classes`, or fetch the weights for RGB pictures",
            )
    network.load_state_dict(state)
