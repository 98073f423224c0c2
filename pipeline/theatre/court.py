"""Act three, court (ProDA on pairs): two to four people in one picture, and who does what to whom.

It is written in the publisher's format of SportsHHI, so that the adapter `sportshhi` reads it (`classes: all`).

| play   | the one who acts | is             | the other     | is             |
|--------|------------------|----------------|---------------|----------------|
| pass   | throws a ball    | passing to     | catches it    | receiving from |
| attack | throws a ball    | throwing at    | ducks         | dodging        |
| five   | claps hands      | high-fiving    | claps hands   | high-fiving    |
| push   | pushes           | pushing        | staggers back |                |
| wave   | waves            | waving to      | stands        |                |
| bow    | bows             | bowing to      | stands        |                |
| chase  | runs behind      | chasing        | runs ahead    | fleeing from   |

Who is alone in a crop cannot be told: the thrower passes or attacks by what the other does, runners chase or flee by
their order, and one who waves or bows does it to whom they face. Plays stand in lanes, so that partners may have
others between them; whoever has no play stands about. Where and when things happen is drawn alike for all plays.

World: x to the right of the picture, y up, z towards the viewer; lengths are body heights.
Axes: T frame, N person, P point of the body.
"""

import csv
import pickle
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from shutil import rmtree

import cv2
import numpy as np
from numpy import ndarray
from scipy.interpolate import PchipInterpolator

from pipeline.theatre import motions, props, scenery
from pipeline.theatre.motions import READY, both
from pipeline.theatre.paper import MARGIN, SIZE
from pipeline.theatre.performers import Performer, draw_seed, entropy, performer
from pipeline.theatre.puppet import ANGLES, FIELDS, POINT, flesh, pose, skeleton
from pipeline.theatre.render import write_video
from pipeline.theatre.shapes import Cast, Shape, View, transform
from pipeline.theatre.stage import FPS, RIM
from pipeline.writing import replacing

CLASSES = (
    "passing to", "receiving from", "throwing at", "dodging", "high-fiving", "pushing", "waving to", "bowing to",
    "chasing", "fleeing from",
)  # fmt: skip
EVERY = 5  # frames from one keyframe to the next, as in SportsHHI
CLIPS = 4  # videos of one company
GROUNDS = ("gym", "football field", "beach", "tennis court", "street")

REACHING = pose(lean=4, **both(flex=82, out=4, elbow=14))
CAUGHT = pose(lean=4, **both(flex=42, out=4, elbow=96, fore=-6))
DUCKED = pose(drop=0.40, forward=-0.12, lean=42, nod=16, **both(flex=140, out=22, elbow=72, fore=-20))
RAISED = pose(lean=2, right_flex=128, right_out=8, right_elbow=52, left_flex=8)
CLAPPED = pose(lean=8, forward=0.05, right_flex=118, right_out=2, right_elbow=8, left_flex=8)
STAGGERED = pose(forward=-0.14, drop=0.08, lean=-24, left_step=-0.42, right_step=0.14, **both(flex=62, out=48))
BOWED = pose(drop=0.02, forward=-0.10, lean=68, nod=18, **both(flex=26, out=6, elbow=6))
STRIDES = [
    pose(
        drop=0.05, lean=16, **{f"{a}_step": 0.48, f"{b}_step": -0.46, f"{b}_up": 0.26},
        **{f"{a}_flex": -38.0, f"{b}_flex": 58.0, f"{a}_elbow": 74.0, f"{b}_elbow": 82.0},
    )
    for a, b in (("left", "right"), ("right", "left"))
]  # fmt: skip

RELEASE, ARRIVAL = 0.46, 0.72  # shares of a play at which a ball leaves the hand and arrives
MOTIONS: dict[str, list[tuple[float, ndarray]]] = {  # (share of the play, pose); all begin and end in one pose
    "stand": [],
    "throw": [(0.30, motions.COCKED), (RELEASE, motions.RELEASE), (0.60, motions.FOLLOWED)],
    "catch": [(0.42, REACHING), (ARRIVAL, REACHING), (0.82, CAUGHT)],
    "duck": [(0.40, READY), (0.60, DUCKED), (0.85, DUCKED)],
    "clap": [(0.35, RAISED), (0.50, CLAPPED), (0.62, CLAPPED), (0.78, RAISED)],
    "push": [(0.28, motions.PULLED), (0.45, motions.PUSHED), (0.72, motions.PUSHED)],
    "stagger": [(0.40, READY), (0.56, STAGGERED), (0.80, STAGGERED)],
    "wave": [(share, (motions.WAVE_IN, motions.WAVE_OUT)[i % 2]) for i, share in enumerate(np.linspace(0.2, 0.8, 5))],
    "bow": [(0.30, BOWED), (0.70, BOWED)],
    "run": [(share, STRIDES[i % 2]) for i, share in enumerate(np.linspace(0.05, 0.95, 9))],
}


