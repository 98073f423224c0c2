"""The models of torchvision, video and image, without their last layer."""

from collections.abc import Callable
from copy import copy
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import torch
from torch import Tensor, nn
from torchvision import models

from pipeline.encoders.backbone import mean_over_frames
from pipeline.encoders.frames import channels_first
from pipeline.encoders.offline import fetching
from pipeline.encoders.weights import arithmetic, digest, load_body, pick_device
from pipeline.errors import ChoreoError

VIDEO = "torchvision.models.video"
CLIP_LENGTHS = {"swin3d": 32, "s3d": 128}  # frames that the published accuracies were measured with; 16 for the others


class TorchVision:
    """What a torchvision classifier hands to its last layer.

    A video model ("swin3d_t", "mvit_v2_s", "r3d_18", "s3d") sees the clip; of an image model ("resnet50") it is the
    mean over the frames. Pre-processing is `transforms()` of the weights; a file takes that of the default weights.

    Args:
        model: a name of `torchvision.models.list_models()`.
        weights: 'DEFAULT' or another of the model's weights ('KINETICS400_V1'), a checkpoint file, or None for random
            ones. A checkpoint may have any number of classes: its last layer is left aside.
        frames: T; None for the clip length that a video model was measured with, and 8 for an image model.
        precision: 'fp32' | 'fp16' | 'bf16', on a GPU only.
        device: 'auto' | 'cpu' | 'cuda'.
        batch: clips, or frames of an image model, through the network at once.
        crop: rows and columns of the middle of the frame that a video model is shown, squeezed to its own size; None:
            as many as it takes in, not squeezed. [224, 300] for features as they were published for RG and Fis-V.

    Raises:
        ChoreoError: unknown model or weights, weights out of reach, a checkpoint of another model, or a crop that there
            cannot be.
    """

    needs_frames = True

    def __init__(
        self,
        model: str = "swin3d_t",
        weights: str | Path | None = "DEFAULT",
        frames: int | None = None,
        precision: str = "fp32",
        device: str = "auto",
        batch: int = 8,
        crop: tuple[int, int] | None = None,
    ) -> None:
        builder = find(models.get_model_builder, model, "model", models.list_models())
        known = models.get_model_weights(builder)
        entry = named(known, weights)
        where = "give the file as `weights`"
        if entry is not None:
            where = f"put {Path(urlparse(entry.url).path).name} into {torch.hub.get_dir()}/checkpoints, or {where}"
        with fetching(f"the weights of torchvision model '{model}'", where):
            self.model = builder(weights=entry)
        head, self.dim = behead(self.model)
        if entry is None and weights is not None:
            load_body(self.model, weights, heads=(head,))
        self.transform = (entry or known.DEFAULT).transforms()
        self.identity = f"torchvision:{model}@{digest(self.model)}"
        self.video = builder.__module__.startswith(VIDEO)
        if crop is not None:
            if not self.video or len(crop) != 2 or min(crop) < 1:
                raise ChoreoError(
                    f"frames cannot be cut to {crop} for the torchvision model '{model}'",
                    "it is a model of images, or `crop` is not two numbers, rows and columns",
                    "leave `crop` out, or give it such as [224, 300] to a video model",
                )
            self.transform = squeezed(self.transform, crop)
        length = next((n for family, n in CLIP_LENGTHS.items() if model.startswith(family)), 16)
        self.frames = frames or (length if self.video else 8)
        self.device, self.precision, self.batch = pick_device(device), precision, batch
        self.model.to(self.device).eval()

    def encode(self, clips: list[np.ndarray]) -> np.ndarray:
        """B clips (T,H,W,3) uint8 RGB -> (B,D) float32."""
        if not clips:
            return np.zeros((0, self.dim), np.float32)
        if not self.video:
            return mean_over_frames(clips, self._features, self.batch)
        parts = (clips[i : i + self.batch] for i in range(0, len(clips), self.batch))
        return np.concatenate([self._features(part) for part in parts])

    @torch.inference_mode()
    def _features(self, part: list[np.ndarray] | np.ndarray) -> np.ndarray:
        """Clips (T,H,W,3) of a video model, or frames (H,W,3) of an image model -> (len(part),D)."""
        tensors = [channels_first(x) if x.ndim == 4 else channels_first(x[None])[0] for x in part]
        pixels = torch.stack([self.transform(x) for x in tensors]).to(self.device)
        with arithmetic(self.device, self.precision):
            return self.model(pixels).float().cpu().numpy()


def squeezed(preset: nn.Module, crop: tuple[int, int]) -> Callable[[Tensor], Tensor]:
    """A video model's pre-processing, with another part of the middle of the frame squeezed to the size it takes in."""
    wide, size = copy(preset), list(preset.crop_size)
    wide.crop_size = list(crop)

    def transform(clip: Tensor) -> Tensor:  # (T,3,H,W) uint8 -> (3,T,*size)
        pixels = wide(clip).transpose(0, 1)
        return nn.functional.interpolate(pixels, size, mode="bilinear", antialias=True).transpose(0, 1)

    return transform


def find(lookup, name: str, what: str, known: list[str]):
    """Look a name up in torchvision's registry."""
    try:
        return lookup(name)
    except (ValueError, KeyError) as error:
        raise ChoreoError(
            f"torchvision has no {what} '{name}'", "a misspelt name", f"known: {', '.join(known)}"
        ) from error


def named(known: type[models.WeightsEnum], weights: str | Path | None) -> models.WeightsEnum | None:
    """The entry of a model's published weights; None for a file, or for no weights."""
    if weights is None or Path(weights).is_file():
        return None
    return find(known.__getitem__, str(weights), "weights", [*known.__members__, "or a file"])


def behead(model: nn.Module) -> tuple[str, int]:
    """Put the identity in place of the last layer; its name and the width that it took in.

    In every classifier of torchvision the last linear layer or convolution, in the order of the modules, is the one
    that makes the classes.
    """
    kinds = nn.Linear | nn.Conv2d | nn.Conv3d
    name, layer = [(name, module) for name, module in model.named_modules() if isinstance(module, kinds)][-1]
    parent, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(parent), leaf, nn.Identity())
    return name, layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels
