"""VideoMAE (Tong et al., NeurIPS 2022), from transformers: the mean of all tokens, as its classifier sees it."""

from pathlib import Path

import numpy as np
import torch

from pipeline.encoders.offline import fetching, hub_cache
from pipeline.encoders.weights import arithmetic, digest, pick_device


class VideoMAE:
    """Mean-pooled tokens of a VideoMAE encoder; 768 of them for the base size.

    A checkpoint fine-tuned as a classifier has a LayerNorm between the mean and its linear layer (`fc_norm`); it
    belongs to the feature. A checkpoint from pre-training has none, and gives the mean alone.

    Args:
        model: a name on the Hugging Face hub, or a folder with config.json, preprocessor_config.json and the weights.
        precision: 'fp32' | 'fp16' | 'bf16', on a GPU only.
        device: 'auto' | 'cpu' | 'cuda'.
        batch: clips through the network at once.

    Raises:
        ChoreoError: the files are out of reach.
    """

    needs_frames = True

    def __init__(
        self,
        model: str = "MCG-NJU/videomae-base-finetuned-kinetics",
        precision: str = "fp32",
        device: str = "auto",
        batch: int = 8,
    ) -> None:
        from transformers import VideoMAEForVideoClassification, VideoMAEImageProcessor

        with fetching(f"the files of VideoMAE '{model}'", hub_cache(model)):
            self.processor = VideoMAEImageProcessor.from_pretrained(model)
            whole, found = VideoMAEForVideoClassification.from_pretrained(model, output_loading_info=True)
        trained = whole.fc_norm is not None and not any(k.startswith("fc_norm.") for k in found["missing_keys"])
        self.norm = whole.fc_norm if trained else torch.nn.Identity()
        self.tokens = whole.videomae
        self.identity = f"videomae:{Path(model).name}@{digest(torch.nn.ModuleList([self.tokens, self.norm]))}"
        self.dim, self.frames = whole.config.hidden_size, whole.config.num_frames
        self.device, self.precision, self.batch = pick_device(device), precision, batch
        whole.to(self.device).eval()

    @torch.inference_mode()
    def encode(self, clips: list[np.ndarray]) -> np.ndarray:
        """B clips (T,H,W,3) uint8 RGB -> (B,D) float32; resize, crop and normalisation are the checkpoint's own."""
        rows = np.zeros((len(clips), self.dim), np.float32)
        for start in range(0, len(clips), self.batch):
            part = [list(clip) for clip in clips[start : start + self.batch]]
            pixels = self.processor(part, return_tensors="pt")["pixel_values"].to(self.device)  # (B,T,3,S,S)
            with arithmetic(self.device, self.precision):
                mean = self.norm(self.tokens(pixels).last_hidden_state.mean(1))
            rows[start : start + self.batch] = mean.float().cpu().numpy()
        return rows
