"""The things of a home through a video: on a stool, in a hand, in flight.

Where a thing stands is where a hand takes it or puts it down, so that hand and thing always meet.
Axes: T frame. Lengths are body heights, in space.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy import ndarray

from pipeline.theatre import props
from pipeline.theatre.gestures import Event, Motion
from pipeline.theatre.paper import MARGIN, SIZE
from pipeline.theatre.puppet import POINT, UP
from pipeline.theatre.shapes import Colour, Shape, View

STOOLS = ((150, 100, 60), (90, 65, 50), (225, 220, 210), (110, 115, 120), (165, 75, 60))
SLIDE = 6  # frames in which the hand finds its grip on what is too tall for the stool
LOWEST, HIGHEST = 0.36, 0.66  # where one would grip what lies about unused


@dataclass
class Thing:
    """A thing: its grip (T, 3), the direction of its foot (T, 3), whether it is held (T,), and where it ever stands."""

    name: str
    grip: ndarray
    foot: ndarray
    held: ndarray
    rests: list[ndarray] = field(default_factory=list)

    @property
    def below(self) -> float:
        """From the grip down to what it stands on."""
        return props.HOUSEHOLD[self.name].rest

    def shapes(self, view: View, rng: np.random.Generator) -> list[Shape]:
        """How it looks."""
        prop = props.HOUSEHOLD[self.name]
        colour = prop.colours[rng.integers(len(prop.colours))]
        return prop.draw(props.frames(self.grip, self.foot, view.towards, prop.flat), colour)

    def stand(self, moment: int, there: ndarray, hand: ndarray) -> None:
        """It stands in the frames `there`, where the hand (T, 3) is at a moment; what is too tall, a little higher."""
        spot = np.array([hand[moment, 0], max(hand[moment, 1], self.below), hand[moment, 2]])
        slide = np.clip(1 - np.abs(np.arange(len(hand)) - moment) / SLIDE, 0, 1)[:, None]
        self.grip = np.where(there[:, None], spot, self.grip + slide * (spot - hand[moment]))
        self.held &= ~there
        self.rests.append(spot)

    def fly(self, moment: int, heading: float) -> None:
        """It leaves the hand after a moment: ahead and a little up, then down, turning over."""
        ahead = np.array([np.cos(heading), 0.0, np.sin(heading)])
        time = np.arange(len(self.grip))[:, None] - moment
        way = self.grip[moment] + time * (0.10 * ahead + 0.03 * UP) - 0.0022 * time**2 * UP
        self.grip = np.where(time > 0, way, self.grip)
        self.foot = np.where(time > 0, np.sin(0.35 * time) * ahead - np.cos(0.35 * time) * UP, self.foot)
        self.held &= time[:, 0] <= 0


def handled(name: str, events: list[Event], hand: ndarray, motion: Motion) -> Thing:
    """A thing in a hand (T, 3) that may take it, put it down or throw it."""
    time = np.arange(len(hand))
    thing = Thing(name, hand.copy(), np.tile(-UP, (len(hand), 1)), np.ones(len(hand), bool))
    for event in events:
        match event.verb:
            case "taking":
                thing.stand(event.moment, time < event.moment, hand)
            case "putting down":
                thing.stand(event.moment, time > event.moment, hand)
            case "throwing":
                thing.fly(event.moment, motion.heading[event.moment])
    return thing


def unused(name: str, spot: ndarray, frames: int, rng: np.random.Generator) -> Thing:
    """A thing that stands at a spot of the floor (3,), or above it on a stool, throughout."""
    high = max(rng.uniform(LOWEST, HIGHEST), props.HOUSEHOLD[name].rest)
    grip = spot + high * UP
    return Thing(name, np.tile(grip, (frames, 1)), np.tile(-UP, (frames, 1)), np.zeros(frames, bool), [grip])


def furnish(
    events: list[Event], hands: dict[str, str], lying: tuple[str, ...], points: ndarray, motion: Motion, view: View,
    rng: np.random.Generator,
) -> tuple[dict[str, Thing], list[Shape]]:  # fmt: skip
    """All things, by name, and the stools: under what stands higher than the floor, and up to two that stay empty.

    Args:
        events: what happens.
        hands: the thing that "left" and "right" use; "" for none.
        lying: things that nobody uses.
        points: (T, P, 3) of the body in space.
        motion: where these come from.
        view: decides what is in the picture.
        rng: for everything else.
    """
    things = {
        name: handled(
            name, [event for event in events if event.track == side], points[:, POINT[f"{side}_hand"]], motion
        )
        for side, name in hands.items()
        if name
    }
    taken = [rest for thing in things.values() for rest in thing.rests]
    for name in lying:
        things[name] = unused(name, _free(taken, motion, view, rng), len(points), rng)
        taken += things[name].rests
    seats = [rest - thing.below * UP for thing in things.values() for rest in thing.rests]
    for _ in range(rng.integers(0, 3)):
        seats.append(_free(taken, motion, view, rng) + rng.uniform(0.1, 0.5) * UP)
        taken.append(seats[-1])
    colour = STOOLS[rng.integers(len(STOOLS))]
    return things, [shape for seat in seats if seat[1] > 0.03 for shape in _stool(seat, len(points), colour)]


def _free(taken: list[ndarray], motion: Motion, view: View, rng: np.random.Generator) -> ndarray:
    """A spot of the floor (3,): of some in the picture, the farthest from other things and from the performer's way."""
    spots = rng.uniform([-1, 0, -0.75], [1, 0, 0.45], (200, 3))
    across = view.project(spots)[0][:, 0] - MARGIN
    spots = spots[(across > 12) & (across < SIZE - 12)][:6]
    others = np.concatenate([motion.place[::8], *[one[None] for one in taken]]) * [1, 0, 1]
    return spots[np.linalg.norm(spots[:, None] - others, axis=-1).min(1).argmax()]


def _stool(seat: ndarray, frames: int, colour: Colour) -> list[Shape]:
    """A stool: the middle of its seat is at `seat` (3,)."""
    corners = np.array([[-1, 0, -1], [1, 0, -1], [1, 0, 1], [-1, 0, 1]])
    tops, feet = seat + 0.08 * corners, seat * [1, 0, 1] + 0.09 * corners
    far, near = [np.stack([feet[a], tops[a], tops[b], feet[b]]) for a, b in ((0, 1), (3, 2))]
    return [
        Shape(kind, np.tile(points, (frames, 1, 1)), colour, width, edge=kind == "polygon", bias=bias)
        for kind, points, width, bias in (
            ("line", far, 0.022, -0.02),
            ("polygon", seat + 0.10 * corners, 0.0, -0.01),
            ("line", near, 0.026, -0.01),
        )
    ]
