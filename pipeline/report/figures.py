"""Drawings of the report, as SVG.

Axes: L frame, J joint (COCO-17), C class. Every drawing carries its own words (`<title>`), and takes its colours from
page.css through classes: `motion`, `object` and `scene` are the three kinds of concepts.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

PARTS = {  # class -> lines through joints; page.js draws the same
    "trunk": ((5, 6, 12, 11, 5),),
    "left": ((5, 7, 9), (11, 13, 15)),
    "right": ((6, 8, 10), (12, 14, 16)),
}
HEAD = (0, 1, 2, 3, 4)
TRACED = (9, 10, 15, 16)  # wrists and ankles leave a trail
SIDE, MARGIN, ABSENT = 254, 16, 255  # the square that poses are fitted into; coordinates are bytes, 255 is "not seen"


# Skeletons -------------------------------------------------------------------------------------------------------


def fit(joints: NDArray) -> NDArray[np.uint8]:
    """Poses in a square of `SIDE`, one scale and place for all frames, so that travel stays: (L,J,2) -> (L,J,2)."""
    seen = ~np.isnan(joints).any(axis=2)  # (L,J)
    if not seen.any():
        return np.full(joints.shape, ABSENT, dtype=np.uint8)
    low, high = joints[seen].min(axis=0), joints[seen].max(axis=0)
    scale = (SIDE - 2 * MARGIN) / max(float((high - low).max()), 1e-9)
    placed = (joints - (low + high) / 2) * scale + SIDE / 2
    return np.where(seen[..., None], placed.round(), ABSENT).astype(np.uint8)


def skeleton(joints: NDArray, words: str, *, own: bool = False) -> Markup:
    """A moving person: one frame with the trails of wrists and ankles, and all frames as data for page.js.

    Args:
        joints: poses (L,17,2), in any unit, y downwards, NaN where a joint is not seen.
        words: what a reader who cannot see it is told.
        own: the person of a video, in another colour than the prototypes of concepts.
    """
    poses = fit(np.asarray(joints, dtype=float))
    data = base64.b64encode(poses.tobytes()).decode()
    trails = "".join(f'<path class="trail" d="{_line(poses[:, j])}"/>' for j in TRACED)
    return Markup(
        f'<svg class="skeleton{" own" * own}" viewBox="0 0 {SIDE} {SIDE}" role="img" data-poses="{data}" data-frames="{len(poses)}">'
        f"<title>{escape(words)}</title>{trails}{_person(poses[len(poses) // 2], head_radius(poses))}</svg>"
    )


def still_person(joints: NDArray) -> Markup:
    """The middle frame of a movement, small, beside a name."""
    poses = fit(np.asarray(joints, dtype=float))
    person = _person(poses[len(poses) // 2], head_radius(poses))
    return Markup(f'<svg class="skeleton" viewBox="0 0 {SIDE} {SIDE}" aria-hidden="true">{person}</svg>')


def phases(joints: NDArray, count: int = 5) -> Markup:
    """The same movement as `count` still poses side by side, first to last: what is left of it on paper."""
    poses = fit(np.asarray(joints, dtype=float))
    moments, radius = np.linspace(0, len(poses) - 1, count).round().astype(int), head_radius(poses)
    people = "".join(
        f'<g transform="translate({n * SIDE} 0)">{_person(poses[t], radius)}</g>' for n, t in enumerate(moments)
    )
    return Markup(f'<svg class="phases" viewBox="0 0 {count * SIDE} {SIDE}" aria-hidden="true">{people}</svg>')


def head_radius(poses: NDArray) -> int:
    """Radius of the head in a fitted clip: a share of the trunk's length, which perspective changes least."""
    seen = (poses[:, [5, 6, 11, 12]] != ABSENT).all(axis=(1, 2))
    if not seen.any():
        return 12
    trunk = poses[seen][:, [5, 6]].mean(axis=1) - poses[seen][:, [11, 12]].mean(axis=1)  # (L,2)
    return int(np.clip(0.24 * np.median(np.linalg.norm(trunk, axis=1)), 7, 20))


def _person(pose: NDArray, radius: int) -> str:
    lines = "".join(
        f'<path class="{part}" d="{"".join(_line(pose[list(joints)], whole=True) for joints in groups)}"/>'
        for part, groups in PARTS.items()
    )
    head = pose[list(HEAD)]
    head = head[(head != ABSENT).all(axis=1)]
    place = head.mean(axis=0).round().astype(int).tolist() if len(head) else (-99, -99)
    return f'{lines}<circle class="head" cx="{place[0]}" cy="{place[1]}" r="{radius}"/>'


def _line(points: NDArray, whole: bool = False) -> str:
    """A path through points (N,2); those not seen are skipped, or the line is left out when it must be `whole`."""
    seen = (points != ABSENT).all(axis=1)
    if whole and not seen.all():
        return ""
    points = points[seen].tolist()
    points = [p for n, p in enumerate(points) if n == 0 or p != points[n - 1]]
    return "M" + "L".join(f"{x} {y}" for x, y in points) if len(points) > 1 else ""


# Concepts to classes ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Link:
    """How much a concept speaks for the classes of a pair: (0 where it does not)."""

    name: str
    kind: str
    weights: tuple[float, float]
    poses: NDArray | None = None  # of a motion concept


