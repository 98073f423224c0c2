"""What each section of the report says: from artifacts and tables to plain values for page.html.

Axes: C class, M concept.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from scipy.special import softmax

from pipeline.artifacts import Artifact
from pipeline.concepts.motion import bridge_gaps
from pipeline.digest import file_digest
from pipeline.errors import VideoError
from pipeline.manifest import PROTOCOLS, SPLITS, Manifest
from pipeline.report import figures, thumbnails

Explained = Mapping[str, Any]  # explanations.json; see pipeline.dance.explanations

# Figures of metrics.json: name -> title, and what it means in one line. Those of `accuracy` are drawn as bars.
ACCURACY = {
    "accuracy": ("DANCE", "every decision passes through the concepts below"),
    "accuracy/probe": ("Linear probe", "the same features without the concepts: the price of explaining"),
    "accuracy/without_motion": ("Without motion concepts", "the same model, its motion concepts removed"),
    "accuracy/without_context": ("Without objects and scenes", "the same model, its objects and scenes removed"),
    "accuracy/pose_only": ("Poses alone", "a plain classifier on the pose sequences"),
}
MEANINGS = {
    "accuracy/val": ("Accuracy on val", "on the validation videos"),
    "accuracy/retrained_without_motion": (
        "Trained anew without motion",
        "a classifier on the activations of objects and scenes; what it has above the labels' figure has leaked in",
    ),
    "accuracy/retrained_without_context": ("Trained anew without context", "a classifier on the activations of motion"),
    "accuracy/labels": ("Concept labels", "a classifier on the concept labels themselves, no backbone"),
    "accuracy/labels_without_motion": ("Labels without motion", "on the labels of objects and scenes alone"),
    "accuracy/labels_without_context": ("Labels without context", "on the motion labels alone"),
    "motion/purity": ("Motion purity", "share of clips that show the commonest true motion of their cluster"),
    "motion/nmi": ("Motion NMI", "what clusters and true motions tell of each other: 0 is nothing, 1 is all"),
    "motion/test_accuracy": ("Motion, test clips", "share of test clips whose concept stands for their true motion"),
    "motion/clips": ("Usable clips", "share of key clips whose poses were sound enough to cluster"),
    "objects/ap": ("Objects, pseudo labels", "average precision of the labels against the objects truly there"),
    "objects/predicted_ap": ("Objects, predicted", "the same, of what the model itself says"),
    "scenes/ap": ("Scenes, pseudo labels", "average precision of the labels against the true scene"),
    "scenes/predicted_ap": ("Scenes, predicted", "the same, of what the model itself says"),
    "pose/torso_distance": ("Pose error", "mean distance of found and true joints, in lengths of the torso"),
    "pose/found": ("Person found", "share of frames of the key clips in which a person was found"),
    "sparsity": ("Weights in use", "share of the classifier's weights that are not zero: fewer are easier to read"),
    "weights_per_class": ("Weights a class", "concepts that a class's score looks at, on average"),
    "concepts/motion": ("Motion concepts", "in the model"),
    "concepts/object": ("Object concepts", "in the model"),
    "concepts/scene": ("Scene concepts", "in the model"),
}
DETAILS = {name for name in MEANINGS if name.startswith(("accuracy/", "concepts/"))}
DETAILS |= {"motion/test_accuracy", "motion/clips", "pose/found"}  # folded away
SHARES = {"share"}
LIMIT = 6  # concepts of each class in a drawing of two classes


# Bars ------------------------------------------------------------------------------------------------------------


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


def signed(hundredths: int) -> str:
    """A number of hundredths with its sign: -150 is −1.50."""
    return f"{'−' if hundredths < 0 else '+'}{abs(hundredths) / 100:.2f}"


def rounded(value: float) -> int:
    """The nearest hundredths."""
    return round(100 * value)


def room(values: Sequence[float]) -> tuple[float, float]:
    """Smallest and largest end of bars that all begin at 0."""
    return min(0.0, *values), max(1e-9, *values)


def place(value: float, low: float, high: float) -> tuple[float, float]:
    """Left end and width of the bar from 0 to a value, in percent."""
    span = high - low
    return round(100 * (min(value, 0) - low) / span, 2), round(100 * abs(value) / span, 2)


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
        picture = figures.still_person(poses) if poses is not None else ""
        left, width = place(value, *span)
        return Bar(self.name(concept), kind, value, signed(rounded(value)), left, width, href, picture)


# Head and figures ------------------------------------------------------------------------------------------------


def data(manifest: Manifest) -> dict[str, Any]:
    """How many videos there are, by split and class."""
    splits = [s for s in SPLITS if manifest.ids(s)]
    counts = Counter((label, v.split) for v in manifest.usable for label in v.labels)
    return {
        "total": len(manifest.videos),
        "splits": splits,
        "classes": [(name, [counts[name, s] for s in splits]) for name in manifest.classes],
        "words": ", ".join(f"{len(manifest.ids(s))} {s}" for s in splits) or "none of them usable",
    }


def lead(metrics: Sequence[Mapping[str, Any]], explained: Explained) -> str:
    """The run in two sentences."""
    shown = next((m["figures"] for m in metrics if m["model"] == "dance" and "accuracy" in m["figures"]), None)
    if shown is None:
        return ""
    tested = int(np.sum(explained["confusion"]))
    text = f"DANCE names the class of {percent(shown['accuracy']['mean'])} of {tested} test videos"
    if probe := shown.get("accuracy/probe"):
        text += f"; a linear probe on the same features, which explains nothing, of {percent(probe['mean'])}"
    kinds = Counter(c["kind"] for c in explained["concepts"])
    found = [f"{kinds[k]} {k}" for k in ("motion", "object", "scene") if kinds[k]]
    listed = " and ".join(filter(None, [", ".join(found[:-1]), found[-1]]))
    return f"{text}. Every score is a sum over {listed} concepts."


def percent(share: float) -> str:
    """A share in percent, with one digit after the point."""
    return f"{100 * share:.1f}\u00a0%"


def protocols(metrics: Sequence[Mapping[str, Any]], explained: Explained) -> list[tuple[str, str, bool]]:
    """Protocol, its words, and whether test videos leak."""
    names = sorted({m["protocol"] for m in metrics} or {explained["protocol"]})
    return [(name, PROTOCOLS[name], name == "published") for name in names]


def scores(metrics: Mapping[str, Any], chance: float) -> dict[str, Any]:
    """The figures of one model: accuracies as bars, all others as a table."""
    found, paper = metrics["figures"], metrics["paper"]
    words = ACCURACY | {"accuracy": (metrics["model"].upper(), ACCURACY["accuracy"][1])}
    others = [*(n for n in MEANINGS if n in found), *sorted(found.keys() - MEANINGS.keys() - words.keys())]
    rows = [_score(n, found[n], paper.get(n), MEANINGS.get(n, (n, ""))) for n in others]
    return {
        "name": metrics["model"],
        "accuracy": [_score(n, found[n], paper.get(n), words[n]) for n in words if n in found],
        "others": [r for n, r in zip(others, rows, strict=True) if n not in DETAILS],
        "details": [r for n, r in zip(others, rows, strict=True) if n in DETAILS],
        "published": any(n in paper for n in others),
        "chance": percent(chance) if chance else "",
        "chance_at": round(100 * chance, 2),
    }


def _score(name: str, figure: Mapping[str, Any], paper: float | None, words: tuple[str, str]) -> dict[str, Any]:
    mean, std, unit = figure["mean"], figure["std"], figure["unit"]
    low, high = max(0.0, mean - std), min(1.0, mean + std)
    return {
        "title": words[0],
        "meaning": words[1],
        "ours": name == "accuracy",
        "value": _shown(mean, std if figure["n"] > 1 else None, unit),
        "width": round(100 * min(max(mean, 0), 1), 2),
        "spread": (round(100 * low, 2), round(100 * (high - low), 2)) if figure["n"] > 1 and std > 0 else None,
        "paper": (round(100 * paper, 2), _shown(paper, None, unit)) if paper is not None else None,
    }


def _shown(mean: float, std: float | None, unit: str) -> str:
    share = unit in SHARES
    text = f"{100 * mean:.1f}" if share else f"{mean:.0f}" if mean == int(mean) and not std else f"{mean:.2f}"
    if std is not None:
        text += f" ± {100 * std:.1f}" if share else f" ± {std:.2f}"
    return f"{text}\u00a0%" if share else f"{text} {unit}".removesuffix(" concepts").removesuffix(" weights").rstrip()


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
                "moving": figures.skeleton(poses, f"Motion concept {name}, drawn as the clip nearest to its mean"),
                "phases": figures.phases(poses),
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


def table(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    """The rows of a table with a header."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


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
            drawing = figures.sankey(two, links)
            result.append({"classes": two, "reason": reason, "drawing": drawing, "limit": LIMIT})
    return result


