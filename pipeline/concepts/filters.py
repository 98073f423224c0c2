"""Filters on what a language model lists.

After Oikarinen et al., "Label-free concept bottleneck models", ICLR 2023, with the cut-offs of DANCE. Axes: N concept,
C class, D feature. Each filter returns the concepts that go, each with its reason. Differences to the published code:
every concept is compared with every class (there, equal indices are skipped), and which of several near-duplicates
stays does not depend on their order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ARTICLES = re.compile(r"^(?:an?|the|some|several)\s+")
REMARKS = re.compile(r"\s*\([^)]*\)")


class Embedded(NamedTuple):
    """Unit vectors of N texts from two encoders: sentence (N,D1), image_text (N,D2)."""

    sentence: NDArray[np.float32]
    image_text: NDArray[np.float32]


def similarity(a: Embedded, b: Embedded, image_text_weight: float = 3.0) -> NDArray[np.float32]:
    """Weighted mean of the two cosines, (sentence + 3 image-text) / 4: (N,D), (M,D) -> (N,M)."""
    weighted = a.sentence @ b.sentence.T + image_text_weight * (a.image_text @ b.image_text.T)
    return weighted / (1 + image_text_weight)


def normalise(text: str) -> str:
    """Lower case, without article, remarks in brackets and full stop: 'A Towel (wet).' -> 'towel'."""
    plain = " ".join(REMARKS.sub("", text).lower().split()).strip(" .,;:*\"'")
    return ARTICLES.sub("", plain)


def singular(concept: str) -> str:
    """The concept with its last word in the singular, by the regular rules of English; only ever used to compare."""
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x")):
        if concept.endswith(ending) and len(concept) > len(ending) + 1:
            return concept.removesuffix(ending) + instead
    if concept.endswith("s") and not concept.endswith(("ss", "us", "is")):
        return concept[:-1]
    return concept


def plurals(concepts: Iterable[str]) -> dict[str, str]:
    """Concepts that are there in singular and plural: those that go -> the shortest of each, which stays."""
    alike: dict[str, list[str]] = {}
    for concept in concepts:
        alike.setdefault(singular(concept), []).append(concept)
    groups = [sorted(group, key=lambda c: (len(c), c)) for group in alike.values()]
    return {other: first for first, *others in groups for other in others}


def too_long(concepts: Iterable[str], limit: int = 30) -> dict[str, str]:
    """Concepts of more than `limit` characters."""
    return {c: f"longer than {limit} characters" for c in concepts if len(c) > limit}


def like_a_class(concepts: list[str], classes: list[str], similar: NDArray, cutoff: float = 0.84) -> dict[str, str]:
    """Concepts that give a class away: similarity (N,C) of at least `cutoff` with any class."""
    if not concepts:
        return {}
    nearest = similar.argmax(axis=1)
    return {
        concept: f"similar to the class '{classes[j]}' ({row[j]:.2f})"
        for concept, row, j in zip(concepts, similar, nearest, strict=True)
        if row[j] >= cutoff
    }


def near_duplicates(concepts: list[str], similar: NDArray, cutoff: float = 0.90) -> dict[str, str]:
    """Concepts whose similarity (N,N) with one that stays is at least `cutoff`.

    Those of larger summed similarity, which are the more general ones, come first and stay; ties go by the alphabet.
    """
    total = similar.sum(axis=1, dtype=np.float64)
    stay: list[int] = []
    gone: dict[str, str] = {}
    for i in sorted(range(len(concepts)), key=lambda i: (-total[i], concepts[i])):
        twins = [j for j in stay if similar[i, j] >= cutoff]
        if twins:
            twin = max(twins, key=lambda j: similar[i, j])
            gone[concepts[i]] = f"similar to '{concepts[twin]}' ({similar[i, twin]:.2f}), which stays"
        else:
            stay.append(i)
    return gone
