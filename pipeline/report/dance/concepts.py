"""The concepts of a DANCE, and what they mean to its classes: plain values for the page.

Axes: C class, M concept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from pipeline.artifacts import Artifact
from pipeline.errors import VideoError
from pipeline.manifest import Manifest
from pipeline.report import thumbnails
from pipeline.report.dance import drawings
from pipeline.report.numbers import place, room, rounded, signed
from pipeline.report.page import table

Explained = Mapping[str, Any]  # explanations.json; see pipeline.dance.explanations

LIMIT = 6  # concepts of each class in a drawing of two classes


@dataclass(frozen=True)
class Bar:
    """A named value, and where its bar lies, in percent of the room."""

    name: str
    kind: str  # motion, object, scene; rest for what is no concept
    value: float
    shown: str
    left: float
    width: float
    href: str = ""
    picture: Markup | str = ""
    how: str = ""  # activation × weight
    against: bool = False  # the concept is less active than usual: NOT


class Names:
    """How concepts are called, linked and drawn."""

    def __init__(self, explained: Explained) -> None:
        self.concepts = explained["concepts"]
        self.poses = {m["concept"]: np.array(m["poses"], dtype=float) for m in explained["motion"]}

    def kind(self, concept: int) -> str:
        """`motion`, `object` or `scene`."""
        return self.concepts[concept]["kind"]

    def name(self, concept: int) -> str:
        """The concept in words; motion concepts have a number."""
        name = self.concepts[concept]["name"]
        return f"motion {name}" if self.kind(concept) == "motion" else name

    def bar(self, concept: int, value: float, span: tuple[float, float]) -> Bar:
        """The bar of a concept's weight or contribution."""
        kind, poses = self.kind(concept), self.poses.get(concept)
        href = f"motion-{self.concepts[concept]['name']}" if poses is not None else ""
        picture = drawings.still_person(poses) if poses is not None else ""
        left, width = place(value, *span)
        return Bar(self.name(concept), kind, value, signed(rounded(value)), left, width, href, picture)


# Concepts --------------------------------------------------------------------------------------------------------


def motion(explained: Explained, concepts: Path, manifest: Manifest, stills: int = 60) -> list[dict[str, Any]]:
    """The motion concepts of the model, largest first; the first `stills` with a frame of their medoid's video."""
    with Artifact(concepts, "motion_concepts") as found:
        member_of = list(zip(found["member_concept"].tolist(), found["member_video"], strict=True))
    labels = {v.id: v.labels for v in manifest.videos}
    classes: dict[int, Counter[str]] = {}
    for concept, video in member_of:
        classes.setdefault(concept, Counter()).update(labels.get(video, ()))
    result = []
    for rank, m in enumerate(sorted(explained["motion"], key=lambda m: (-m["members"], m["concept"]))):
        name, poses = explained["concepts"][m["concept"]]["name"], np.array(m["poses"], dtype=float)
        middle = m["start"] + len(poses) // 2
        result.append(
            {
                "name": name,
                "members": m["members"],
                "video": m["video"],
                "classes": _commonest(classes.get(int(name), Counter())),
                "moving": drawings.skeleton(poses, f"Motion concept {name}, drawn as the clip nearest to its mean"),
                "phases": drawings.phases(poses),
                "still": _still(manifest, m["video"], middle) if rank < stills else None,
            }
        )
    return result


def _commonest(classes: Counter[str], count: int = 3) -> str:
    """`60 % lifting a box, 40 % waving`: the classes that a cluster's clips come from most."""
    total = sum(classes.values())
    first = sorted(classes.items(), key=lambda item: (-item[1], item[0]))[:count]
    return ", ".join(f"{100 * n / total:.0f}\u00a0% {name}" for name, n in first)


def _still(manifest: Manifest, video_id: str, frame: int) -> thumbnails.Thumbnail | None:
    try:
        return thumbnails.still(manifest.by_id[video_id], frame)
    except (VideoError, KeyError):
        return None


@dataclass(frozen=True)
class Fate:
    """What became of an object or scene concept that was listed."""

    kind: str
    concept: str
    fate: str
    why: str


