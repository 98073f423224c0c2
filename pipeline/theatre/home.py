"""Act two, home (ProDA): one puppet does several things at a time, each hand and the body for itself.

Actions are {taking, putting down, lifting, throwing} x {cup, book, pillow, ball} in full product, and
four things that the body does: squatting, walking, jumping, turning around. A hand follows one of `PROGRAMS` with one
thing; the body does up to two things meanwhile. So actions overlap.

- What is there says nothing of what is done: every thing goes through every program equally often, one to three more
  things lie about unused, and so do empty stools.
- What a hand does says nothing of the thing: any verb goes with any thing.
- One picture does not do: taking and putting down are each other's reversal; lifting and throwing begin alike.
- Scene, performer, view and camera are drawn alike for all actions.

Taking begins with the thing at rest and ends with it in hand; putting down is the reverse; a thrown thing leaves the
hand and the picture; what is lifted is in hand throughout.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np
from numpy import ndarray

from pipeline.theatre import graphs, props, stage
from pipeline.theatre.gestures import HANDLING, MOVING, Event, action, move, schedule
from pipeline.theatre.household import furnish
from pipeline.theatre.performers import Performer, draw_seed, entropy, performer, splits
from pipeline.theatre.puppet import flesh
from pipeline.theatre.scenery import HOME as SCENES
from pipeline.theatre.shapes import Cast
from pipeline.theatre.stage import FPS

OBJECTS = tuple(props.HOUSEHOLD)
HANDLED = ("cup", "book", "pillow", "ball")  # the others only lie about
NODES = ("person", *OBJECTS)
SLOTS = 6  # nodes of a video: the person, two things in use, three others
VIDEOS = 8  # of one performer
FEWEST, MOST = 90, 102  # frames of a video
LABELS = 6  # at most, of a video

# What a hand does with its thing. Each verb is in six of the fifteen programs; the thing is in hand at the start of
# those that do not begin with taking it.
PROGRAMS = (
    ("taking",),
    ("taking", "lifting"),
    ("taking", "putting down"),
    ("taking", "throwing"),
    ("taking", "lifting", "putting down"),
    ("taking", "lifting", "throwing"),
    ("lifting", "lifting"),
    ("lifting", "putting down"),
    ("lifting", "throwing"),
    *[("putting down",)] * 3,
    *[("throwing",)] * 3,
)
HANDS = (0, 1, 1, 2, 2, 2, 2, 2, 2, 2)  # hands in use
BESIDE = (0, 0, 1, 1, 1, 1, 1, 2, 2, 2)  # moves of the body beside what hands do
ALONE = (1, 1, 2)  # and where they do nothing


Item = TypeVar("Item")


ACTIONS = (*(action(verb, thing) for verb in HANDLING for thing in HANDLED), *MOVING)


@dataclass(frozen=True)
class Part:
    """What one hand does: a thing and a program."""

    object: str
    verbs: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Whether the hand has nothing at the start."""
        return self.verbs[:1] in ((), ("taking",))


NOTHING = Part("", ())


@dataclass(frozen=True)
class Script:
    """What is to be performed. When it is done, and everything else about the video, follows from `seed`."""

    id: str
    left: Part
    right: Part
    body: tuple[str, ...]
    lying: tuple[str, ...]
    scene: str
    performer: Performer
    seed: int
    split: str = ""

    @property
    def group(self) -> str:
        return self.performer.name

    @property
    def hands(self) -> dict[str, Part]:
        return {"left": self.left, "right": self.right}

    @property
    def frames(self) -> int:
        """How many frames the video has."""
        return int(self.rng("frames").integers(FEWEST, MOST + 1))

    @property
    def labels(self) -> tuple[str, ...]:
        """The distinct actions."""
        hands = [action(verb, part.object) for part in self.hands.values() for verb in part.verbs]
        return tuple(dict.fromkeys([*hands, *self.body]))

    @property
    def objects(self) -> tuple[str, ...]:
        """All things that are there, in the order of `OBJECTS`, which tells nothing of their use."""
        present = {self.left.object, self.right.object, *self.lying}
        return tuple(name for name in OBJECTS if name in present)

    def rng(self, stream: str) -> np.random.Generator:
        """An independent generator for one aspect of the video."""
        return np.random.default_rng(entropy(stream, self.seed))


@dataclass(frozen=True)
class Truth:
    """What is true of a performance.

    Attributes:
        nodes: (N,) int, index into `NODES`; node 0 is the person, -1 where there is no node.
        boxes: (T, N, 4) float32 xyxy px round what can be seen of a node; NaN where it cannot.
        relations: (T, N, R) uint8, of the person to each node, index into `graphs.RELATIONS`; 0 where it is not seen.
        events: every occurrence of an action.
        scene: its name.
        labels: the distinct actions.
    """

    nodes: ndarray
    boxes: ndarray
    relations: ndarray
    events: tuple[Event, ...]
    scene: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Performance(Truth):
    """A performance: its truth and its frames (T, H, W, 3) uint8 RGB, `fps` a second."""

    frames: ndarray
    fps: int


