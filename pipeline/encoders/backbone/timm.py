"""The image models of timm, as video backbones: the mean over frames of the pooled features."""

from pathlib import Path

import numpy as np
import timm
import torch
from timm.data import create_transform, resolve_model_data_config

from pipeline.encoders.backbone import mean_over_frames
from pipeline.encoders.frames import transformed
from pipeline.encoders.offline import fetching, hub_cache
from pipeline.encoders.weights import arithmetic, digest, load_body, pick_device
from pipeline.errors import ChoreoError


class Timm:
    """Pooled features of a timm model, averaged over the frames; pre-processing is the model's own data config.

    Args:
        model: a name of `timm.list_models()`, with or without a tag ("vit_base_patch14_dinov2.lvd142m").
        pretrained: fetch the published weights; False for random ones, or with a checkpoint.
        checkpoint: a file of weights; its classifier, of any number of classes, is left aside.
        frames: T.
        precision: 'fp32' | 'fp16' | 'bf16', on a GPU only.
        device: 'auto' | 'cpu' | 'cuda'.
        batch: frames through the network at once.

    Raises:
        ChoreoError: unknown model, weights out of reach, or a checkpoint of another model.
    """

    needs_frames = True

    def __init__(
        self,
        model: str = "vit_base_patch14_dinov2.lvd142m",
        pretrained: bool = True,
        checkpoint: Path | None = None,
        frames: int = 8,
        precision: str = "fp32",
        device: str = "auto",
        batch: int = 32,
    ) -> None:
        if not timm.is_model(model):
            near = ", ".join(timm.list_models(f"*{model.partition('.')[0][:6]}*")[:10])
            raise ChoreoError(f"timm has no model '{model}'", "a misspelt name", f"known: {near}, ...")
        repository = (timm.get_pretrained_cfg(model) or timm.get_pretrained_cfg(model.partition(".")[0])).hf_hub_id
        with fetching(f"the weights of timm model '{model}'", hub_cache(repository or model) + " as `checkpoint`"):
            self.model = timm.create_model(model, pretrained=pretrained and checkpoint is None, num_classes=0)
        if checkpoint is not None:
            heads = self.model.pretrained_cfg["classifier"]
            load_body(self.model, checkpoint, heads=(heads,) if isinstance(heads, str) else tuple(heads))
        self.transform = create_transform(**resolve_model_data_config(self.model), is_training=False)
        self.identity = f"timm:{model}@{digest(self.model)}"
        self.frames, self.precision, self.batch = frames, precision, batch
        self.device = pick_device(device)
        self.model.to(self.device).eval()
        self.dim = self._features(np.zeros((1, 32, 32, 3), np.uint8)).shape[1]

    def encode(self, clips: list[np.ndarray]) -> np.ndarray:
        """B clips (T,H,W,3) uint8 RGB -> (B,D) float32."""
        if not clips:
            return np.zeros((0, self.dim), np.float32)
        return mean_over_frames(clips, self._features, self.batch)

    @torch.inference_mode()
    def _features(self, frames: np.ndarray) -> np.ndarray:
        """(N,H,W,3) uint8 -> (N,D) float32."""
        pixels = transformed(frames, self.transform).to(self.device)
        with arithmetic(self.device, self.precision):
            return self.model(pixels).float().cpu().numpy()
