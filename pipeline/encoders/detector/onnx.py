"""An object detector in one ONNX file.

| format | input (frame at the top left, grey around) | output                                         |
|--------|--------------------------------------------|------------------------------------------------|
| yolox  | BGR 0-255                                  | (N,K,5+C), raw rows of strides 8, 16, 32       |
| boxes  | RGB 0-255                                  | (N,K,6), x0 y0 x1 y1 in input px, score, class |

Size, layout (NHWC or NCHW) and type (uint8 or float) of the input are read from the graph.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.encoders.detector import Detections, coco, decode
from pipeline.encoders.onnx_graph import Graph, digest
from pipeline.errors import ChoreoError

FORMATS = ("yolox", "boxes")


class Onnx:
    """Things in frames, by one ONNX file.

    Args:
        model: the .onnx file.
        format: what it puts out, see the module.
        classes: names of the classes in their order: a list, or a file (JSON list, or one name a line). Not given: the
            .json file beside the model; without one COCO's names where the graph tells 80 classes apart, else `person`
            for class 0, and other classes are left out.
        score: things below this score are left out.
        batch: frames at a time where the graph's batch axis is free.
        device: auto, cpu or cuda.
        threads: per operator.
    """

    def __init__(
        self,
        model: Path,
        format: str = "yolox",
        classes: Sequence[str] | Path | None = None,
        score: float = 0.25,
        batch: int = 32,
        device: str = "auto",
        threads: int = 1,
    ) -> None:
        if format not in FORMATS:
            raise ChoreoError(f"format: {format!r} is not known", "", f"known formats: {', '.join(FORMATS)}")
        self.graph = Graph(model, batch=batch, device=device, threads=threads)
        columns = self.graph.session.get_outputs()[0].shape[-1]
        told = columns - 5 if format == "yolox" and isinstance(columns, int) else None  # classes of the graph
        self.classes = _names(classes, Path(model).with_suffix(".json"), told)
        self.format, self.score = format, score
        self.weights = f"{Path(model).stem}@{digest(model)}"
        self.identity = f"onnx:{self.weights}"

    def detect(self, frames: np.ndarray) -> list[Detections]:
        """The things in each frame (N,H,W,3) uint8 RGB."""
        if not len(frames):
            return []
        width, height = self.graph.width, self.graph.height
        images = np.empty((len(frames), height, width, 3), np.uint8)
        for i, frame in enumerate(frames):
            images[i], scale = decode.letterbox(frame, width, height)
        if self.format == "yolox":
            boxes, scores = decode.yolox(self.graph(images[..., ::-1])[0], width, height)
        else:
            boxes, scores = decode.boxes(self.graph(images)[0], len(self.classes))
        found = map(decode.things, boxes, scores[..., : len(self.classes)], [self.score] * len(frames))
        limits = np.float32((frames.shape[2], frames.shape[1]) * 2)
        return [Detections((f.box / scale).clip(0, limits).astype(np.float32), f.score, f.kind) for f in found]


def _names(given: Sequence[str] | Path | None, beside: Path, told: int | None) -> tuple[str, ...]:
    """Names of the classes, given, in a file, or known; `told` is how many the graph tells apart, where it says."""
    file = given if isinstance(given, str | Path) else beside if given is None and beside.is_file() else None
    if given is None and file is None:
        return coco.CLASSES if told == len(coco.CLASSES) else ("person",)
    names = tuple(_read(Path(file)) if file is not None else given)
    if told is not None and told != len(names):
        raise ChoreoError(
            f"{len(names)} classes are named ({file or 'option `classes`'}), the detector tells {told} apart",
            "the names belong to another detector",
            "name every class, in the order of the outputs",
        )
    return names


def _read(file: Path) -> list[str]:
    if not file.is_file():
        raise ChoreoError(f"there is no file {file} with the names of the classes", mend="correct the path")
    if file.suffix != ".json":
        return [line.strip() for line in file.read_text().splitlines() if line.strip()]
    names = json.loads(file.read_text())
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ChoreoError(f"{file} is no list of names", mend='write ["person", "cup", ...]')
    return names
