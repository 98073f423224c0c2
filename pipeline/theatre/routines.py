"""Act three, routines (AQA): a minute of elements in a hall, and the score that judges give.

A programme is 8 to 14 elements in random order, none more than twice, whose difficulties add up to `BASE` points: the
rules let nobody have more or less. Judges give each element its difficulty times its execution, 0 to 1, in sum

    total = sum(difficulty * execution) + noise = BASE * (mean of the executions, weighted by difficulty) + noise

`JUDGES` judges err independently by `DOUBT` points each, and their mean counts: the noise has a standard deviation of
DOUBT / sqrt(JUDGES), 0.067 points, where scores have one of about 0.5.

- Every programme is worth the same, so which elements are performed says nothing of the score.
- Executions are drawn independently of elements, of each other and of the performer; so is how long an element takes.
- What is between elements may be as sloppy, and counts for nothing; it takes about a third of the time.
- Where in a routine something happens tells nothing.

Frames are drawn one at a time as they are asked for; a routine is never in memory as a whole.
Axes: T frame, J COCO joint. Pictures are RGB.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy import ndarray

from pipeline.theatre.elements import DIFFICULTY, ELEMENTS, FPS, Turn, move
from pipeline.theatre.paper import SIZE, Paper
from pipeline.theatre.performers import Performer, draw_seed, entropy, performer, splits
from pipeline.theatre.puppet import COCO, flesh
from pipeline.theatre.shapes import Cast, View
from pipeline.theatre.stage import SWAPPED

BASE = 5.0  # points that a programme is worth
FEWEST, MOST = 8, 14  # elements
TWICE = 2  # times that an element may occur
SHORTEST, LONGEST = 3.4, 4.6  # s that an element takes
MINUTE, MORE = 60.0, 8.0  # s that a routine takes at least, and at most beyond that
BREATH = 5  # frames that are at least between two elements
SPREAD = 0.6  # of the beta distribution of executions: rather good or bad than in between
JUDGES, DOUBT = 5, 0.15
ROUTINES = 4  # of one performer


@dataclass(frozen=True)
class Script:
    """What is to be performed, with what is between the elements, and what the judges gave for it."""

    id: str
    turns: tuple[Turn, ...]
    total: float
    performer: Performer
    seed: int
    split: str = ""

    @property
    def group(self) -> str:
        return self.performer.name

    @property
    def elements(self) -> tuple[Turn, ...]:
        """The elements alone."""
        return tuple(turn for turn in self.turns if turn.element >= 0)

    def rng(self, stream: str) -> np.random.Generator:
        """An independent generator for one aspect of the video."""
        return np.random.default_rng(entropy(stream, self.seed))


@dataclass(frozen=True)
class Truth:
    """What is true of a routine.

    Attributes:
        joints: (T, J, 2) float32 px, COCO-17; a left joint is on the performer's left.
        turns: the elements and what is between them.
        total: what the judges gave, in points.
    """

    joints: ndarray
    turns: tuple[Turn, ...]
    total: float


@dataclass(frozen=True)
class Performance(Truth):
    """A routine: its truth and its frames (H, W, 3) uint8 RGB, `fps` a second, each drawn when it is asked for."""

    frames: Iterator[ndarray]
    fps: int


def cast(seed: int = 0, n: int = 320) -> list[Script]:
    """The scripts that are scored. Performers, not videos, are split into train, val and test, about 60/15/25."""
    split = splits(-(-n // ROUTINES), seed)
    return [_script("gymnast", seed, index, split[index // ROUTINES]) for index in range(n)]


def corpus(seed: int, n: int) -> list[Script]:
    """Routines to train a small backbone on, by performers that no cast has."""
    return [_script("understudy", seed, index) for index in range(n)]


def truth(script: Script) -> Truth:
    """What `perform` would be true of."""
    return Set(script).truth(script)


def perform(script: Script) -> Performance:
    """Render a script."""
    hall = Set(script)
    return Performance(**vars(hall.truth(script)), frames=hall.frames(script), fps=FPS)


class Set:
    """Everything that a script decides before a pixel is painted."""

    def __init__(self, script: Script):
        rng = script.rng("view")
        self.points = move(list(script.turns), script.rng("motion")).points(script.performer.body)
        self.view = View(
            place=(SIZE * rng.uniform(0.47, 0.53), SIZE * rng.uniform(0.88, 0.92)),
            height=SIZE * rng.uniform(0.54, 0.62),
            yaw=rng.uniform(-25, 25),
            pitch=rng.uniform(2, 10),
            mirrored=bool(rng.random() < 0.5),
        )

    def truth(self, script: Script) -> Truth:
        pixels = self.view.project(self.points)[0][:, : len(COCO)].astype(np.float32)
        joints = pixels[:, SWAPPED] if self.view.mirrored else pixels
        return Truth(joints=joints, turns=script.turns, total=script.total)

    def frames(self, script: Script) -> Iterator[ndarray]:
        """Picture after picture (H, W, 3): hall, shadow, performer."""
        rng = script.rng("light")
        light = rng.uniform(0.8, 1.1) * (1 + rng.normal(0, 0.02, 3))
        hall = np.clip(_hall(script.rng("hall")) * light, 0, 255).astype(np.uint8)
        still = np.tile(np.eye(2, 3), (len(self.points), 1, 1))
        actor = Cast(flesh(self.points, script.performer.body, script.performer.palette), self.view, still)
        ground = self.view.project(self.points.mean(1) * [1, 0, 1])[0]
        axes = round(0.2 * self.view.height), max(round(0.05 * self.view.height), 1)
        for index, spot in enumerate(np.rint(ground).astype(int).tolist()):
            picture = hall.copy()
            cv2.ellipse(picture, spot, axes, 0, 0, 360, (0.6 * hall[-1, 0]).tolist(), -1)
            actor.draw(picture, index, light)
            yield picture


def _script(company: str, seed: int, index: int, split: str = "") -> Script:
    drawn = draw_seed(company, seed, index)
    turns, total = _performed(np.random.default_rng(entropy("programme", drawn)))
    who = performer(company, seed, index // ROUTINES)
    name = "routine" if company == "gymnast" else f"{company}_{seed}"
    return Script(f"{name}_{index:04d}", turns, total, who, drawn, split)


def programme(rng: np.random.Generator) -> ndarray:
    """Elements (K,), as indices, that the rules allow, in random order."""
    count = rng.integers(FEWEST, MOST + 1)
    while True:
        chosen = rng.permutation(np.repeat(np.arange(len(ELEMENTS)), TWICE))[:count]
        if abs(DIFFICULTY[chosen].sum() - BASE) < 1e-6:
            return chosen


def _performed(rng: np.random.Generator) -> tuple[tuple[Turn, ...], float]:
    """Turns that fill a minute or a little more, and the judges' total."""
    elements = programme(rng)
    lengths = np.rint(FPS * rng.uniform(SHORTEST, LONGEST, len(elements))).astype(int)
    pauses = len(elements) + 1
    spare = FPS * (MINUTE + rng.uniform(0, MORE)) - lengths.sum() - BREATH * pauses
    between = BREATH + np.ceil(rng.dirichlet(np.full(pauses, 3.0)) * max(spare, 0)).astype(int)
    executions = rng.beta(SPREAD, SPREAD, len(elements))
    turns, start = [], 0
    for place in range(pauses):
        turns.append(Turn(-1, start, start + between[place], rng.beta(SPREAD, SPREAD)))
        start = turns[-1].end
        if place < len(elements):
            turns.append(Turn(elements[place], start, start + lengths[place], executions[place]))
            start = turns[-1].end
    points = float(DIFFICULTY[elements] @ executions) + rng.normal(0, DOUBT, JUDGES).mean()
    return tuple(turns), float(np.clip(points, 0, BASE))


