"""ConSE: an image as the convex combination of the embeddings of the classes it may show.

Norouzi et al., "Zero-Shot Learning by Convex Combination of Semantic Embeddings", ICLR 2014, Eq. 2:

    f(x) = sum_t p(y_t | x) s(y_t) / sum_t p(y_t | x),    t = 1..T over the T most probable classes y_t

It makes an image-text encoder of any classifier and any sentence encoder, with nothing to train: weak beside CLIP, for
it knows its classes and their neighbours only, and small enough to run anywhere.
"""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.encoders.backbone.onnx import Onnx
from pipeline.encoders.onnx_graph import digest
from pipeline.encoders.sentence import Sentence
from pipeline.errors import ChoreoError

BACKGROUND = "background"  # the class for "none of the others"; it names nothing that could be seen


class Conse:
    """Frames and texts in the space of a sentence encoder.

    Args:
        classifier: an ONNX graph of pictures with an output `probs` (N,C), see `pipeline.encoders.backbone.onnx`.
        labels: a text file, one class a line in the order of `probs`; of synonyms parted by commas
            ("tench, Tinca tinca") the first stands for the class. A class "background" never takes part.
        top: T, the classes that take part.
        sentence: options of `pipeline.encoders.sentence.Sentence`.
        device: 'auto' | 'cpu' | 'cuda', of the classifier.
        batch: frames at a time.

    Raises:
        ChoreoError: the graph has no output `probs`, or not as many as there are labels.
    """

    def __init__(
        self,
        classifier: Path,
        labels: Path,
        top: int = 10,
        sentence: dict[str, Any] | None = None,
        device: str = "auto",
        batch: int = 32,
    ) -> None:
        self.classifier = Onnx(classifier, output="probs", device=device, batch=batch)
        self.sentence = Sentence(**(sentence or {}))
        names = Path(labels).read_text().splitlines()
        if len(names) != self.classifier.dim:
            raise ChoreoError(
                f"{labels} names {len(names)} classes, {classifier} tells {self.classifier.dim} apart",
                "the labels belong to another classifier",
                "give one label a line, in the order of the outputs",
            )
        self.real = np.array([name.strip().lower() != BACKGROUND for name in names])
        # WordNet's first synonym is the usual word; it tells scenes apart a little better than the mean of all.
        self.classes = self.sentence.texts([name.partition(",")[0].strip() for name in names])  # (C,D)
        self.top, self.dim = top, self.sentence.dim
        self.identity = f"conse:{Path(classifier).stem}@{digest(classifier, labels)}+{self.sentence.identity}"

    def images(self, frames: np.ndarray) -> np.ndarray:
        """(N,H,W,3) uint8 RGB -> (N,D) float32, L2-normalised."""
        if not len(frames):
            return np.zeros((0, self.dim), np.float32)
        probs = self.classifier.pictures(frames)  # (N,C)
        return combine(probs * self.real, self.classes, self.top)

    def texts(self, texts: list[str]) -> np.ndarray:
        """M texts -> (M,D) float32, L2-normalised: their sentence embeddings."""
        return self.sentence.texts(texts)


def combine(probs: np.ndarray, classes: np.ndarray, top: int) -> np.ndarray:
    """Eq. 2, L2-normalised (the paper's denominator cancels): (N,C) probabilities, (C,D) embeddings -> (N,D) float32.

    Of equally probable classes the earlier one takes part.
    """
    order = np.argsort(-probs, axis=1, kind="stable")[:, :top]  # (N,T)
    weights = np.take_along_axis(probs, order, axis=1).astype(np.float64)
    mixed = np.einsum("nt,ntd->nd", weights, classes[order])
    return (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32)
