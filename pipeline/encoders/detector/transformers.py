"""Object detectors of transformers: RT-DETR (Zhao et al., CVPR 2024), DETR, YOLOS and others that it loads by name."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import AutoImageProcessor, AutoModelForObjectDetection

from pipeline.encoders.detector import Detections
from pipeline.encoders.offline import fetching, hub_cache
from pipeline.encoders.weights import digest, pick_device


class Transformers:
    """Things in frames, by one transformers checkpoint.

    Args:
        model: a folder or a name on the Hugging Face hub.
        score: things below this score are left out.
        batch: frames at a time.
        device: auto, cpu, cuda or cuda:N.
    """

    def __init__(
        self,
        model: str = "PekingU/rtdetr_r50vd_coco_o365",
        score: float = 0.25,
        batch: int = 32,
        device: str = "auto",
    ) -> None:
        self.device = pick_device(device)
        self.processor, self.model = checkpoint(model, AutoModelForObjectDetection, self.device)
        labels = self.model.config.id2label
        self.classes = tuple(labels[i] for i in range(len(labels)))
        self.score, self.batch = score, batch
        self.weights = f"{short(model)}@{digest(self.model)}"
        self.identity = f"transformers:{self.weights}"

    @torch.inference_mode()
    def detect(self, frames: np.ndarray) -> list[Detections]:
        """The things in each frame (N,H,W,3) uint8 RGB."""
        found = []
        for i in range(0, len(frames), self.batch):
            part = list(frames[i : i + self.batch])
            inputs = self.processor(images=part, return_tensors="pt").to(self.device)
            sizes, limits = [frames.shape[1:3]] * len(part), np.float32((*frames.shape[2:0:-1],) * 2)
            results = self.processor.post_process_object_detection(self.model(**inputs), self.score, sizes)
            for result in results:
                surest = result["scores"].argsort(descending=True, stable=True)
                boxes = result["boxes"][surest].cpu().numpy().clip(0, limits)
                scores, kinds = result["scores"][surest].cpu().numpy(), result["labels"][surest].cpu().numpy()
                found.append(Detections(boxes, scores, kinds))
        return found


def checkpoint(name: str, model: Callable, device: torch.device) -> tuple[Any, torch.nn.Module]:
    """Image processor and model of a checkpoint, ready to be used."""
    files = "config.json, preprocessor_config.json and model.safetensors"
    with fetching(f"{files} of {name!r}", hub_cache(name)):
        return AutoImageProcessor.from_pretrained(name), model.from_pretrained(name).to(device).eval()


def short(checkpoint: str) -> str:
    """Last part of a folder or hub name."""
    return str(checkpoint).rstrip("/").split("/")[-1]
