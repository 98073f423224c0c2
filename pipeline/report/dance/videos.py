"""The videos that a DANCE explains, what an edit would mend, and what is taken for what: plain values for the page.

Axes: C class, M concept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from scipy.special import softmax

from pipeline.artifacts import Artifact
from pipeline.concepts.motion import bridge_gaps
from pipeline.manifest import Manifest
from pipeline.report import thumbnails
from pipeline.report.dance import drawings
from pipeline.report.dance.concepts import Bar, Explained, Names
from pipeline.report.numbers import place, room, rounded, signed


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
    film, problem = thumbnails.film(manifest, v["id"], frames)
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
        drawn = drawings.skeleton(names.poses[m], names.name(m))
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
    return drawings.skeleton(
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
