"""The vocabulary of object and scene concepts: what the language model lists, filtered, then edited by people."""

from __future__ import annotations

import csv
import logging
from pathlib import Path

from pipeline.concepts import answers as answer_files
from pipeline.concepts.answers import KINDS, Answer
from pipeline.concepts.edits import apply, read_edits
from pipeline.concepts.filters import (
    Embedded,
    like_a_class,
    near_duplicates,
    normalise,
    plurals,
    similarity,
    too_long,
)
from pipeline.concepts.texts import CachedTexts
from pipeline.errors import ChoreoError
from pipeline.writing import replacing

log = logging.getLogger(__name__)


def vocabulary(
    raw: Path,
    out: Path,
    dropped: Path,
    *,
    cache: Path,
    edits: Path | None = None,
    sentence: dict | str = "minilm",
    image_text: dict | str = "open_clip",
    max_length: int = 30,
    class_similarity: float = 0.84,
    duplicate_similarity: float = 0.90,
    image_text_weight: float = 3.0,
) -> None:
    """Filter the listed concepts and apply people's edits; writes the vocabulary, and what was dropped and why.

    Added concepts pass by the filters. The same concepts give the same bytes, whatever the comments in the edits file.

    Args:
        raw: answers of the stage `ask`.
        out: table with the columns kind, concept, source (`llm`, or `edit` where people added or renamed), classes.
        dropped: table with the columns kind, concept, reason.
        cache: folder of text embeddings.
        edits: the edits file; need not exist.
        sentence, image_text: encoders whose cosines make up the similarity of two concepts.
        max_length: longest concept, in characters.
        class_similarity: concepts this similar to the name of any class go.
        duplicate_similarity: of concepts this similar to each other one stays.
        image_text_weight: weight of the image-text cosine, where that of the sentence cosine is 1.

    Raises:
        ChoreoError: the answers or the edits cannot be used, or no concept is left.
    """
    given = answer_files.read(raw)
    changes = read_edits(edits)
    classes = sorted({a.question.words for a in given})
    encode = _encoder(CachedTexts("sentence", sentence, cache), CachedTexts("image_text", image_text, cache))
    kept: list[tuple[str, str, str, str]] = []
    lost: list[tuple[str, str, str]] = []
    for kind in KINDS:
        named = listed([a for a in given if a.question.kind == kind])
        gone = {other: f"the same as '{one}'" for other, one in merge_plurals(named).items()}
        gone |= too_long(named, max_length)
        left = sorted(named.keys() - gone.keys())
        if left:
            similar = similarity(encode(left), encode(classes), image_text_weight)
            gone |= like_a_class(left, classes, similar, class_similarity)
        left = sorted(named.keys() - gone.keys())
        if left:
            similar = similarity(encode(left), encode(left), image_text_weight)
            gone |= near_duplicates(left, similar, duplicate_similarity)
        left = sorted(named.keys() - gone.keys())
        final, dropped_by_edit = apply(changes[kind], kind, set(left), gone)
        for concept, origin in final.items():
            source = "llm" if concept == origin else "edit"
            kept.append((kind, concept, source, "; ".join(sorted(named.get(origin, ())))))
        lost += [(kind, c, reason) for c, reason in (gone | dropped_by_edit).items() if c not in final]
        log.info("%ss: %d listed, %d left", kind, len(named) + len(gone), len(final))
    if not kept:
        raise ChoreoError("no concept is left", "the filters are too strict for these encoders", "see dropped.csv")
    _write(dropped, ("kind", "concept", "reason"), lost)
    _write(out, ("kind", "concept", "source", "classes"), kept)


def listed(given: list[Answer]) -> dict[str, set[str]]:
    """Normalised concepts -> the classes whose answers name them."""
    named: dict[str, set[str]] = {}
    for answer in given:
        for concept in map(normalise, answer.concepts):
            if concept:
                named.setdefault(concept, set()).add(answer.question.label)
    return named


def merge_plurals(named: dict[str, set[str]]) -> dict[str, str]:
    """Join 'towels' with 'towel', and their classes, in place; returns what went -> what stays."""
    same = plurals(named)
    for other, one in same.items():
        named[one] |= named.pop(other)
    return same


def _encoder(sentence: CachedTexts, image_text: CachedTexts):
    def encode(texts: list[str]) -> Embedded:
        return Embedded(sentence.texts(texts), image_text.texts(texts))

    return encode


def _write(path: Path, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    with replacing(path) as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows(sorted(rows))