@dataclass(frozen=True)
class Play:
    """What two people do: motions, what each is to the other ("" for nothing) and how far apart they stand."""

    acts: str
    answers: str
    forth: str
    back: str
    apart: tuple[float, float]


PLAYS = {
    "pass": Play("throw", "catch", "passing to", "receiving from", (0.8, 1.5)),
    "attack": Play("throw", "duck", "throwing at", "dodging", (0.8, 1.5)),
    "five": Play("clap", "clap", "high-fiving", "high-fiving", (0.42, 0.5)),
    "push": Play("push", "stagger", "pushing", "", (0.40, 0.48)),
    "wave": Play("wave", "stand", "waving to", "", (0.5, 1.5)),
    "bow": Play("bow", "stand", "bowing to", "", (0.5, 1.5)),
    "chase": Play("run", "run", "chasing", "fleeing from", (0.5, 0.7)),
}


@dataclass(frozen=True)
class Script:
    """A video to be; all but its company follows from `seed`. `split` is the publisher's: train or val."""

    id: str
    company: tuple[Performer, ...]
    split: str
    seed: int


@dataclass(frozen=True)
class Person:
    """One performer through the video: points of the body in the world, and who it is."""

    performer: Performer
    points: ndarray  # (T,P,3)


@dataclass(frozen=True)
class Scene:
    """Everything that happens in a video.

    Attributes:
        people: who is there, N of them.
        balls: shapes of the balls.
        doing: (subject, object, class, frames (T,) in which it is done).
    """

    people: list[Person]
    balls: list[Shape]
    doing: list[tuple[int, int, str, ndarray]]


@dataclass(frozen=True)
class Performance:
    """Frames (T,H,W,3) uint8 RGB, boxes (T,N,4) x1 y1 x2 y2 in 0-1, and who does what to whom (see `Scene`)."""

    frames: ndarray
    box: ndarray
    doing: list[tuple[int, int, str, ndarray]]


def write(out: Path, *, videos: int = 120, seed: int = 0, workers: int = 1) -> None:
    """Perform the act; writes `videos/ID.mp4` and `annotations/` as SportsHHI has them.

    Args:
        out: folder to write.
        videos: how many.
        seed: another seed, other people and videos; the same one, the same bytes.
        workers: processes that render.
    """
    scripts = cast(seed, videos)
    rmtree(out / "videos", ignore_errors=True)
    (out / "videos").mkdir(parents=True)
    render = partial(_render, folder=out / "videos")
    if workers < 2:
        truths = [render(script) for script in scripts]
    else:
        with ProcessPoolExecutor(workers, get_context("spawn"), initializer=cv2.setNumThreads, initargs=(1,)) as pool:
            truths = list(pool.map(render, scripts, chunksize=2))
    annotate(out / "annotations", scripts, truths)


def cast(seed: int, videos: int) -> list[Script]:
    """Scripts of `videos` videos; companies, not videos, are split into the publisher's train and val, 3 to 1."""
    scripts = []
    for index in range(videos):
        number, clip = divmod(index, CLIPS)
        company = tuple(performer("court", seed, CLIPS * number + k) for k in range(4))
        split = "val" if number % 4 == 3 else "train"
        name = f"v_court{number:03d}_c{clip + 1:03d}"
        scripts.append(Script(name, company, split, draw_seed("court", seed, index)))
    return scripts


def perform(script: Script) -> Performance:
    """Render a script."""
    rng = {name: np.random.default_rng(entropy(name, script.seed)) for name in ("stage", "view", "scene", "light")}
    scene = stage(script, rng["stage"])
    view = _view(rng["view"])
    count = len(scene.people[0].points)
    camera = np.tile([[1.0, 0.0, -MARGIN], [0.0, 1.0, -MARGIN]], (count, 1, 1))
    shapes = [*scene.balls]
    for person in scene.people:
        shapes += [_shadow(person.points), *flesh(person.points, person.performer.body, person.performer.palette)]
    light = rng["light"].uniform(0.8, 1.12) * (1 + rng["light"].normal(0, 0.03, 3))
    ground = scenery.backdrop(str(rng["scene"].choice(GROUNDS)), rng["scene"])
    inside = slice(round(MARGIN), round(MARGIN) + SIZE)
    behind = np.clip(ground[inside, inside] * light, 0, 255).astype(np.uint8)
    drawn = Cast(shapes, view, camera)
    frames = np.repeat(behind[None], count, axis=0)
    for index in range(count):
        drawn.draw(frames[index], index, light)
        noise = rng["light"].normal(0, 1.5, (SIZE, SIZE, 1))
        frames[index] = np.clip(frames[index] + noise, 0, 255)
    return Performance(frames, _boxes(scene.people, view, camera), scene.doing)


