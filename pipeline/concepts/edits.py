"""The file in which people edit a vocabulary; no rule ever writes it.

    object:
      add: [yoga mat]               # kept whatever the filters would say
      drop: [floor]
      rename: {ball: tennis ball}
    scene:
      drop: [stadium]

Every section may be left out, and so may the file.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.concepts.answers import KINDS
from pipeline.concepts.files import nearest, read_yaml, texts_of
from pipeline.concepts.filters import normalise
from pipeline.errors import ChoreoError

log = logging.getLogger(__name__)

SECTIONS = ("add", "drop", "rename")


@dataclass(frozen=True)
class Edits:
    """The edits of one kind of concept."""

    add: list[str] = field(default_factory=list)
    drop: list[str] = field(default_factory=list)
    rename: dict[str, str] = field(default_factory=dict)


def read_edits(path: Path | None) -> dict[str, Edits]:
    """The edits of every kind of concept; none where there is no file.

    Raises:
        ChoreoError: an unknown key, or a value of another form than shown above.
    """
    written = read_yaml(path) if path is not None and Path(path).exists() else {}
    _check_keys(written, KINDS, f"{path}")
    return {kind: _edits(written.get(kind) or {}, f"{path}: {kind}") for kind in KINDS}


def _edits(section: object, where: str) -> Edits:
    if not isinstance(section, dict):
        raise ChoreoError(
            f"{where} is {section!r}", "`add:`, `drop:` or `rename:` is missing above it", "add: [yoga mat]"
        )
    _check_keys(section, SECTIONS, where)
    add, drop = (texts_of(section.get(name), f"{where}: {name}") for name in ("add", "drop"))
    rename = section.get("rename") or {}
    if not isinstance(rename, dict):
        raise ChoreoError(f"{where}: rename is {rename!r}", "it is no `old: new` pair", "rename: {ball: tennis ball}")
    texts_of([*rename.keys(), *rename.values()], f"{where}: rename")
    return Edits(
        [normalise(c) for c in add],
        [normalise(c) for c in drop],
        {normalise(old): normalise(new) for old, new in rename.items()},
    )


def _check_keys(found: dict, known: tuple[str, ...], where: str) -> None:
    for key in found:
        if key not in known:
            raise ChoreoError(
                f"{where} holds '{key}', which it cannot{nearest(str(key), known)}",
                "a slip of the pen, or a wrong indentation",
                f"known here: {', '.join(known)}",
            )


def apply(edits: Edits, kind: str, concepts: set[str], gone: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Edit what the filters left.

    Args:
        edits: drops come first, then renames, then what is added.
        kind: `object` or `scene`.
        concepts: what the filters left.
        gone: what they dropped, and why.

    Returns:
        every concept of the vocabulary -> the concept it was before, empty when it was added;
        every concept that the edits drop -> the reason.

    Raises:
        ChoreoError: a concept to drop or to rename is not there, or the new name is there already.
    """
    left = {concept: concept for concept in concepts}
    dropped = {}
    for concept in edits.drop:
        del left[_present(concept, left, kind, "drop", gone)]
        dropped[concept] = "the edits file drops it"
    for old, new in edits.rename.items():
        origin = left.pop(_present(old, left, kind, "rename", gone))
        if new in left:
            what = f"the edits file renames the {kind} '{old}' to '{new}', which is there already"
            raise ChoreoError(what, "two names of one thing", f"drop '{old}' instead")
        left[new] = origin
    for concept in edits.add:
        if concept in left:
            log.warning("the edits file adds the %s '%s', which is there already", kind, concept)
        left.setdefault(concept, "")
    return left, dropped


def _present(concept: str, left: dict[str, str], kind: str, verb: str, gone: dict[str, str]) -> str:
    if concept in left:
        return concept
    why = f"the filters dropped it already: {gone[concept]}" if concept in gone else "it was renamed, or is misspelt"
    raise ChoreoError(
        f"the edits file is to {verb} the {kind} '{concept}', which is not in the vocabulary{nearest(concept, left)}",
        why,
        "remove that line, or name a concept of vocabulary.csv",
    )
