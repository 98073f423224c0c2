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
LEFT, RIGHT, WIDTH = 200, 450, 640  # px of a drawing of two classes: its nodes, and all of it
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
    look = f'class="skeleton{" own" * own}" viewBox="0 0 {SIDE} {SIDE}" role="img"'
    person = _person(poses[len(poses) // 2], head_radius(poses))
    title = f"<title>{escape(words)}</title>"
    return Markup(f'<svg {look} data-poses="{data}" data-frames="{len(poses)}">{title}{trails}{person}</svg>')


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

    def order(link: Link) -> tuple[float, float, str]:
        one, two = link.weights
        return (two - one) / (one + two or 1), -one - two, link.name

    links = sorted(links, key=order)
    totals = [sum(k.weights[c] for k in links) for c in (0, 1)]
    scale = 130 / max(*totals, 1e-9)  # px a logit
    rows = [max(sum(k.weights) * scale, 40 if k.poses is not None else 22) for k in links]
    height = max(sum(rows) + 8 * len(rows) + 16, sum(totals) * scale + 60)
    gap = (height - sum(totals) * scale) / 3
    to = [gap, 2 * gap + totals[0] * scale]  # where the next band arrives at each class
    marks = [_class(classes[c], to[c], totals[c] * scale) for c in (0, 1)]
    y = (height - sum(rows) - 8 * (len(rows) - 1)) / 2
    for k, row in zip(links, rows, strict=True):
        top = y + (row - sum(k.weights) * scale) / 2
        marks.append(_concept(k, top, sum(k.weights) * scale))
        for c in (0, 1):
            width = k.weights[c] * scale
            if width > 0:
                words = f"{k.name} speaks for {classes[c]}: {k.weights[c]:+.2f}"
                marks.append(_band(k.kind, top + width / 2, to[c] + width / 2, width, words))
                top, to[c] = top + width, to[c] + width
        y += row + 8
    title = f"<title>Concepts that speak for {escape(classes[0])} or {escape(classes[1])}</title>"
    box = f"0 0 {WIDTH} {height:.0f}"
    return Markup(f'<svg class="sankey" viewBox="{box}" role="img">{title}{"".join(marks)}</svg>')


def _class(name: str, top: float, height: float) -> str:
    node = f'<rect class="node" x="{RIGHT}" y="{top:.1f}" width="8" height="{max(height, 2):.1f}"/>'
    text = f'<text class="class" x="{RIGHT + 18}" y="{top + height / 2 + 5:.1f}">{escape(shorten(name, 22))}</text>'
    return node + text


def _concept(link: Link, top: float, height: float) -> str:
    """A concept's node and name; a motion concept also has its person."""
    middle, room = top + height / 2, 0 if link.poses is None else 46
    node = f'<rect class="node {link.kind}" x="{LEFT}" y="{top:.1f}" width="8" height="{max(height, 1):.1f}"/>'
    both = '<tspan class="both">both · </tspan>' if min(link.weights) > 0 else ""
    name = escape(shorten(link.name, 18 if both else 25))
    text = f'<text x="{LEFT - 10 - room}" y="{middle + 5:.1f}" text-anchor="end">{both}{name}</text>'
    if link.poses is None:
        return node + text
    poses = fit(np.asarray(link.poses, dtype=float))
    person = _person(poses[len(poses) // 2], head_radius(poses))
    place = f'x="{LEFT - 50}" y="{middle - 21:.1f}" width="42" height="42" viewBox="0 0 {SIDE} {SIDE}"'
    return f'{node}{text}<svg class="skeleton" {place}>{person}</svg>'


def _band(kind: str, start: float, end: float, width: float, words: str) -> str:
    bend = (RIGHT - LEFT) // 2
    path = f"M{LEFT + 8} {start:.1f}C{LEFT + bend} {start:.1f} {RIGHT - bend} {end:.1f} {RIGHT} {end:.1f}"
    title = f"<title>{escape(words)}</title>"
    return f'<path class="ribbon {kind}" stroke-width="{max(width, 0.8):.1f}" d="{path}">{title}</path>'


def shorten(text: str, limit: int) -> str:
    """A text that fits: cut, with an ellipsis, where it is longer than `limit` characters."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


# Confusion -------------------------------------------------------------------------------------------------------


def confusion(counts: NDArray, classes: Sequence[str]) -> Markup:
    """Videos by true class (row) and predicted class (column): (C,C); a cell is as dark as its share of the row."""
    cell = int(np.clip(620 / len(classes), 6, 42))
    size = min(13, cell - 1)
    left = 16 + (int(0.56 * size * min(32, max(map(len, classes)))) if size >= 8 else 0)  # room for the names
    top = int(0.75 * left)
    side = len(classes) * cell
    marks = [f'<rect class="frame" x="{left}" y="{top}" width="{side}" height="{side}"/>']
    if size >= 8:
        for i, name in enumerate(classes):
            text = escape(shorten(name, 32))
            at = f'x="{left - 6}" y="{top + (i + 0.5) * cell + 0.35 * size:.0f}" text-anchor="end"'
            turned = f'transform="translate({left + (i + 0.5) * cell + 3:.0f} {top - 6}) rotate(-45)"'
            marks += [f'<text {where} font-size="{size}">{text}</text>' for where in (at, turned)]
    for i, j in np.argwhere(counts > 0):
        words = f"{counts[i, j]} of {counts[i].sum()} videos of {classes[i]}: told as {classes[j]}"
        share = counts[i, j] / counts[i].sum()
        marks.append(_cell(left + j * cell, top + i * cell, cell, share, i == j, counts[i, j], words))
    width, height = left + side + int(0.6 * left), top + side + 2
    box = f'viewBox="0 0 {width} {height}" style="max-width:{width}px"'
    title = "<title>Test videos by true and predicted class</title>"
    return Markup(f'<svg class="confusion" {box} role="img">{title}{"".join(marks)}</svg>')


def _cell(x: int, y: int, side: int, share: float, right: bool, count: int, words: str) -> str:
    inset = 1 if side > 10 else 0
    place = f'x="{x + inset}" y="{y + inset}" width="{side - 2 * inset}" height="{side - 2 * inset}"'
    look = f'class="{"right" if right else "wrong"}" fill-opacity="{0.2 + 0.8 * share:.2f}"'
    square = f"<rect {look} {place}><title>{escape(words)}</title></rect>"
    if side < 18:
        return square
    dark = " on-dark" if share > 0.5 else ""
    middle = f'x="{x + side / 2:.0f}" y="{y + side / 2 + 4:.0f}" text-anchor="middle"'
    return f'{square}<text class="count{dark}" {middle}>{count}</text>'