def stage(script: Script, rng: np.random.Generator) -> Scene:
    """Who stands where and does what, when."""
    count = int(rng.integers(36, 45))
    people = int(rng.choice([2, 3, 4], p=[0.2, 0.4, 0.4]))
    plays = 2 if people == 4 and rng.random() < 0.7 else 1
    lanes = rng.permutation([-0.55, 0.0, 0.55])  # depth; a play has a lane to itself, and so has everybody else
    cast = list(rng.permutation(people))
    stood: dict[int, Person] = {}
    balls: list[Shape] = []
    doing: list[tuple[int, int, str, ndarray]] = []
    for lane in lanes[:plays]:
        subject, other = cast.pop(), cast.pop()
        play = PLAYS[list(PLAYS)[rng.integers(len(PLAYS))]]
        pair, active, ball = _play(play, [script.company[subject], script.company[other]], lane, count, rng)
        stood[subject], stood[other] = pair
        balls += ball
        both_ways = ((subject, other, play.forth), (other, subject, play.back))
        doing += [(int(a), int(b), name, active) for a, b, name in both_ways if name]
    for index, lane in zip(cast, lanes[plays:], strict=False):
        x, heading = rng.uniform(-1.1, 1.1), rng.uniform(0, 2 * np.pi)
        stood[index] = _person(script.company[index], "stand", np.linspace(0, 1, count), (x, lane), heading, rng)
    return Scene([stood[index] for index in sorted(stood)], balls, doing)