def fates(explained: Explained, vocabulary: Path, dropped: Path, pseudo: Path) -> list[Fate]:
    """All listed object and scene concepts: in the model or dropped, and why."""
    used = {(c["kind"], c["name"]) for c in explained["concepts"]}
    with Artifact(pseudo, "pseudo_labels") as labels:
        seen = dict(zip(zip(labels["kind"], labels["concept"], strict=True), labels["kept"].tolist(), strict=True))
    result = []
    for row in table(vocabulary):
        key = (row["kind"], row["concept"])
        if key in used:
            named = f"listed for {row['classes'].replace('; ', ', ')}" if row["classes"] else "listed"
            result.append(Fate(*key, "in the model", named if row["source"] == "llm" else "the edits file has it"))
        elif not seen.get(key, 1):
            result.append(Fate(*key, "dropped", "no training video shows it clearly (first cut-off)"))
        else:
            result.append(Fate(*key, "dropped", "the features do not tell it on val (second cut-off)"))
    result += [Fate(row["kind"], row["concept"], "dropped", row["reason"]) for row in table(dropped)]
    return sorted(result, key=lambda f: (f.kind, f.fate == "dropped", f.concept))


def words(found: Sequence[Fate]) -> list[dict[str, Any]]:
    """The object and the scene concepts of the model."""
    kinds = sorted({f.kind for f in found})
    of = {kind: [f for f in found if f.kind == kind] for kind in kinds}
    return [{"name": k, "total": len(of[k]), "used": [f for f in of[k] if f.fate == "in the model"]} for k in kinds]


# Classes ---------------------------------------------------------------------------------------------------------


def classes(explained: Explained, positive: int = 7, negative: int = 4) -> list[dict[str, Any]]:
    """The largest weights of every class, for and against it."""
    names, result = Names(explained), []
    for name, weights in zip(explained["classes"], explained["weights"], strict=True):
        ordered = sorted(weights, key=lambda w: (-w[1], w[0]))
        chosen = [w for w in ordered if w[1] > 0][:positive] + [w for w in ordered if w[1] < 0][-negative:]
        span = room([w for _, w in chosen])
        left = len(weights) - len(chosen)
        note = f"{left} weight{'s' * (left > 1)} nearer to 0 left out." if left else "" if chosen else "No weights."
        bars = [names.bar(m, w, span) for m, w in chosen]
        result.append({"name": name, "bars": bars, "zero": place(0, *span)[0], "note": note})
    return result


def pairs(explained: Explained, count: int = 3) -> list[dict[str, Any]]:
    """Drawings of the classes that are confused most, and of those that share most weight."""
    confused = np.array(explained["confusion"])
    both = np.triu(confused + confused.T, 1)
    order = np.argsort(-both, axis=None, kind="stable")[:count]
    reasons = {}
    for a, b in zip(*np.unravel_index(order, both.shape)):
        if n := int(both[a, b]):
            reasons[int(a), int(b)] = f"{n} test video{'s' * (n > 1)} confused"
    for pair in explained["pairs"][:count]:
        reasons.setdefault(tuple(sorted(pair["classes"])), "they share most weight")
    names = Names(explained)
    result = []
    for (a, b), reason in reasons.items():
        links = _links(names, dict(explained["weights"][a]), dict(explained["weights"][b]))
        if links:
            two = (explained["classes"][a], explained["classes"][b])
            drawing = drawings.sankey(two, links)
            result.append({"classes": two, "reason": reason, "drawing": drawing, "limit": LIMIT})
    return result


def _links(names: Names, one: Mapping[int, float], two: Mapping[int, float]) -> list[drawings.Link]:
    """The largest positive weights of two classes."""
    chosen = {m for w in (one, two) for m in sorted((m for m in w if w[m] > 0), key=lambda m, w=w: -w[m])[:LIMIT]}
    positive = {m: (max(one.get(m, 0.0), 0.0), max(two.get(m, 0.0), 0.0)) for m in sorted(chosen)}
    return [drawings.Link(names.name(m), names.kind(m), w, names.poses.get(m)) for m, w in positive.items()]
