"""How much goes through an encoder at once: several videos where that fills a GPU, less where its memory is too small.

Every encoder that works in batches has a number `batch`, which it reads anew for every call; so may its parts, such as
the detector of a pose encoder. Nothing here imports a framework: which one an encoder needs is its own affair.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

from pipeline.errors import ChoreoError

P = ParamSpec("P")
T = TypeVar("T")
OWN = "pipeline.encoders"
log = logging.getLogger(__name__)


def together(encoder: Any, size: int) -> int:
    """Videos of `size` frames, or clips, that fill a batch of an encoder on a GPU; one on a CPU, which is no faster
    with many, and where the features of a video then never depend on its neighbours."""
    on_gpu = getattr(getattr(encoder, "device", None), "type", "cpu") == "cuda"
    return max(1, encoder.batch // max(1, size)) if on_gpu else 1


def backing_off(encoder: Any, call: Callable[P, T]) -> Callable[P, T]:
    """A method of an encoder that, when a GPU's memory runs out, halves the encoder's batch and tries again.

    The batch stays halved. The answers are those of the larger batch but for rounding.

    Raises:
        ChoreoError: one at a time is too much, too.
    """

    def patient(*args: P.args, **kwargs: P.kwargs) -> T:
        while True:
            try:
                return call(*args, **kwargs)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                reason = str(error).split("\n")[0]
            # Only here, after the block, are the arrays free that the error held.
            if not halve(encoder):
                raise ChoreoError(
                    f"the GPU's memory does not suffice for a batch of one ({reason})",
                    "other programs use the same GPU, or the model is too large for it",
                    "end them, take a smaller model or `precision: bf16`, or set `device: cpu`",
                )

    return patient


def halve(encoder: Any) -> bool:
    """Halve the batches of an encoder and its parts, and free what PyTorch keeps; False where all are one already."""
    large = [part for part in parts(encoder) if part.batch > 1]
    for part in large:
        log.warning("GPU out of memory: batches of %d instead of %d from here on", part.batch // 2, part.batch)
        part.batch //= 2
    if "torch" in sys.modules:
        sys.modules["torch"].cuda.empty_cache()
    return bool(large)


def parts(encoder: Any) -> Iterator[Any]:
    """The encoder and those encoders within it whose batch may be changed; that of a graph may be fixed."""
    if isinstance(getattr(encoder, "batch", None), int) and not getattr(encoder, "fixed", False):
        yield encoder
    for value in getattr(encoder, "__dict__", {}).values():
        if type(value).__module__.startswith(OWN):
            yield from parts(value)


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that a GPU's memory ran out: PyTorch by its type, onnxruntime in words."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return "OutOfMemoryError" in names or "Failed to allocate memory" in str(error)
