"""The videos that a ProDA was asked about: what it says to each question, when, and what it looks at.

Axes: T frame, N node, L layer of the VGPNN, E edge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from pipeline.errors import VideoError
from pipeline.manifest import Manifest
from pipeline.report import thumbnails
from pipeline.report.proda import drawings

Explained = Mapping[str, Any]  # explanations.json; see pipeline.proda.explanations

YES = 0.5  # the probability from which an answer is yes
KEPT = 0.5  # of the largest weight: from here on a node counts as kept
CLOSE = 240  # px, height of the frame that is looked at closely
CURVES = {"left_out": "by what is left out", "weight": "by weight", "occlusion": "by occlusion"}
BRANCHES = {"specified": "Asked for", "unspecified": "All other actions"}


@dataclass(frozen=True)
class Nodes:
    """The nodes that a video has: their rows in the graph, names, (T,N) mask, (T,N,4) boxes."""

    rows: NDArray
    names: list[str]
    mask: NDArray
    box: NDArray


def videos(explained: Explained, manifest: Manifest) -> list[dict[str, Any]]:
    """The explained videos."""
    return [_video(explained, v, manifest) for v in explained["videos"]]


def _video(explained: Explained, v: Mapping[str, Any], manifest: Manifest) -> dict[str, Any]:
    actions = explained["actions"]
    film, problem = thumbnails.film(manifest, v["id"], v["frame"])
    nodes = _nodes(explained, v)
    return {
        "id": v["id"],
        "labels": [actions[a] for a in v["labels"]],
        "free": told(v["prompt_free"], v["labels"], actions),
        "queried": told(v["queried"], v["labels"], actions),
        "film": film,
        "problem": problem,
        "questions": [_question(explained, v, q, nodes, manifest) for q in v["questions"]],
    }


def told(said: Sequence[tuple[int, float]], labels: Sequence[int], actions: Sequence[str]) -> list[dict[str, Any]]:
    """Actions with their probabilities, likeliest first, and what is wrong with those that are."""
    return [{"action": actions[a], "probability": whole(p), "wrong": _mistake(p, a in labels)} for a, p in said]


def whole(probability: float) -> str:
    """A probability in whole percent."""
    return f"{100 * probability:.0f}\u00a0%"


def _mistake(probability: float, shown: bool) -> str:
    return "" if (probability >= YES) == shown else "missed" if shown else "not shown"


def _nodes(explained: Explained, v: Mapping[str, Any]) -> Nodes:
    kinds = np.array(v["nodes"])
    rows = np.flatnonzero(kinds >= 0)
    mask, box = np.array(v["mask"], dtype=bool)[:, rows], np.array(v["box"], dtype=float)[:, rows]
    return Nodes(rows, [explained["objects"][k] for k in kinds[rows]], mask, box)


def _question(
    explained: Explained, v: Mapping[str, Any], q: Mapping[str, Any], nodes: Nodes, manifest: Manifest
) -> dict[str, Any]:
    time, name = np.array(v["time"]), explained["actions"][q["action"]]
    weight = np.array(q["specified"]["node_weight"], dtype=float)[:, nodes.rows]  # (T,N)
    kept = nodes.mask & (weight >= KEPT * weight[nodes.mask].max(initial=0))
    at = int(np.argmax(q["specified"]["frame_weight"]))

    def boxes(frame: int, named: bool = False) -> Markup:
        here = nodes.mask[frame]
        some = [name for name, h in zip(nodes.names, here, strict=True) if h]
        return drawings.boxes(nodes.box[frame, here], some, weight[frame, here], kept[frame, here], named=named)

    return {
        "name": name,
        "verdict": f"{'yes' if q['probability'] >= YES else 'no'} {whole(q['probability'])}",
        "wrong": _mistake(q["probability"], q["shown"]),
        "says": says(name, q),
        "lanes": [*_when(q, time), *_where(nodes, time, weight)],
        "boxes": [boxes(t) for t in range(len(time))],
        "close": _close(manifest, v["id"], v["frame"][at]),
        "close_boxes": boxes(at, named=True),
        "relations": _relations(explained, v, at),
        "nodes": nodes.names,
        "branches": [_branch(explained, q[branch], nodes, title) for branch, title in BRANCHES.items()],
    }


def says(name: str, q: Mapping[str, Any]) -> str:
    """The answer and the truth, in a few sentences."""
    yes = q["probability"] >= YES
    right = "right" if yes == q["shown"] else "wrong"
    text = f"Asked about “{name}” it says {'yes' if yes else 'no'} ({whole(q['probability'])}), which is {right}."
    if q["intervals"]:
        when = " and ".join(f"{start:.1f} to {end:.1f} s" for start, end in q["intervals"])
        text += f" It happens from {when}"
        found = [f"{q['iou'][k]:.2f} {how}" for k, how in CURVES.items() if q["iou"][k] is not None]
        text += f"; the overlap (IoU) of the frames that are found is {' and '.join(found)}." if found else "."
    elif q["shown"]:
        text += " When it happens is not known."
    return text


def _relations(explained: Explained, v: Mapping[str, Any], frame: int) -> dict[str, list[str]]:
    """What the graph says of a frame: node -> relations of the person to it."""
    result: dict[str, list[str]] = {}
    for t, node, relation in v["relation"]:
        if t == frame:
            result.setdefault(explained["objects"][v["nodes"][node]], []).append(explained["relations"][relation])
    return result


def _close(manifest: Manifest, video_id: str, frame: int) -> thumbnails.Thumbnail | None:
    try:
        return thumbnails.chosen(manifest.by_id[video_id], [frame], CLOSE)[0]
    except VideoError:
        return None


def _when(q: Mapping[str, Any], time: NDArray) -> list[dict[str, Any]]:
    """Strips of frames: truth, and for each way of finding it a curve with the frames that are found."""
    lanes = []
    if q["intervals"]:
        lanes.append(_lane("when it happens", drawings.spans(q["intervals"], time, "When it happens"), "truth"))
    titles = {
        "left_out": "loss when it is not shown",
        "weight": "weight of frames",
        "occlusion": "loss in the readout",
    }
    for key, how in CURVES.items():
        strip = drawings.heat(q["curves"][key], time, f"{titles[key]}, over its largest".capitalize())
        found = drawings.runs(np.array(q["frames"][key], dtype=bool), time)
        lanes.append(_lane(titles[key], strip, "first" if key == "left_out" else "gap"))
        lanes.append(_lane("found", drawings.spans(found, time, f"When it is found {how}", look="found")))
    weight = np.array(q["unspecified"]["frame_weight"])
    strip = drawings.heat(weight, time, "Weight of frames for all other actions", look="others")
    return [*lanes, _lane("all other actions", strip, "gap")]


def _where(nodes: Nodes, time: NDArray, weight: NDArray) -> list[dict[str, Any]]:
    """One strip a node, all on one scale: its weight, where it is seen."""
    largest = float(weight[nodes.mask].max(initial=0))
    lanes = []
    for n, name in enumerate(nodes.names):
        words = f"Weight of {name} in each frame"
        strip = drawings.heat(weight[:, n], time, words, seen=nodes.mask[:, n], largest=largest, look="nodes")
        lanes.append(_lane(name, strip, "" if n else "gap"))
    return lanes


def _lane(name: str, strip: Markup, look: str = "") -> dict[str, Any]:
    return {"name": name, "strip": strip, "look": look}


def _branch(explained: Explained, branch: Mapping[str, Any], nodes: Nodes, title: str) -> dict[str, Any]:
    """Weights of a branch: of every node, and of its edges with the person in each layer; None where there is none."""
    weight = np.array(branch["node_weight"], dtype=float)[:, nodes.rows]  # (T,N)
    edge = np.array(branch["edge_weight"], dtype=float)  # (L,T,E)
    ends = np.array(explained["edges"])  # (E,2)
    rows = []
    for n, row in enumerate(nodes.rows):
        seen = nodes.mask[:, n]
        both = seen & nodes.mask[:, 0] if row else np.zeros_like(seen)  # the person has no edge with itself
        here = (ends == 0).any(axis=1) & (ends == row).any(axis=1)  # both directions
        rows.append([_mean(weight[seen, n]), *(_mean(layer[both][:, here]) for layer in edge)])
    return {"title": title, "layers": list(range(1, len(edge) + 1)), "rows": rows}


def _mean(values: NDArray) -> float | None:
    return float(values.mean()) if values.size else None
