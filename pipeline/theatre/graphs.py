"""Scene graphs of a performance: boxes from what is really drawn, relations from where things are in space.

Relations have Action Genome's names and are the person's to each thing (Ji et al., CVPR 2020). Only those occur that
space and the hands decide: one of attention, one or two of space, one of contact. None names an action: a thing is held
while it is lifted, until it is thrown, and while nothing happens to it.
Axes: T frame, N node (0 the person), R relation.
"""

from dataclasses import replace

import numpy as np
from numpy import ndarray

from pipeline.scene_graphs.geometry import RELATIONS
from pipeline.theatre.gestures import Motion
from pipeline.theatre.paper import SIZE
from pipeline.theatre.puppet import POINT
from pipeline.theatre.shapes import Cast, Shape, View

SEEN = 5  # px of a thing that have to show before it counts as seen
NEAR = 0.13  # body heights between hand and thing that count as touching
LOOKING, AWAY = 35, 60  # degrees between face and thing


def boxes(nodes: list[list[Shape]], furniture: list[Shape], view: View, camera: ndarray) -> ndarray:
    """Boxes (T, N, 4) xyxy px round what can be seen of each node; NaN where next to nothing can.

    The stage is drawn once more, three nodes at a time in pure red, green and blue and all else in black, so that what
    covers what is decided by the drawing itself.
    """
    found = np.full((len(camera), len(nodes), 4), np.nan, np.float32)
    for first in range(0, len(nodes), 3):
        shapes = [replace(shape, colour=(0, 0, 0)) for shape in furniture]
        for index, node in enumerate(nodes):
            paint = tuple(255 * (index - first == channel) for channel in range(3))
            shapes += [replace(shape, colour=paint) for shape in node]
        cast = Cast(shapes, view, camera)
        for frame in range(len(camera)):
            picture = np.zeros((SIZE, SIZE, 3), np.uint8)
            cast.draw(picture, frame, np.ones(3))
            for channel in range(min(3, len(nodes) - first)):
                found[frame, first + channel] = _round(picture[..., channel] > 40)
    return found


def middle(shapes: list[Shape]) -> ndarray:
    """The middle of a thing (T, 3), in space."""
    points = np.concatenate([shape.points for shape in shapes], 1)
    return 0.5 * (points.min(1) + points.max(1))


def relations(points: ndarray, motion: Motion, things: list[ndarray], held: list[ndarray]) -> ndarray:
    """Relations (T, N, R) uint8 of the person to things; node 0, the person, has none.

    Args:
        points: (T, P, 3) points of the body in space.
        motion: where these come from; it knows what is ahead.
        things: the middle of each thing, (T, 3) in space.
        held: of each thing (T,) bool, True while it is in a hand.
    """
    found = np.zeros((len(points), 1 + len(things), len(RELATIONS)), np.uint8)
    head, face = points[:, POINT["head"]], points[:, POINT["nose"]] - points[:, POINT["head"]]
    knees = points[:, [POINT["left_knee"], POINT["right_knee"]], 1].max(1)
    hands = points[:, [POINT["left_hand"], POINT["right_hand"]]]
    for node, (thing, in_hand) in enumerate(zip(things, held, strict=True), start=1):
        gaze = _angle(thing - head, face)
        ahead, _, aside = motion.local(thing).T
        bearing = np.abs(np.rad2deg(np.arctan2(aside, ahead)))
        near = np.linalg.norm(thing[:, None] - hands, axis=-1).min(1) < NEAR
        said = {
            "lookingat": gaze < LOOKING,
            "unsure": (gaze >= LOOKING) & (gaze < AWAY),
            "notlookingat": gaze >= AWAY,
            "above": thing[:, 1] > head[:, 1],
            "beneath": thing[:, 1] < knees,
            "infrontof": bearing < 45,
            "onthesideof": (bearing >= 45) & (bearing < 135),
            "behind": bearing >= 135,
            "holding": in_hand,
            "touching": near & ~in_hand,
            "notcontacting": ~near & ~in_hand,
        }
        for name, holds in said.items():
            found[:, node, RELATIONS.index(name)] = holds
    return found


def _angle(one: ndarray, other: ndarray) -> ndarray:
    """Degrees between vectors (T, 3)."""
    lengths = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    return np.rad2deg(np.arccos(np.clip(np.sum(one * other, -1) / np.maximum(lengths, 1e-9), -1, 1)))


def _round(mask: ndarray) -> ndarray:
    """The box (4,) round a mask, or NaN where it is all but empty."""
    if np.count_nonzero(mask) < SEEN:
        return np.full(4, np.nan)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
