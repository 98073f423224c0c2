"""Batches that fit: several videos where that fills a GPU, less where its memory runs out. No GPU is needed here."""

from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.encoders.batching import backing_off, halve, parts, together
from pipeline.errors import ChoreoError


class OutOfMemoryError(RuntimeError):
    """Named as PyTorch's."""


class Inner:
    """An encoder whose GPU holds `room` frames."""

    def __init__(self, room: int, batch: int) -> None:
        self.room, self.batch, self.seen = room, batch, []

    def images(self, frames: np.ndarray) -> np.ndarray:
        rows = []
        for i in range(0, len(frames), self.batch):
            part = frames[i : i + self.batch]
            self.seen.append(len(part))
            if len(part) > self.room:
                raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\n...")
            rows.append(part.mean((1, 2)))
        return np.concatenate(rows)


Inner.__module__ = "pipeline.encoders.inner"
FRAMES = np.random.default_rng(0).random((20, 4, 4, 3))


def test_a_batch_that_is_too_large_is_halved_until_it_fits_with_the_same_numbers() -> None:
    encoder = Inner(room=3, batch=16)
    images = backing_off(encoder, encoder.images)
    np.testing.assert_array_equal(images(FRAMES), Inner(99, 99).images(FRAMES))
    assert encoder.batch == 2 and encoder.seen[:3] == [16, 8, 4]
    encoder.seen.clear()
    images(FRAMES)
    assert set(encoder.seen) == {2}  # it stays so


def test_parts_of_an_encoder_are_halved_with_it_but_not_what_is_fixed() -> None:
    outer = Inner(9, 8)
    outer.detector, outer.graph, outer.other = Inner(9, 32), Inner(9, 4), SimpleNamespace(batch=7)
    outer.graph.fixed = True
    assert [part.batch for part in parts(outer)] == [8, 32]
    assert halve(outer) and (outer.batch, outer.detector.batch, outer.graph.batch, outer.other.batch) == (4, 16, 4, 7)
    assert [halve(outer) for _ in range(6)] == [True] * 4 + [False] * 2


def test_a_memory_that_does_not_hold_even_one_is_told_with_the_mend() -> None:
    encoder = Inner(room=0, batch=4)
    with pytest.raises(ChoreoError, match=r"batch of one \(CUDA out of memory[^\n]*\)\n[\s\S]*device: cpu"):
        backing_off(encoder, encoder.images)(FRAMES)
    assert encoder.seen == [4, 2, 1]


def test_other_errors_are_left_alone() -> None:
    encoder = Inner(9, 8)
    with pytest.raises(AttributeError):
        backing_off(encoder, encoder.images)([1, 2])
    assert encoder.batch == 8


def test_pytorchs_own_error_is_known() -> None:
    torch = pytest.importorskip("torch")
    encoder = Inner(9, 8)

    def call() -> int:
        if encoder.batch > 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return encoder.batch

    assert backing_off(encoder, call)() == 1


def test_videos_go_together_on_a_gpu_only() -> None:
    def on(kind: str) -> SimpleNamespace:
        return SimpleNamespace(batch=64, device=SimpleNamespace(type=kind))

    assert [together(on("cuda"), size) for size in (1, 8, 64, 100)] == [64, 8, 1, 1]
    assert together(on("cpu"), 8) == together(SimpleNamespace(batch=64), 8) == 1
