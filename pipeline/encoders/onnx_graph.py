"""An ONNX graph of images. What goes in is read from the graph itself: a file is all it takes to swap a model."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from pipeline.errors import ChoreoError

DTYPES = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32, "tensor(float16)": np.float16}


def digest(*paths: Path) -> str:
    """First 12 hexadecimal digits of the SHA-256 over the bytes of all files."""
    sha = hashlib.sha256()
    for path in paths:
        sha.update(Path(path).read_bytes())
    return sha.hexdigest()[:12]


def session(path: Path, device: str = "auto", threads: int = 1) -> onnxruntime.InferenceSession:
    """An onnxruntime session on `device` (auto, cpu, cuda), with `threads` threads within one operator.

    Raises:
        ChoreoError: there is no such file, it is no graph, or CUDA is asked for and not there.
    """
    if not Path(path).is_file():
        raise ChoreoError(
            f"there is no ONNX file {path}", "it was not fetched, or the path starts elsewhere", "correct the path"
        )
    cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if device not in ("auto", "cpu", "cuda") or (device == "cuda" and not cuda):
        raise ChoreoError(
            f"device: {device!r} is not one that this onnxruntime has",
            "it was built for the CPU" if device == "cuda" else "",
            "install onnxruntime-gpu, or say device: auto" if device == "cuda" else "choose auto, cpu or cuda",
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # other jobs need the cores
    options.log_severity_level = 3
    providers = ["CUDAExecutionProvider"] if cuda and device != "cpu" else []
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=[*providers, "CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base of their own
        raise ChoreoError(
            f"{path} cannot be opened as an ONNX graph: {error}",
            "the download was cut, or it needs a newer onnxruntime",
            "fetch it again and compare its sha256 with the source's",
        ) from error


class Graph:
    """A graph with one input: a batch of images, (N,H,W,3) or (N,3,H,W), uint8 or float.

    Args:
        path: the .onnx file.
        mean, std: per channel, applied to 0-255 values where the input is float; none by default.
        batch: images at a time where the graph's batch axis is free; a fixed axis is kept to.
        device: auto, cpu or cuda.
        threads: threads within one operator.

    Attributes:
        width, height: of the input in pixels.
    """

    def __init__(
        self,
        path: Path,
        *,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        batch: int = 32,
        device: str = "auto",
        threads: int = 1,
    ) -> None:
        self.session = session(path, device, threads)
        inputs = self.session.get_inputs()
        image = inputs[0]
        if len(inputs) != 1 or len(image.shape) != 4 or 3 not in (image.shape[1], image.shape[3]):
            raise ChoreoError(
                f"{path} takes {', '.join(f'{i.name} {i.shape}' for i in inputs)}",
                "it is no graph of RGB images",
                "export it with one input, (N,H,W,3) or (N,3,H,W)",
            )
        self.name, self.channels_first = image.name, image.shape[3] != 3
        self.height, self.width = image.shape[2:] if self.channels_first else image.shape[1:3]
        if not (isinstance(self.height, int) and isinstance(self.width, int)):
            raise ChoreoError(
                f"{path} leaves its image size open: {image.shape}",
                "it was exported with dynamic height and width",
                "export it with a fixed size; the batch may stay dynamic",
            )
        if image.type not in DTYPES:
            raise ChoreoError(f"{path} takes {image.type}", "it is quantised", f"export it with {', '.join(DTYPES)}")
        self.dtype = DTYPES[image.type]
        self.fixed = isinstance(image.shape[0], int)
        self.batch = image.shape[0] if self.fixed else batch
        self.mean = 0.0 if mean is None else np.asarray(mean, self.dtype)
        self.std = 1.0 if std is None else np.asarray(std, self.dtype)

    def __call__(self, images: np.ndarray) -> list[np.ndarray]:
        """Every output of the graph, (N, ...) each, for N > 0 images (N,H,W,3) uint8."""
        parts = [self._run(images[i : i + self.batch]) for i in range(0, len(images), self.batch)]
        return [np.concatenate(output) for output in zip(*parts, strict=True)]

    def _run(self, images: np.ndarray) -> list[np.ndarray]:
        count = len(images)
        if self.fixed and count < self.batch:  # fill the last batch; the surplus is cut off below
            images = np.concatenate([images, np.repeat(images[-1:], self.batch - count, axis=0)])
        if self.dtype is not np.uint8:
            images = ((images - self.mean) / self.std).astype(self.dtype)
        if self.channels_first:
            images = images.transpose(0, 3, 1, 2)
        return [output[:count] for output in self.session.run(None, {self.name: np.ascontiguousarray(images)})]
