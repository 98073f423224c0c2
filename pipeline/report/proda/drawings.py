"""Drawings of ProDA's page: strips over time, small matrices, boxes on frames, points in a plane.

Axes: T frame, N node, P point. Every strip has T equal cells, one a sampled frame, so that strips below each other and
below the film share their time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

GOLDEN = 137.508  # degrees between the hues of neighbouring actions
SIDE = 560  # px of the plane


# Time ------------------------------------------------------------------------------------------------------------


def heat(
    values: NDArray, time: NDArray, words: str, *, seen: NDArray | None = None, largest: float = 0.0, look: str = ""
) -> Markup:
    """Weights over time as cells: (T,), (T,) s.

    Args:
        values: weights, 0 and above.
        time: of the frames.
        words: what a reader who cannot see it is told.
        seen: (T,) bool; cells that are not are left empty.
        largest: weight of full colour; the largest of these values when 0.
        look: class of the strip.
    """
    values = np.asarray(values, dtype=float)
    seen = np.ones(len(values), dtype=bool) if seen is None else np.asarray(seen, dtype=bool)
    largest = largest or max(float(values[seen].max(initial=0)), 1e-9)
    cells = "".join(
        f'<i style="opacity:{v / largest:.2f}" title="{t:.1f} s: {v:.2f}"></i>' if s else '<i class="none"></i>'
        for v, t, s in zip(values, time, seen, strict=True)
    )
    return Markup(f'<span class="heat {look}" role="img" aria-label="{escape(words)}">{cells}</span>')


def spans(intervals: Sequence[tuple[float, float]], time: NDArray, words: str, *, look: str = "") -> Markup:
    """Intervals in seconds as bars on the strip whose cells are frames at `time`: (T,) s."""
    bars = []
    for start, end in intervals:
        left, right = (100 * position(t, time) for t in (start, end))
        bars.append(
            f'<i style="left:{left:.1f}%;width:{max(right - left, 0.5):.1f}%" title="{start:.1f} to {end:.1f} s"></i>'
        )
    return Markup(f'<span class="spans {look}" role="img" aria-label="{escape(words)}">{"".join(bars)}</span>')


def position(moment: float, time: NDArray) -> float:
    """Where a moment lies on a strip, 0-1; a frame stands in the middle of its cell: s, (T,) s."""
    frames = len(time)
    if frames < 2:
        return 0.5
    first, last = time[0] - (time[1] - time[0]) / 2, time[-1] + (time[-1] - time[-2]) / 2
    centres = (np.arange(frames) + 0.5) / frames
    return float(np.interp(moment, [first, *time, last], [0, *centres, 1]))


def runs(found: NDArray, time: NDArray) -> list[tuple[float, float]]:
    """Frames that were found as intervals in seconds, each frame as long as its cell: (T,) bool, (T,) s."""
    edges = np.concatenate([[time[0]], (time[1:] + time[:-1]) / 2, [time[-1]]])
    if len(time) > 1:
        edges[0], edges[-1] = time[0] - (time[1] - time[0]) / 2, time[-1] + (time[-1] - time[-2]) / 2
    change = np.diff(np.concatenate([[0], np.asarray(found, dtype=int), [0]]))
    starts, ends = np.flatnonzero(change == 1), np.flatnonzero(change == -1)
    return [(float(edges[a]), float(edges[b])) for a, b in zip(starts, ends, strict=True)]


# Frames ----------------------------------------------------------------------------------------------------------


def boxes(box: NDArray, names: Sequence[str], weight: NDArray, kept: NDArray, *, named: bool = False) -> Markup:
    """Boxes of nodes over a frame that lies below: (N,4) 0-1, names, (N,) 0-1, (N,) bool.

    Nodes that are kept have full lines, the others thin dashed ones; with `named`, the kept ones carry their names.
    """
    marks = []
    for (left, top, right, bottom), name, w, k in zip(100 * np.asarray(box), names, weight, kept, strict=True):
        look = "kept" if k else "left"
        place = f'x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}"'
        marks.append(f'<rect class="{look}" {place}><title>{escape(name)}: {w:.2f}</title></rect>')
    drawn = (
        f'<svg class="boxes" viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">{"".join(marks)}</svg>'
    )
    if named:
        for (left, top, *_), name, k in zip(100 * np.asarray(box), names, kept, strict=True):
            if k:
                drawn += f'<b class="tag" style="left:{left:.1f}%;top:{top:.1f}%">{escape(name)}</b>'
    return Markup(drawn)


# Points ----------------------------------------------------------------------------------------------------------


def hue(index: int) -> int:
    """Hue of an action, in degrees; neighbours differ much."""
    return round(index * GOLDEN) % 360


def plane(points: Sequence[tuple[float, float, int]], names: Sequence[str]) -> Markup:
    """Points x, y and the action they stand for, coloured by it; P of them."""
    at = np.array([(x, y) for x, y, _ in points], dtype=float)  # (P,2)
    low, high = at.min(axis=0), at.max(axis=0)
    scale = (SIDE - 24) / max(float((high - low).max()), 1e-9)
    at = (at - (low + high) / 2) * scale + SIDE / 2
    marks = "".join(
        f'<circle cx="{x:.0f}" cy="{y:.0f}" r="4" style="--hue:{hue(c)}"><title>{escape(names[c])}</title></circle>'
        for (x, y), (*_, c) in zip(at, points, strict=True)
    )
    title = f"<title>{len(points)} features in a plane, coloured by the action that was asked</title>"
    return Markup(f'<svg class="plane" viewBox="0 0 {SIDE} {SIDE}" role="img">{title}{marks}</svg>')