def _links(names: Names, one: Mapping[int, float], two: Mapping[int, float]) -> list[figures.Link]:
    """The largest positive weights of two classes."""
    chosen = {m for w in (one, two) for m in sorted((m for m in w if w[m] > 0), key=lambda m, w=w: -w[m])[:LIMIT]}
    positive = {m: (max(one.get(m, 0.0), 0.0), max(two.get(m, 0.0), 0.0)) for m in sorted(chosen)}
    return [figures.Link(names.name(m), names.kind(m), w, names.poses.get(m)) for m, w in positive.items()]


# Videos ----------------------------------------------------------------------------------------------------------


def videos(explained: Explained, manifest: Manifest, poses: Sequence[Path], frames: int) -> list[dict[str, Any]]:
    """The explained videos, each with a film strip of some frames."""
    names = Names(explained)
    found = Artifact(poses, "pose") if poses else None
    try:
        return [_video(explained, names, v, manifest, found, frames) for v in explained["videos"]]
    finally:
        if found is not None:
            found.__exit__()


def _video(
    explained: Explained, names: Names, v: Mapping[str, Any], manifest: Manifest, poses: Artifact | None, frames: int
) -> dict[str, Any]:
    labels, predicted = explained["classes"], v["predicted"]
    film, problem = [], ""
    try:
        film = thumbnails.strip(manifest.by_id[v["id"]], frames)
    except VideoError as error:
        problem = error.what
    bars, zero = contributions(explained, names, v)
    repair = v.get("repair")
    return {
        "id": v["id"],
        "predicted": labels[predicted],
        "true": labels[v["true"]] if v["true"] is not None else "",
        "right": v["true"] == predicted,
        "odds": odds(v["scores"], labels),
        "film": film,
        "problem": problem,
        "bars": bars,
        "zero": zero,
        "logit": signed(rounded(v["scores"][predicted])),
        "repair": names.name(repair["concept"]) if repair else "",
        "pairs": moving_pairs(names, v, poses),
        "clips": key_clips(names, v["clips"]),
    }


