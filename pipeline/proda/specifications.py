"""Action specifications: which actions a prompt asks for (ProDA, Sec. 3.2 and App. C).

A specified action prompt (SAP) is a set of classes, asked of one video; the unspecified one (UAP) is its complement.
Axes: S specification of one video, C action.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ChoreoError

KINDS = ("paper", "code", "queries")


def draw(labels: NDArray[np.bool_], rng: np.random.Generator, *, length: int, kind: str = "paper") -> NDArray[np.bool_]:
    """The SAPs of one video with L labels, at random.

    `paper`: L clean ones, of 1 to L present classes; then L + 1 distractor-injected ones, of 0 to L present classes
    filled up with absent ones to `length`. None of these holds more than `length` present classes, but the clean ones;
    where fewer absent classes exist than are wanted, all of them are taken.
    `code`: these, and one absent class alone, as in the authors' code.
    `queries`: these, and what people ask of a video they know nothing of: one present class alone, one absent class
    alone, and all classes at once; ours.

    Args:
        labels: (C,) the classes that the video shows; it may show none.
        rng: a new draw each epoch or one for good is the caller's choice of generator.
        length: K, number of classes of a distractor-injected prompt.
        kind: one of `KINDS`.

    Returns:
        (S, C), S = 2L + 1, 2L + 2 or 2L + 4; less the queries that do not exist (a present class of a video without
        labels, an absent one of a video with all).

    Raises:
        ChoreoError: no such kind, or a length below 1.
    """
    labels = np.asarray(labels, dtype=bool)
    shown = int(labels.sum())
    sizes = np.array(_sizes(shown, len(labels) - shown, length, kind))  # (S, 2) present and absent classes
    present, absent = sizes[:, :1], sizes[:, 1:]
    order = np.argsort(rng.random((len(sizes), len(labels))) + ~labels, axis=1)  # shuffled, present classes first
    place = np.arange(len(labels))
    taken = (place < present) | ((place >= shown) & (place < shown + absent))
    specified = np.zeros_like(taken)
    np.put_along_axis(specified, order, taken, axis=1)
    return specified


def targets(labels: NDArray[np.bool_], specified: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """What the two branches are to answer.

    Args:
        labels: (..., C) the classes that the video shows.
        specified: (..., C) the SAP.

    Returns:
        y_s and y_u, (..., C + 1): the labels inside the SAP and those outside it; the last entry, "no-action", is set
        where there are none.
    """
    return _or_no_action(labels & specified), _or_no_action(labels & ~specified)


def _sizes(shown: int, others: int, length: int, kind: str) -> list[tuple[int, int]]:
    if kind not in KINDS:
        raise ChoreoError(f"there is no kind of specifications '{kind}'", "a typo", f"one of {KINDS}")
    if length < 1:
        raise ChoreoError(f"prompts have the length {length}", mend="set `length` to 1 or more; the paper's is 16")
    clean = [(size, 0) for size in range(1, shown + 1)]
    present = [min(size, length) for size in range(shown + 1)]
    injected = [(size, min(length - size, others)) for size in present]
    alone, absent, every = [(1, 0)] * (shown > 0), [(0, 1)] * (others > 0), [(shown, others)]
    return clean + injected + {"paper": [], "code": absent, "queries": alone + absent + every}[kind]


def _or_no_action(answer: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.concatenate([answer, ~answer.any(axis=-1, keepdims=True)], axis=-1)