def cast(seed: int = 0, n: int = 240) -> list[Script]:
    """The labelled scripts. Performers, not videos, are split into train, val and test, about 60/15/25."""
    scripts = _scripts("resident", seed, n)
    split = splits(-(-n // VIDEOS), seed)
    return [replace(script, split=split[index // VIDEOS]) for index, script in enumerate(scripts)]


def corpus(seed: int, n: int) -> list[Script]:
    """Plays to train a small detector on: drawn as those of the cast are, by performers that no cast has."""
    return _scripts("neighbour", seed, n)


def events(script: Script) -> list[Event]:
    """Every occurrence of an action, in order."""
    tracks = {side: [(verb, part.object) for verb in part.verbs] for side, part in script.hands.items()}
    tracks["body"] = [(verb, "") for verb in script.body]
    return sorted(schedule(tracks, script.frames, script.rng("timing")), key=lambda event: (event.start, event.track))


def truth(script: Script) -> Truth:
    """What `perform` would be true of."""
    return Set(script).truth(script)


def perform(script: Script, *, without: str = "") -> Performance:
    """Render a script; `without` leaves out one thing, or the "person" (the truth stays)."""
    home = Set(script)
    drawn = [shape for name, shapes in home.shapes.items() if name != without for shape in shapes]
    figure = stage.Action(home.points, drawn, np.ones(script.frames, bool))
    shadow = None if without == "person" else stage._shadow(figure, home.view, home.camera)
    actors = Cast([*home.stools, *drawn], home.view, home.camera)
    frames = stage._shoot(script, actors, shadow, None, home.camera)
    return Performance(**vars(home.truth(script)), frames=frames, fps=FPS)


class Set:
    """Everything that a script decides before a pixel is painted."""

    def __init__(self, script: Script):
        self.events = events(script)
        empty = {side: part.empty for side, part in script.hands.items()}
        motion = move(self.events, empty, script.frames, script.rng("motion"))
        points = motion.points(script.performer.body)
        self.view = stage._view(script.rng("view"))
        self.camera = stage._camera(script.rng("camera"), script.frames)
        in_use = {side: part.object for side, part in script.hands.items()}
        things, self.stools = furnish(
            self.events, in_use, script.lying, points, motion, self.view, script.rng("things")
        )
        self.motion, self.points, self.things = motion, points, [things[name] for name in script.objects]
        self.shapes = {"person": flesh(points, script.performer.body, script.performer.palette)}
        self.shapes |= {thing.name: thing.shapes(self.view, script.rng(thing.name)) for thing in self.things}

    def truth(self, script: Script) -> Truth:
        boxes = graphs.boxes(list(self.shapes.values()), self.stools, self.view, self.camera)
        middles = [graphs.middle(self.shapes[thing.name]) for thing in self.things]
        relations = graphs.relations(self.points, self.motion, middles, [thing.held for thing in self.things])
        relations[np.isnan(boxes[..., 0])] = 0
        spare = SLOTS - len(self.shapes)
        return Truth(
            nodes=np.array([NODES.index(name) for name in self.shapes] + [-1] * spare),
            boxes=np.pad(boxes, ((0, 0), (0, spare), (0, 0)), constant_values=np.nan),
            relations=np.pad(relations, ((0, 0), (0, spare), (0, 0))),
            events=tuple(self.events),
            scene=script.scene,
            labels=script.labels,
        )


def _scripts(company: str, seed: int, n: int) -> list[Script]:
    """Scripts whose programs, things, moves and scenes are dealt evenly and independently of each other."""
    rng = np.random.default_rng(entropy(company, seed))
    parts = Deck([Part(thing, verbs) for thing in HANDLED for verbs in PROGRAMS], rng)
    moves, scenes, hands = Deck(MOVING, rng), Deck(SCENES, rng), Deck(HANDS, rng)
    beside, alone, bare = Deck(BESIDE, rng), Deck(ALONE, rng), Deck((True, False), rng)
    scripts = []
    for index in range(n):
        chosen = parts.some(hands.deal(), key=lambda part: part.object)
        busy = sum(len(set(part.verbs)) for part in chosen)
        body = moves.some(min(beside.deal(), LABELS - busy) if chosen else alone.deal())
        others = [name for name in OBJECTS if name not in {part.object for part in chosen}]
        lying = rng.permutation(others)[: rng.integers(1, 4)].tolist()
        left, right = rng.permutation(np.array([*chosen, NOTHING, NOTHING][:2], object))
        scripts.append(
            Script(
                id=f"home_{index:04d}" if company == "resident" else f"{company}_{seed}_{index:06d}",
                left=left,
                right=right,
                body=tuple(body),
                lying=() if not chosen and bare.deal() else tuple(lying),
                scene=scenes.deal(),
                performer=performer(company, seed, index // VIDEOS),
                seed=draw_seed(company, seed, index),
            )
        )
    return scripts


class Deck(Generic[Item]):
    """Deals items evenly: all of them once, in random order, then all of them again."""

    def __init__(self, items: Iterable[Item], rng: np.random.Generator):
        self.items, self.rng, self.left = list(items), rng, []

    def deal(self, fits: Callable[[Item], bool] = lambda item: True) -> Item:
        """The next item that fits; those before it keep their turn."""
        while True:
            for turn, item in enumerate(self.left):
                if fits(item):
                    return self.left.pop(turn)
            self.left += [self.items[index] for index in self.rng.permutation(len(self.items))]

    def some(self, count: int, key: Callable[[Item], str] = str) -> list[Item]:
        """The next items, of different keys."""
        dealt = {}
        for _ in range(count):
            item = self.deal(lambda item: key(item) not in dealt)
            dealt[key(item)] = item
        return list(dealt.values())