def contributions(explained: Explained, names: Names, v: Mapping[str, Any]) -> tuple[list[Bar], float]:
    """Contributions to the predicted class, largest first, then all others and the bias; and where 0 lies.

    What is shown adds up to the logit that is shown, to the last digit.
    """
    values = [*(value for *_, value in v["bars"]), v["rest"], v["bias"]]
    shown = [signed(n) for n in apportion(values, rounded(v["scores"][v["predicted"]]))]
    span = room(values)
    bars = []
    for (m, activation, weight, value), text in zip(v["bars"], shown, strict=False):
        how = f"{signed(rounded(activation))} × {signed(rounded(weight))}"
        bars.append(replace(names.bar(m, value, span), shown=text, how=how, against=activation < 0))
    others = len(explained["weights"][v["predicted"]]) - len(v["bars"])
    words = (f"sum of {others} other{'s' * (others > 1)}", "bias")
    for name, value, text in zip(words, values[-2:], shown[-2:], strict=True):
        if name == "bias" or others > 0:
            bars.append(Bar(name, "rest", value, text, *place(value, *span)))
    return bars, place(0, *span)[0]


def apportion(values: Sequence[float], total: int) -> list[int]:
    """Values in hundredths that add up to `total`: where rounding falls short, the entries that lost most give way."""
    exact = 100 * np.asarray(values, dtype=float)
    shown = exact.round().astype(int)
    short = total - int(shown.sum())
    lost = np.sign(short) * (exact - shown)
    lost[exact == 0] = -np.inf  # what is nothing stays nothing
    shown[np.argsort(-lost, kind="stable")[: abs(short)]] += np.sign(short)
    return shown.tolist()