def sankey(classes: tuple[str, str], links: Sequence[Link]) -> Markup:
    """Which concepts lead to which of two classes; the width of a band is the weight (DANCE, Fig. 5).

    Concepts of the first class alone stand on top, shared ones in the middle, those of the second class below.
    """
    links = sorted(
        links, key=lambda k: (-(k.weights[0] - k.weights[1]) / (sum(k.weights) or 1), -sum(k.weights), k.name)
    )
    totals = [sum(k.weights[c] for k in links) for c in (0, 1)]
    scale = 130 / max(*totals, 1e-9)
    left, right, y = 230, 590, 12.0
    tops, ribbons, labels = [], [], []
    for k in links:
        height = max(sum(k.weights) * scale, 40 if k.poses is not None else 22)
        tops.append(y + (height - sum(k.weights) * scale) / 2)
        y += height + 8
    total = max(y + 4, sum(totals) * scale + 60)
    gap = (total - sum(totals) * scale) / 3
    at = [gap, 2 * gap + totals[0] * scale]  # top of each class
    for c in (0, 1):
        middle, height = at[c] + totals[c] * scale / 2, max(totals[c] * scale, 2)
        ribbons.append(f'<rect class="node" x="{right}" y="{at[c]:.1f}" width="8" height="{height:.1f}"/>')
        labels.append(
            f'<text class="class" x="{right + 18}" y="{middle + 5:.1f}">{escape(shorten(classes[c], 30))}</text>'
        )
    for k, top in zip(links, tops, strict=True):
        thick, shared = sum(k.weights) * scale, min(k.weights) > 0
        middle = top + thick / 2
        for c in (0, 1):
            width = k.weights[c] * scale
            if width > 0:
                words = f"{k.name} speaks for {classes[c]}: {k.weights[c]:+.2f}"
                a, b = top + width / 2, at[c] + width / 2
                ribbons.append(
                    f'<path class="ribbon {k.kind}" stroke-width="{max(width, 0.8):.1f}" d="M{left + 8} {a:.1f}C{left + 170} {a:.1f}'
                    f' {right - 170} {b:.1f} {right} {b:.1f}"><title>{escape(words)}</title></path>'
                )
                top, at[c] = top + width, at[c] + width
        ribbons.append(
            f'<rect class="node {k.kind}" x="{left}" y="{middle - thick / 2:.1f}" width="8" height="{max(thick, 1):.1f}"/>'
        )
        room = 46 if k.poses is not None else 0
        name = (
            f'<tspan class="both">both · </tspan>{escape(shorten(k.name, 24))}'
            if shared
            else escape(shorten(k.name, 30))
        )
        labels.append(f'<text x="{left - 10 - room}" y="{middle + 4:.1f}" text-anchor="end">{name}</text>')
        if k.poses is not None:
            poses = fit(np.asarray(k.poses, dtype=float))
            labels.append(
                f'<svg class="skeleton still" x="{left - 50}" y="{middle - 21:.1f}" width="42" height="42"'
                f' viewBox="0 0 {SIDE} {SIDE}">{_person(poses[len(poses) // 2], head_radius(poses))}</svg>'
            )
    return Markup(
        f'<svg class="sankey" viewBox="0 0 800 {total:.0f}" role="img"><title>Concepts that speak for {escape(classes[0])}'
        f" or {escape(classes[1])}</title>{''.join(ribbons)}{''.join(labels)}</svg>"
    )


def shorten(text: str, limit: int) -> str:
    """A text that fits: cut, with an ellipsis, where it is longer than `limit` characters."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


# Confusion -------------------------------------------------------------------------------------------------------


def confusion(counts: NDArray, classes: Sequence[str]) -> Markup:
    """Videos by true class (row) and predicted class (column): (C,C); a cell is as dark as its share of the row."""
    n = len(classes)
    cell = int(np.clip(620 / n, 6, 42))
    named = cell >= 9
    size = min(13, cell - 1)
    room = 16 + (int(0.56 * size * min(32, max(map(len, classes)))) if named else 0)
    top = int(room * 0.75) if named else 16
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    marks = []
    for i, truth in enumerate(classes):
        x, y = room + i * cell, top + i * cell
        if named:
            name = escape(shorten(truth, 32))
            marks.append(
                f'<text x="{room - 6}" y="{y + cell / 2 + 4:.0f}" text-anchor="end" font-size="{size}">{name}</text>'
            )
            place = f"translate({x + cell / 2 + 3:.0f} {top - 6}) rotate(-45)"
            marks.append(f'<text transform="{place}" font-size="{size}">{name}</text>')
        for j, told in enumerate(classes):
            if not counts[i, j]:
                continue
            x = room + j * cell
            words = f"{counts[i, j]:g} of {counts[i].sum():g} videos of {truth}: told as {told}"
            marks.append(
                f'<rect class="{"right" if i == j else "wrong"}" x="{x + 1}" y="{y + 1}" width="{cell - 2}" height="{cell - 2}"'
                f' fill-opacity="{0.12 + 0.88 * share[i, j]:.2f}"><title>{escape(words)}</title></rect>'
            )
            if cell >= 18:
                dark = " on-dark" if share[i, j] > 0.5 else ""
                place = f'x="{x + cell / 2:.0f}" y="{y + cell / 2 + 4:.0f}"'
                marks.append(f'<text class="count{dark}" {place} text-anchor="middle">{counts[i, j]:g}</text>')
    end = n * cell
    width, height = room + end + int(room * 0.6), top + end + 2
    frame = f'<rect class="frame" x="{room}" y="{top}" width="{end}" height="{end}"/>'
    return Markup(
        f'<svg class="confusion" viewBox="0 0 {width} {height}" style="max-width:{width}px" role="img">'
        f"<title>Test videos by true and predicted class</title>{frame}{''.join(marks)}</svg>"
    )
