"""Drawings of AQA's page: curves over time, maps of attention, scores against scores.

Axes: S moment, Q query, T clip, V video. Curves are as wide as the film above them, from its first second to its last.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

import cv2
import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

WIDE, HIGH = 1000, 100  # units of a curve's drawing; it is stretched to its place
SIDE, EDGE = 320, 34  # px of a drawing of scores, and of its margin
COLOUR = (0xA8, 0x68, 0x00)  # of maps: blue, green, red; the page's blue


# Time ------------------------------------------------------------------------------------------------------------


def area(values: NDArray, words: str, look: str, largest: float = 0.0) -> Markup:
    """Values of 0 and above as steps: (S,), NaN where there is nothing.

    Args:
        values: one a moment, all equally long.
        words: what a reader who cannot see it is told.
        look: class of the drawing.
        largest: value of full height; the largest of these when 0.
    """
    values = np.nan_to_num(np.asarray(values, dtype=float))
    high = largest or max(float(values.max(initial=0)), 1e-9)
    top = HIGH * (1 - np.clip(values / high, 0, 1))
    steps = " ".join(f"L{x:.1f} {y:.1f}" for x, y in _corners(top))
    return _drawing(f'<path class="area" d="M0 {HIGH} {steps} L{WIDE} {HIGH} Z"/>', words, look)


def line(values: NDArray, words: str, look: str, low: float, high: float) -> Markup:
    """Values from `low` to `high` as steps, broken where there is none: (S,), NaN where there is nothing."""
    values = np.asarray(values, dtype=float)
    share = (values - low) / max(high - low, 1e-9)
    y = 4 + (HIGH - 8) * (1 - np.clip(share, 0, 1))
    edges = np.linspace(0, WIDE, len(values) + 1)
    path, drawn = [], False
    for s, at in enumerate(y):
        if np.isnan(at):
            drawn = False
            continue
        path.append(f"{'L' if drawn else 'M'}{edges[s]:.1f} {at:.1f} L{edges[s + 1]:.1f} {at:.1f}")
        drawn = True
    return _drawing(f'<path class="line" d="{" ".join(path)}"/>', words, look)


def _corners(top: NDArray) -> list[tuple[float, float]]:
    edges = np.linspace(0, WIDE, len(top) + 1)
    return [(x, y) for s, y in enumerate(top) for x in (edges[s], edges[s + 1])]


def _drawing(marks: str, words: str, look: str) -> Markup:
    box = f'viewBox="0 0 {WIDE} {HIGH}" preserveAspectRatio="none"'
    return Markup(f'<svg class="curve {look}" {box} role="img" aria-label="{escape(words)}">{marks}</svg>')


def spans(rows: Sequence[tuple[float, float, float, str]], first: float, last: float, words: str) -> Markup:
    """Stretches of time as bars: start and end in seconds, how strong (0-1), and what it is."""
    bars = []
    for start, end, strong, what in rows:
        left, right = (100 * (min(max(t, first), last) - first) / max(last - first, 1e-9) for t in (start, end))
        place = f"left:{left:.2f}%;width:{max(right - left, 0.3):.2f}%"
        bars.append(f'<i style="{place};opacity:{0.15 + 0.85 * strong:.2f}" title="{escape(what)}"></i>')
    return Markup(f'<span class="spans" role="img" aria-label="{escape(words)}">{"".join(bars)}</span>')


def ticks(first: float, last: float, count: int = 6) -> list[tuple[float, str]]:
    """Round seconds along the time, and where they are in percent."""
    length = max(last - first, 1e-9)
    rough = length / count
    base = 10 ** np.floor(np.log10(rough))
    step = next(m * base for m in (1, 2, 5, 10) if m * base >= rough * 0.999)
    marks = np.arange(np.ceil(first / step - 1e-9), np.floor(last / step + 1e-9) + 1) * step + 0.0  # never -0
    digits = 0 if step >= 1 else 1
    return [(round(100 * (t - first) / length, 2), f"{t:.{digits}f}") for t in marks.tolist()]


# Maps ------------------------------------------------------------------------------------------------------------


def heat_map(percent: Sequence[Sequence[int]]) -> str:
    """A map in percent of its largest value as a PNG of one pixel a cell, see-through where it is 0: a data URI."""
    strength = np.rint(2.55 * np.clip(np.asarray(percent, dtype=float), 0, 100)).astype(np.uint8)
    pixels = np.empty((*strength.shape, 4), dtype=np.uint8)
    pixels[..., :3], pixels[..., 3] = COLOUR, strength
    data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1]
    return f"data:image/png;base64,{base64.b64encode(data.tobytes()).decode()}"


# Scores ----------------------------------------------------------------------------------------------------------


def against(true: Sequence[float], predicted: Sequence[float], ids: Sequence[str], words: str) -> Markup:
    """What was said of each video over what is true, both on one scale, with the line of equal scores: 3 times (V,)."""
    both = np.array([true, predicted], dtype=float)
    low, high = float(both.min()), float(both.max())
    room = max(high - low, 1e-9)

    def place(value: float) -> float:
        return EDGE + (SIDE - 2 * EDGE) * (value - low) / room

    dots = "".join(
        f'<circle cx="{place(t):.1f}" cy="{SIDE - place(p):.1f}" r="4">'
        f"<title>{escape(i)}: {p:.2f}, true {t:.2f}</title></circle>"
        for t, p, i in zip(*both.tolist(), ids, strict=True)
    )
    ends = f'<path d="M{EDGE} {SIDE - EDGE}L{SIDE - EDGE} {EDGE}"/>'
    text = "".join(
        f'<text x="{place(v):.0f}" y="{SIDE - 12}" text-anchor="middle">{v:.1f}</text>'
        f'<text x="{EDGE - 8}" y="{SIDE - place(v) + 4:.0f}" text-anchor="end">{v:.1f}</text>'
        for v in (low, high)
    )
    title = f"<title>{escape(words)}</title>"
    return Markup(f'<svg class="against" viewBox="0 0 {SIDE} {SIDE}" role="img">{title}{ends}{dots}{text}</svg>')