def odds(score: Sequence[float], labels: Sequence[str], count: int = 3) -> str:
    """The likeliest classes with their probabilities."""
    share = softmax(score)
    first = np.argsort(-share, kind="stable")[:count]
    return " · ".join(f"{100 * share[c]:.0f}\u00a0% {labels[c]}" for c in first)


def moving_pairs(names: Names, v: Mapping[str, Any], poses: Artifact | None, count: int = 3) -> list[dict[str, Any]]:
    """The motion concepts that are active among the bars, each beside a clip of the video that belongs to it."""
    active = [m for m, activation, *_ in v["bars"] if m in names.poses and activation > 0][:count]
    result = []
    for m in active:
        start = next((start for start, concept in v["clips"] if concept == m), None)
        own = _own(poses, v["id"], start) if poses is not None and start is not None else None
        length = len(names.poses[m])
        clip = f", and frames {start} to {start + length - 1} of this video" if start is not None else ""
        drawn = figures.skeleton(names.poses[m], names.name(m))
        name = names.concepts[m]["name"]
        result.append(
            {"name": name, "concept": drawn, "own": own, "words": clip or "; no clip of this video is in its cluster"}
        )
    return result


def _own(poses: Artifact, video_id: str, start: int) -> Markup | None:
    if video_id not in poses:
        return None
    video = poses.video(video_id)
    row = np.flatnonzero(video["start"] == start)
    if not len(row):
        return None
    return figures.skeleton(
        bridge_gaps(video["joints"][row[0]]), f"The person in {video_id}, from frame {start} on", own=True
    )


def key_clips(names: Names, clips: Sequence[tuple[int, int | None]]) -> str:
    """What motion each key clip shows."""
    said = [f"{names.name(m) if m is not None else 'unclear'} from frame {start}" for start, m in clips]
    return f"Its key clips: {', '.join(said)}." if said else ""


def edits(explained: Explained) -> list[dict[str, Any]]:
    """Edits of one weight that would mend videos."""
    names = Names(explained)
    said = [
        {"target": explained["classes"][e["class"]], "concept": names.name(e["concept"])} for e in explained["edits"]
    ]
    return [dict(e) | words for e, words in zip(explained["edits"], said, strict=True)]


def confused(counts: NDArray, labels: Sequence[str], count: int = 100) -> list[tuple[str, str, int, int]]:
    """True class, predicted class, number of videos and of all videos of the class: the first `count`, most first."""
    wrong = [(i, j) for i, j in np.argwhere(counts > 0) if i != j]
    wrong.sort(key=lambda ij: -counts[ij])
    return [(labels[i], labels[j], int(counts[i, j]), int(counts[i].sum())) for i, j in wrong[:count]]


# Provenance ------------------------------------------------------------------------------------------------------


def provenance(artifacts: Sequence[Path], files: Sequence[Path]) -> list[dict[str, Any]]:
    """One row a kind of artifact, the digest over its files, and one a file of another form."""
    kinds: dict[str, list[Path]] = {}
    heads = {}
    for path in artifacts:
        with h5py.File(path, "r") as file:
            head = dict(file.attrs)
        kinds.setdefault(str(head["artifact"]), []).append(path)
        heads[str(head["artifact"])] = head
    rows = [
        {
            "name": kind,
            "files": len(paths),
            "digest": _digest(paths),
            "stage": heads[kind]["stage_digest"],
            "model": heads[kind]["model"],
        }
        for kind, paths in kinds.items()
    ]
    plain = ({"name": p.name, "files": 1, "digest": _digest([p]), "stage": "", "model": ""} for p in files)
    return [*rows, *plain]


def _digest(paths: Sequence[Path]) -> str:
    """The file's digest, or one over those of several files."""
    digests = [file_digest(p) for p in paths]
    return (digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest())[:16]


def software(artifacts: Sequence[Path]) -> str:
    """Versions of all software that the artifacts were made with."""
    found: dict[str, set[str]] = {}
    for path in artifacts:
        with h5py.File(path, "r") as file:
            for name, version in json.loads(file.attrs["software"]).items():
                found.setdefault(name, set()).add(version)
    return ", ".join(f"{name} {' and '.join(sorted(v))}" for name, v in sorted(found.items()))
