"""A manifest of a few classes, and a text encoder that needs no weights."""

import sys
import zlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from pipeline import encoders
from pipeline.manifest import Manifest, Video


class Letters:
    """Unit vectors that count letter triples: alike words are near each other. Remembers what it was asked."""

    loaded: list["Letters"]
    seen: list[str]

    def __init__(self, model: str = "none", dim: int = 512) -> None:
        self.identity, self.dim = f"letters@{dim}", dim
        type(self).loaded.append(self)

    def texts(self, texts: list[str]) -> np.ndarray:
        type(self).seen.extend(texts)
        rows = np.zeros((len(texts), self.dim), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for i in range(len(text) + 1):
                row[zlib.crc32(f" {text} "[i : i + 3].encode()) % self.dim] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def letters(monkeypatch) -> type[Letters]:
    """The encoder `letters`, as a sentence and as an image-text encoder."""
    module = ModuleType("letters_encoder")
    module.Letters = type("Letters", (Letters,), {"loaded": [], "seen": []})
    monkeypatch.setitem(sys.modules, "letters_encoder", module)
    monkeypatch.setitem(encoders.SENTENCE, "letters", "letters_encoder:Letters")
    monkeypatch.setitem(encoders.IMAGE_TEXT, "letters", "letters_encoder:Letters")
    return module.Letters


@pytest.fixture
def manifest(tmp_path):
    """Writes a manifest with one video a class."""

    def write(*labels: str) -> Path:
        path = tmp_path / "manifest.csv"
        Manifest(Video(f"v{i}", Path(f"v{i}.mp4"), "train", (label,)) for i, label in enumerate(labels)).write(path)
        return path

    return write
