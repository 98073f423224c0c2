"""The videos that are explained: which seconds earned the score, and where the model looked.

Axes: S moment, T clip, Q query.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.manifest import Manifest, Video
from pipeline.report import thumbnails
from pipeline.report.aqa import drawings
from pipeline.report.numbers import rounded

Explained = Mapping[str, Any]  # explanations.json; see pipeline.aqa.explanations

FILM = 12  # frames of the strip


def videos(explained: Explained, manifest: Manifest) -> list[dict[str, Any]]:
    """The explained videos of all tasks."""
    several = len(explained["tasks"]) > 1
    return [
        _video(v, task, manifest, float(explained["step"])) | {"task": task["name"] if several else ""}
        for task in explained["tasks"]
        for v in task["videos"]
    ]


def _video(v: Mapping[str, Any], task: Mapping[str, Any], manifest: Manifest, step: float) -> dict[str, Any]:
    first, last = v["time"][0] - step / 2, v["time"][-1] + step / 2
    film, problem = _film(manifest, v["id"], first + (last - first) * (np.arange(FILM) + 0.5) / FILM)
    return {
        "id": v["id"],
        "says": says(v, task),
        "film": film,
        "problem": problem,
        "lanes": lanes(v, first, last),
        "ticks": drawings.ticks(first, last),
        "moments": _moments(v, manifest),
        "total": f"{rounded(v['predicted']) / 100:.2f}",
        "rest": f"{_rest(v) / 100:.2f}".replace("-", "−"),
        "maps": _maps(v),
        "elements": [_element(e) for e in v["elements"] or ()],
    }


def says(v: Mapping[str, Any], task: Mapping[str, Any]) -> str:
    """The score and the truth, in a sentence or two."""
    text = f"It gives {v['predicted']:.2f} of {task['range'][1]:g} points; the judges gave {v['true']:.2f}."
    if v["worst"]:
        text += " No other test video is missed by more."
    known = v["correlation"]
    if known["weight"] is not None or known["score"] is not None:
        told = [f"{name} {_signed(known[name])}" for name in ("weight", "score") if known[name] is not None]
        text += f" Correlation of its curves with the truth: {', '.join(told)}."
    return text


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


# Frames ----------------------------------------------------------------------------------------------------------


def _film(manifest: Manifest, video_id: str, seconds: NDArray) -> tuple[list[thumbnails.Thumbnail], str]:
    """Frames at some seconds, or none and why."""
    if video_id not in manifest.by_id:
        return [], "the manifest does not have it."
    video = manifest.by_id[video_id]
    if not video.fps:
        return [], "its features were imported, and its file is not there or could not be read."
    return thumbnails.film(manifest, video_id, [frame_at(video, float(t)) for t in seconds])


def frame_at(video: Video, second: float) -> int:
    """The frame that is seen at a second."""
    return max(0, min(int(second * video.fps), (video.frames or 1) - 1))


def _moments(v: Mapping[str, Any], manifest: Manifest) -> list[dict[str, Any]]:
    """What earned most: seconds, a frame from the middle, weight, score, earnings, and what was performed."""
    middles = np.array([(m["start"] + m["end"]) / 2 for m in v["moments"]])
    film, _ = _film(manifest, v["id"], middles) if len(middles) else ([], "")
    return [
        {
            "when": f"{m['start']:.1f} to {m['end']:.1f} s",
            "frame": film[n] if film else None,
            "weight": f"{100 * m['weight']:.1f}\u00a0%",
            "score": f"{m['score']:.2f}",
            "contribution": f"{rounded(m['contribution']) / 100:.2f}",
            "elements": [e["name"] for e in v["elements"] or () if e["start"] < m["end"] and m["start"] < e["end"]],
        }
        for n, m in enumerate(v["moments"])
    ]


def _rest(v: Mapping[str, Any]) -> int:
    """Hundredths that all other seconds earn, so that what is shown adds up to the score that is shown."""
    return rounded(v["predicted"]) - sum(rounded(m["contribution"]) for m in v["moments"])


# Curves, maps ----------------------------------------------------------------------------------------------------


def lanes(v: Mapping[str, Any], first: float, last: float) -> list[dict[str, Any]]:
    """Curves over time, and the truth underneath where it is known."""
    weight, score = (np.array(v[name], dtype=float) for name in ("weight", "score"))
    earned = weight * score
    low, high = _room(score)
    drawn = [
        _lane("weight", f"0 to {100 * weight.max():.2f} % a second", drawings.area(weight, "Weight", "weight")),
        _lane("score", f"{low:.1f} to {high:.1f} points", drawings.line(score, "Score", "score", low, high)),
        _lane(
            "earned",
            f"0 to {max(earned.max(), 0):.2f} points a second",
            drawings.area(earned, "Points earned", "earned"),
        ),
    ]
    if v["difficulty"] is None:
        return drawn
    difficulty, execution = (np.array(v[name], dtype=float) for name in ("difficulty", "execution"))
    true = [
        ("true difficulty", f"0 to {difficulty.max():.2g} points", drawings.area(difficulty, "Difficulty", "true")),
        ("true execution", "0 to 1", drawings.line(execution, "Execution", "true", 0, 1)),
        ("elements", "", _spans(v["elements"], first, last)),
    ]
    return [*drawn, *(_lane(*lane, true=True) for lane in true)]


def _lane(name: str, room: str, strip: Any, true: bool = False) -> dict[str, Any]:
    return {"name": name, "room": room, "strip": strip, "true": true}


def _room(score: NDArray) -> tuple[float, float]:
    """Ends of the axis of scores: at least a point apart, so that a flat curve looks flat."""
    low, high = float(score.min()), float(score.max())
    spare = max(0.0, (1 - (high - low)) / 2)
    return low - spare, high + spare


def _spans(elements: Sequence[Mapping[str, Any]], first: float, last: float) -> Any:
    most = max((e["difficulty"] for e in elements), default=1) or 1
    rows = [
        (
            e["start"],
            e["end"],
            e["difficulty"] / most,
            f"{e['name']}: difficulty {e['difficulty']:.2g}, execution {e['execution']:.2f}",
        )
        for e in elements
    ]
    return drawings.spans(rows, first, last, "Elements")


def _maps(v: Mapping[str, Any]) -> list[dict[str, str]]:
    """Maps of self-attention and cross-attention, a layer after the other."""
    titles = {"self_attention": ("queries", "queries"), "cross_attention": ("queries", "clips")}
    return [
        {
            "title": f"{'Self' if name == 'self_attention' else 'Cross'}-attention, layer {layer}",
            "axes": f"rows: {rows}; columns: {columns}; darkest: {100 * found['largest']:.1f} %",
            "image": drawings.heat_map(found["percent"]),
            "look": "wide" if name == "cross_attention" else "square",
        }
        for name, (rows, columns) in titles.items()
        for layer, found in enumerate(v[name], start=1)
    ]


def _element(e: Mapping[str, Any]) -> dict[str, str]:
    """One row of the table of elements; what lies beyond the clips has no numbers of the model's."""

    def cell(value: float | None, scale: float = 1, unit: str = "") -> str:
        return "" if value is None else f"{scale * value:.2f}".replace("-", "−") + unit

    return {
        "name": e["name"],
        "when": f"{e['start']:.1f} to {e['end']:.1f} s",
        "difficulty": f"{e['difficulty']:.2f}",
        "execution": f"{e['execution']:.2f}",
        "weight": cell(e["weight"], 100, "\u00a0%"),
        "score": cell(e["score"]),
        "contribution": cell(e["contribution"]),
    }
