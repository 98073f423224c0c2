"""Any network exported to ONNX, as a backbone; what goes in is read from the graph.

| input                                                     | features                      |
|-----------------------------------------------------------|-------------------------------|
| a picture: (N,H,W,3) or (N,3,H,W), uint8 or float         | (N,D), averaged over the clip |
| a clip: (B,T,H,W,3) uint8, pre-processing within the graph | (B,D)                         |
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from onnxruntime import InferenceSession

from pipeline.encoders.backbone import mean_over_frames
from pipeline.encoders.frames import resized
from pipeline.encoders.onnx_graph import Graph, digest, session
from pipeline.errors import ChoreoError


class Onnx:
    """Features of an ONNX graph. Frames are resized to its input, the aspect ratio given up.

    Args:
        model: the .onnx file.
        output: the output that holds the features (N,D).
        frames: T for a graph of pictures; a graph of clips says it itself.
        mean, std: per channel on 0-255, for a graph of pictures with a float input.
        batch: pictures, or clips, at a time where the graph's batch axis is free.
        device: 'auto' | 'cpu' | 'cuda'.
        threads: threads within one operator.

    Raises:
        ChoreoError: the file is missing or no such graph, or has no such output.
    """

    needs_frames = True

    def __init__(
        self,
        model: Path,
        output: str = "features",
        frames: int = 8,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        batch: int = 8,
        device: str = "auto",
        threads: int = 1,
    ) -> None:
        opened = session(model, device, threads)
        names = [o.name for o in opened.get_outputs()]
        if output not in names:
            raise ChoreoError(
                f"{model} has no output '{output}'", "it was exported under another name", f"known: {', '.join(names)}"
            )
        self.output, self.batch = names.index(output), batch
        self.frames, self.identity = frames, f"onnx:{Path(model).stem}@{digest(model)}"
        self.clips = len(opened.get_inputs()[0].shape) == 5
        self.graph = opened
        if self.clips:
            self.frames, *self.size = clip_shape(opened, model)
            self.batch = 1 if opened.get_inputs()[0].shape[0] == 1 else batch
        else:
            self.graph = Graph(model, mean=mean, std=std, batch=batch, device=device, threads=threads)
            self.size = self.graph.height, self.graph.width
        blank = self.encode([np.zeros((self.frames, *self.size, 3), np.uint8)])
        if blank.ndim != 2:
            raise ChoreoError(
                f"output '{output}' of {model} has shape {blank.shape}, not (N,D)",
                "it was taken before the pooling",
                "export the graph with its features pooled",
            )
        self.dim = blank.shape[1]

    def encode(self, clips: list[np.ndarray]) -> np.ndarray:
        """B clips (T,H,W,3) uint8 RGB -> (B,D) float32."""
        if not clips:
            return np.zeros((0, self.dim), np.float32)
        if not self.clips:
            return mean_over_frames(clips, self.pictures, self.batch)
        name = self.graph.get_inputs()[0].name
        stack = np.stack([resized(clip, *self.size) for clip in clips])  # (B,T,h,w,3)
        parts = (stack[i : i + self.batch] for i in range(0, len(stack), self.batch))
        return np.concatenate([self.graph.run(None, {name: part})[self.output] for part in parts]).astype(np.float32)

    def pictures(self, frames: np.ndarray) -> np.ndarray:
        """(N,H,W,3) uint8 RGB -> (N,D) float32, for a graph of pictures."""
        return self.graph(resized(frames, *self.size))[self.output].astype(np.float32)


def clip_shape(opened: InferenceSession, model: Path) -> tuple[int, int, int]:
    """T, height and width of a graph of clips."""
    source = opened.get_inputs()[0]
    batch, *sizes, channels = source.shape
    fixed = all(isinstance(size, int) for size in sizes)
    if source.type != "tensor(uint8)" or channels != 3 or not fixed or (isinstance(batch, int) and batch != 1):
        raise ChoreoError(
            f"{model} takes {source.type} of shape {source.shape}",
            "it is not a graph of whole clips with its pre-processing inside",
            "export it with one uint8 input (B,T,H,W,3), B free or 1 and the others fixed",
        )
    return tuple(sizes)