def annotate(folder: Path, scripts: list[Script], truths: list[Performance]) -> None:
    """Write what is true of the videos in the four files of SportsHHI."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / "sports_action_list.pbtxt") as file:
        file.write("".join(f'item {{\n  name: "{n}"\n  id: {i}\n}}\n' for i, n in enumerate(CLASSES, start=1)))
    for split in ("train", "val"):
        lines, boxes = [], {}
        for script, truth in zip(scripts, truths, strict=True):
            if script.split == split:
                lines += _lines(script.id, truth)
                keys = range(0, len(truth.box), EVERY)
                boxes |= {f"{script.id},{k // EVERY:04d}": truth.box[k].round(4) for k in keys}
        with replacing(folder / f"sports_{split}_v1.csv") as file:
            csv.writer(file, lineterminator="\n").writerows(lines)
        (folder / f"gt_dense_proposals_{split}.pkl").write_bytes(pickle.dumps(boxes, protocol=4))


def _lines(video: str, truth: Performance) -> list[list[object]]:
    """Rows of the list of interactions: one a pair, class and keyframe."""
    by_frame: dict[int, list[list[object]]] = defaultdict(list)
    for subject, other, name, active in truth.doing:
        for frame in range(0, len(active), EVERY):
            if active[frame]:
                boxes = truth.box[frame, [subject, other]].round(4).ravel().tolist()
                row = [video, frame, *boxes, CLASSES.index(name) + 1, subject, other]
                by_frame[frame].append(row)
    return [row for frame in sorted(by_frame) for row in by_frame[frame]]


def _render(script: Script, folder: Path) -> Performance:
    """Write one video; its truth, without the frames."""
    performance = perform(script)
    write_video(folder / f"{script.id}.mp4", performance.frames, FPS)
    return Performance(performance.frames[:0], performance.box, performance.doing)


def _play(
    play: Play, company: list[Performer], lane: float, count: int, rng: np.random.Generator
) -> tuple[list[Person], ndarray, list[Shape]]:
    """Two people at a play: both, the frames in which they are at it (T,), and the ball, if there is one."""
    runs = play.acts == "run"
    start, length = rng.integers(-2, 7), rng.integers(28, 34)
    share = np.arange(count) / (count - 1) if runs else (np.arange(count) - start) / length
    apart, side = rng.uniform(*play.apart), rng.choice([-1.0, 1.0])
    centre = rng.uniform(-0.25, 0.25) if runs or apart > 1 else rng.uniform(-0.7, 0.7)
    heading = 0.0 if side > 0 else np.pi  # the one who acts looks along x, or against it
    drift = 1.0 * side * (np.clip(share, 0, 1) - 0.5) if runs else np.zeros(count)
    back = 0.28 * np.clip((share - 0.42) / 0.2, 0, 1) if play.answers == "stagger" else np.zeros(count)
    jitter = rng.uniform(-0.06, 0.06, 2)
    first = (centre - side * apart / 2 + drift, lane + jitter[0])
    second = (centre + side * (apart / 2 + back) + drift, lane + jitter[1])
    turned = heading if runs else heading + np.pi
    if play.answers == "stand":  # they may look elsewhere
        turned = rng.choice([heading, heading + np.pi / 2, turned])
    people = [
        _person(company[0], play.acts, share, first, heading + rng.normal(0, 0.12), rng),
        _person(company[1], play.answers, share, second, turned + rng.normal(0, 0.12), rng),
    ]
    active = np.ones(count, bool) if runs else (share > 0.15) & (share < 0.92)
    return people, active, _ball(people, share, play, rng) if play.acts == "throw" else []


def _person(
    performer: Performer, motion: str, share: ndarray, place: tuple, heading: float, rng: np.random.Generator
) -> Person:
    """A performer at a motion, standing at `place` (x, z), each a number or (T,), looking along `heading` (radians)."""
    times, keys = zip((0.0, READY), *MOTIONS[motion], (1.0, READY), strict=True)
    habit = np.where(ANGLES, rng.normal(0, 4, len(FIELDS)), 0)
    sway = np.sin(np.arange(len(share))[:, None] * rng.uniform(0.1, 0.3, len(FIELDS)) + rng.uniform(0, 6, len(FIELDS)))
    poses = PchipInterpolator(times, np.stack(keys))(np.clip(share, 0, 1)) + habit + np.where(ANGLES, 1.5, 0) * sway
    x, y, z = np.moveaxis(skeleton(poses, performer.body), -1, 0)  # each (T,P)
    cos, sin = np.cos(heading), np.sin(heading)
    ground = [np.broadcast_to(np.asarray(along, float), share.shape)[:, None] for along in place]
    return Person(performer, np.stack([cos * x - sin * z + ground[0], y, sin * x + cos * z + ground[1]], -1))


def _ball(people: list[Person], share: ndarray, play: Play, rng: np.random.Generator) -> list[Shape]:
    """A ball: in the hand, in the air, then caught, or past the one who ducked."""
    hand = people[0].points[:, POINT["right_hand"]]
    other = people[1].points
    target = other[:, [POINT["left_hand"], POINT["right_hand"]]].mean(1)
    if play.answers == "duck":
        target = np.broadcast_to(other[0, POINT["head"]], hand.shape)  # where the head was
    flight = ((share - RELEASE) / (ARRIVAL - RELEASE))[:, None]
    left = np.abs(flight[:, 0]).argmin()
    arrived = np.abs(flight[:, 0] - 1).argmin()
    path = hand[left] + flight * (target[arrived] - hand[left]) + [0, 0.5, 0] * flight * (1 - flight)
    path = np.where(flight < 0, hand, path)
    path = np.where(flight > 1, target, path) if play.answers == "catch" else path
    ball = props.PROPS["ball"]
    at = props.frames(path, np.broadcast_to([0.0, -1.0, 0.0], path.shape), np.array([0.0, 0.2, 1.0]), ball.flat)
    return ball.draw(at, ball.colours[rng.integers(len(ball.colours))])


def _view(rng: np.random.Generator) -> View:
    return View(
        place=(MARGIN + SIZE * rng.uniform(0.46, 0.54), MARGIN + SIZE * rng.uniform(0.76, 0.84)),
        height=SIZE * rng.uniform(0.34, 0.40),
        yaw=rng.uniform(-12, 12),
        pitch=rng.uniform(16, 26),
        mirrored=bool(rng.random() < 0.5),
    )


def _shadow(points: ndarray) -> Shape:
    """A dark patch on the ground below the feet (T,K,3)."""
    feet = points[:, [POINT["left_ankle"], POINT["right_ankle"]]].mean(1, keepdims=True) * [1, 0, 1]
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    ring = np.stack([0.17 * np.cos(angles), 0 * angles, 0.10 * np.sin(angles)], -1)
    return Shape("polygon", feet + ring, (70, 70, 65), edge=False, bias=-3.0)


def _boxes(people: list[Person], view: View, camera: ndarray) -> ndarray:
    """Boxes round the people (T,N,4), cut at the border of the picture, 0-1."""
    rim = RIM * view.height
    boxes = []
    for person in people:
        pixels = transform(view.project(person.points)[0], camera)
        boxes.append(np.concatenate([pixels.min(1) - rim, pixels.max(1) + rim], -1))
    return np.clip(np.stack(boxes, 1) / SIZE, 0, 1)