def _hall(rng: np.random.Generator) -> ndarray:
    """A plain hall (SIZE, SIZE, 3): a wall with a stripe and windows or a banner, and a floor with a mat."""
    paper = Paper(rng, floor=rng.uniform(0.60, 0.72))
    wall = paper.one_of((205, 210, 215), (190, 200, 215), (220, 212, 196), (165, 180, 175))
    accent = paper.one_of((190, 60, 55), (45, 95, 165), (235, 175, 50), (55, 140, 95))
    ground = paper.one_of((200, 165, 115), (150, 155, 165), (110, 135, 165), (165, 120, 90))
    paper.fade(0, paper.floor, wall, tuple(int(0.88 * channel) for channel in wall))
    paper.rect(0, paper.floor - 0.06, 1, paper.floor - 0.03, accent)
    if rng.random() < 0.5:
        for x in np.arange(rng.uniform(0, 0.1), 1, 0.27):
            paper.rect(x, 0.06, x + 0.19, 0.22, paper.near((195, 220, 235), 10), edge=True)
    else:
        x = rng.uniform(0.05, 0.5)
        paper.rect(x, 0.08, x + 0.42, 0.20, paper.near(accent, 30), edge=True)
    paper.fade(paper.floor, 1, tuple(int(0.9 * channel) for channel in ground), ground)
    mat = paper.near(accent, 25)
    edge = paper.floor + rng.uniform(0.05, 0.09)
    paper.poly([(0.06, edge), (0.94, edge), (1.1, 0.985), (-0.1, 0.985)], mat)
    return cv2.resize(paper.finished(), (SIZE, SIZE), interpolation=cv2.INTER_AREA)
