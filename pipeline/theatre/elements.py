"""Elements: what a routine is made of. Each is worth a fixed number of points, its difficulty.

How hard an element is cannot be read off how much moves: swinging the arms is much motion and easy, standing on one leg
is next to none and hard. Nor off looks alone: a jump and a spinning jump, a squat and a one-leg squat are far apart.

A faulty execution shows in the motion, throughout the element: the worse it is, the less far the element reaches, the
lower the arms hang, the more everything trembles and sways, the more steps go astray, the more uneven the tempo.
Axes: T frame, F pose field.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy import ndarray
from scipy.interpolate import PchipInterpolator

from pipeline.theatre.gestures import Motion, _mirrored, _stepping
from pipeline.theatre.motions import both, sway, vary
from pipeline.theatre.puppet import ANGLES, FIELDS, Body, pose

FPS = 8

Keys = tuple[tuple[float, ndarray], ...]

AHEAD, SIDE, UP = both(flex=88, elbow=2), both(flex=0, out=86, elbow=0, fore=86), both(flex=172, elbow=4, fore=8)
ARMS = np.array([name.endswith(("flex", "out", "elbow", "fore")) for name in FIELDS])
READY = pose(**both(flex=10, out=12, fore=8))
CROUCHED = pose(drop=0.20, forward=-0.06, lean=24, **both(flex=-28, out=14))
SPREAD, RAISED = pose(**SIDE), pose(**UP)
LEFT, RIGHT = pose(twist=48, **SIDE), pose(twist=-48, **SIDE)
BOWED = pose(lean=76, nod=8, **both(flex=-35))
SQUATTED = pose(drop=0.44, forward=-0.12, lean=32, **AHEAD)
LUNGED = pose(drop=0.26, forward=0.04, left_step=0.62, right_step=-0.58, **SIDE)
HIGH = pose(lift=0.28, **UP)
DRAWN = pose(right_step=-0.30, right_up=0.05, **SIDE)
KICKED = pose(lean=-14, right_step=0.85, right_up=0.72, **SIDE)
KNEE_UP = pose(right_step=0.12, right_up=0.42, **UP)
SCALE = pose(lean=70, nod=-40, forward=-0.05, right_step=-0.80, right_up=0.80, **SIDE)
SPLIT = pose(lift=0.30, left_step=0.75, left_up=0.28, right_step=-0.75, right_up=0.28, **SIDE)
PISTOL = pose(drop=0.44, forward=-0.10, lean=18, right_step=0.80, right_up=0.42, **SIDE)
SPUN = pose(lift=0.30, **both(flex=150, out=45, elbow=4, fore=45))


@dataclass(frozen=True)
class Element:
    """A motion that is repeated, and what it is worth.

    Attributes:
        name: what it is called.
        difficulty: points for an execution without a fault.
        seconds: that one repetition takes; 0 for what is done once and held.
        keys: poses, each with the share of a repetition at which it is reached.
        turn: the shares of a repetition between which the body turns once about itself; equal where it does not.
    """

    name: str
    difficulty: float
    seconds: float
    keys: Keys
    turn: tuple[float, float] = (0.0, 0.0)


ELEMENTS = (
    Element("arm swings", 0.1, 1.3, ((0.25, SPREAD), (0.5, RAISED), (0.75, SPREAD))),
    Element("twists", 0.1, 1.4, ((0.25, LEFT), (0.75, RIGHT))),
    Element("bows", 0.2, 2.0, ((0.4, BOWED), (0.6, BOWED))),
    Element("squats", 0.2, 1.6, ((0.5, SQUATTED),)),
    Element("lunges", 0.3, 1.8, ((0.4, LUNGED), (0.6, LUNGED))),
    Element("jumps", 0.3, 1.2, ((0.35, CROUCHED), (0.65, HIGH), (0.9, CROUCHED))),
    Element("kicks", 0.5, 1.4, ((0.3, DRAWN), (0.55, KICKED))),
    Element("pirouettes", 0.6, 1.2, ((0.2, KNEE_UP), (0.8, KNEE_UP)), (0.0, 1.0)),
    Element("balance", 0.8, 0.0, ((0.15, SCALE), (0.85, SCALE))),
    Element("split leaps", 0.9, 1.4, ((0.35, CROUCHED), (0.62, SPLIT), (0.9, CROUCHED))),
    Element("one-leg squats", 1.0, 2.2, ((0.4, PISTOL), (0.6, PISTOL))),
    Element("spinning jumps", 1.0, 1.4, ((0.3, CROUCHED), (0.6, SPUN), (0.9, CROUCHED)), (0.35, 0.85)),
)
DIFFICULTY = np.array([element.difficulty for element in ELEMENTS])


@dataclass(frozen=True)
class Turn:
    """One performance of an element: frames `start` to `end` (exclusive), and how well it was done.

    `element` is an index into `ELEMENTS`, -1 for what lies between elements: walking and standing about. That may be
    sloppy as well, and counts for nothing.
    """

    element: int
    start: int
    end: int
    execution: float

    @property
    def frames(self) -> int:
        return self.end - self.start


@dataclass(frozen=True)
class Faults:
    """What is wrong with a performance, each from 0, nothing, to about 1."""

    short: float  # how much is missing of its reach
    drooping: float  # of the arms
    trembling: float
    straying: float  # of steps
    uneven: float  # tempo


def faults(execution: float, rng: np.random.Generator) -> Faults:
    """The faults of an execution in 0-1: all of them, as large as it is bad, shared out a little differently."""
    return Faults(*(1 - execution) * rng.uniform(0.85, 1.15, 5))


def move(turns: list[Turn], rng: np.random.Generator) -> Motion:
    """The motion of a routine, whose turns follow each other without a gap from frame 0; what is between comes last."""
    frames, stations = turns[-1].end, [(0.0, READY)]
    added, heading, place = sway(frames, rng), np.zeros(frames), np.zeros((frames, 3))
    facing, spot = 0.0, _spot(rng)
    for turn in turns:
        span, wrong = slice(turn.start, turn.end), faults(turn.execution, rng)
        added[span] += _unsteady(turn.frames, wrong, rng)
        if turn.element < 0:
            target = _spot(rng)
            walked, turned, steps = _walk(target - spot, facing, turn.frames, rng)
            place[span], spot = spot + walked, target
            added[span] += steps
        else:
            keys, turned = _perform(ELEMENTS[turn.element], turn, wrong, rng)
            stations += keys
            place[span], turned = spot, facing + turned
        heading[span], facing = turned, turned[-1]
    keys = vary(np.stack([key for _, key in [*stations, stations[0]]]), rng)
    poses = PchipInterpolator([*(time for time, _ in stations), frames + 9.0], keys)
    return Motion(poses(np.arange(frames)) + added, place, heading)


def _perform(
    element: Element, turn: Turn, wrong: Faults, rng: np.random.Generator
) -> tuple[list[tuple[float, ndarray]], ndarray]:
    """Stations (frame, pose) of one performance, and how far the body has turned about itself (T,), in radians."""
    count = max(round(turn.frames / FPS / element.seconds), 1) if element.seconds else 1
    waits = np.exp(0.5 * wrong.uneven * rng.normal(0, 1, count))
    edges = turn.frames * np.concatenate([[0], np.cumsum(waits) / waits.sum()])  # of the repetitions
    side = rng.choice([-1, 1])
    times = [first + share * (last - first) for first, last in pairwise(edges) for share, _ in element.keys]
    bent = np.stack([_faulty(key - READY, wrong) for _, key in element.keys] * count)
    keys = READY + (bent if side > 0 else _mirrored(bent))
    stations = [(turn.start, READY), *zip(turn.start + np.array(times), keys, strict=True), (turn.end, READY)]
    phase = np.interp(np.arange(turn.frames), edges, np.arange(count + 1))
    begin, end = element.turn
    turns = np.floor(phase) + np.clip((phase % 1 - begin) / (end - begin), 0, 1) if end > begin else 0 * phase
    return stations, side * 2 * np.pi * (1 - 0.4 * wrong.short) * turns


def _faulty(bent: ndarray, wrong: Faults) -> ndarray:
    """What a key pose adds to standing (F,), with its faults."""
    hanging = np.where(ARMS, 1 - 0.5 * wrong.drooping, 1.0)
    return (1 - 0.5 * wrong.short) * hanging * bent


def _unsteady(frames: int, wrong: Faults, rng: np.random.Generator) -> ndarray:
    """What trembling, swaying and stray steps add to the pose (T, F)."""
    trembling = wrong.trembling * rng.normal(0, 1, (frames, len(FIELDS))) * np.where(ANGLES, 13.0, 0.0)
    phase = 2 * np.pi * np.arange(frames) / FPS
    for name in ("lean", "twist"):
        rate, start = rng.uniform(0.7, 1.4), rng.uniform(0, 2 * np.pi)
        trembling[:, FIELDS.index(name)] += 14 * wrong.trembling * np.sin(rate * phase + start)
    for _ in range(round(frames / FPS * wrong.straying)):
        when, foot = rng.integers(frames), rng.choice(["left", "right"])
        shape = np.exp(-0.5 * (np.arange(frames) - when) ** 2)
        trembling[:, FIELDS.index(f"{foot}_step")] += rng.choice([-1, 1]) * 0.35 * shape
        trembling[:, FIELDS.index("lean")] += rng.choice([-1, 1]) * 18 * shape
        trembling[:, FIELDS.index("drop")] += 0.08 * shape
    edge = np.minimum(np.arange(frames) + 1, np.arange(frames, 0, -1))
    return trembling * np.minimum(edge / 3, 1)[:, None]


def _walk(way: ndarray, facing: float, frames: int, rng: np.random.Generator) -> tuple[ndarray, ndarray, ndarray]:
    """Place (T, 3) on the way, heading (T,) and what steps add to the pose (T, F)."""
    phase = (np.arange(frames) + 1) / frames
    ahead = (0.0 if way[0] > 0 else np.pi) + rng.uniform(-0.5, 0.5)
    turn = (ahead - facing + np.pi) % (2 * np.pi) - np.pi
    far, cycles = np.linalg.norm(way), max(round(frames / FPS), 1)
    steps = _stepping(2 * np.pi * cycles * phase, 1.3 * far / (4 * cycles * Body().leg), 0.12)
    return (
        _eased(phase)[:, None] * way,
        facing + turn * _eased(2 * phase),
        steps * np.sin(np.pi * phase)[:, None] ** 0.3,
    )


def _eased(phase: ndarray) -> ndarray:
    """From 0 to 1, slowly at both ends."""
    phase = np.clip(phase, 0, 1)
    return phase**2 * (3 - 2 * phase)


def _spot(rng: np.random.Generator) -> ndarray:
    """A place on the floor (3,)."""
    return np.array([rng.uniform(-0.32, 0.32), 0.0, rng.uniform(-0.15, 0.15)])
