"""Gestures: what a hand or the body does for a second or three, as key poses in time.

A performance has three tracks, the left hand, the right hand and the body, each with its own sequence of events. The
tracks know nothing of each other: each bends one standing pose in its own way, and what they bend adds up.
Axes: T frame, F pose field.
"""

from dataclasses import dataclass

import numpy as np
from numpy import ndarray
from scipy.interpolate import PchipInterpolator

from pipeline.theatre.motions import sway, vary
from pipeline.theatre.puppet import FIELDS, Body, pose, skeleton

HANDLING = ("taking", "putting down", "lifting", "throwing")  # what a hand does with a thing
MOVING = ("squatting", "walking", "jumping", "turning around")  # what the body does
TRACKS = ("left", "right", "body")
SHORTEST, LONGEST = 24, 52  # frames of an event

# Poses of the right hand; the left one's are their mirror image.
STANDING = pose(lean=4, nod=4)
CARRYING = pose(lean=4, nod=6, right_flex=22, right_out=16, right_elbow=66, right_fore=6)
LIFTED = pose(lean=0, nod=-14, right_flex=166, right_out=14, right_elbow=10, right_fore=8)
COCKED = pose(lean=-6, twist=-20, nod=4, right_flex=146, right_out=34, right_elbow=62, right_fore=18)
RELEASED = pose(lean=10, twist=14, nod=4, right_flex=138, right_out=16, right_elbow=14, right_fore=12)
FOLLOWED = pose(lean=18, twist=24, nod=2, right_flex=76, right_out=2, right_elbow=10, right_fore=-8)

# Poses of the body.
SQUATTED = pose(drop=0.40, forward=-0.14, lean=34, nod=-4)
CROUCHED = pose(drop=0.18, forward=-0.05, lean=20)
AIRBORNE = pose(drop=0.0, lift=0.19, lean=4, left_up=0.03, right_up=0.02)


def action(verb: str, thing: str = "") -> str:
    """The name of an action: 'taking a cup', 'walking'."""
    return f"{verb} a {thing}" if thing else verb


@dataclass(frozen=True)
class Event:
    """One occurrence of an action: frames `start` to `end` (exclusive), with a thing or, of the body, without ("").

    `moment` is the frame at which the hand closes on the thing or lets it go; of other events it means nothing.
    """

    track: str
    verb: str
    object: str
    start: int
    end: int
    moment: int

    @property
    def action(self) -> str:
        return action(self.verb, self.object)


@dataclass(frozen=True)
class Motion:
    """Poses (T, F) in the frame of the body, the body's place on the ground (T, 3) and its heading (T,) in radians."""

    poses: ndarray
    place: ndarray
    heading: ndarray

    def points(self, body: Body) -> ndarray:
        """Points of the body in space (T, P, 3)."""
        return self.place[:, None] + _turned(skeleton(self.poses, body), self.heading[:, None])

    def local(self, place: ndarray) -> ndarray:
        """A place in space (T, 3) as the performer has it: x ahead, y up, z to the right."""
        return _turned(place - self.place, -self.heading)


def schedule(tracks: dict[str, list[tuple[str, str]]], frames: int, rng: np.random.Generator) -> list[Event]:
    """When things happen: (verb, object) of each track, in order, spread over `frames` frames.

    Of many draws the one is taken in which the fewest things are picked up or put down in mid-jump and the like.
    """
    draws = [
        [event for track in TRACKS for event in _spread(track, tracks.get(track, []), frames, rng)] for _ in range(30)
    ]
    return min(draws, key=_clashes)


def move(events: list[Event], empty: dict[str, bool], frames: int, rng: np.random.Generator) -> Motion:
    """The motion of a schedule; `empty` says of "left" and "right" whether the hand has nothing at the start."""
    body = [event for event in events if event.track == "body"]
    place, heading, steps = _ways(body, frames, rng)
    poses = STANDING + sway(frames, rng) + steps + _bent([(0, STANDING), *_body_keys(body, rng)], frames, rng)
    for side in ("left", "right"):
        keys = _hand_keys([event for event in events if event.track == side], empty[side], rng)
        bent = _bent(keys, frames, rng)
        poses += bent if side == "right" else _mirrored(bent)
    poses[:, FIELDS.index("lean")] = np.clip(poses[:, FIELDS.index("lean")], -14, 58)
    return Motion(poses, place, heading)


def _spread(track: str, doings: list[tuple[str, str]], frames: int, rng: np.random.Generator) -> list[Event]:
    """One track's events: random lengths, and what is left of the video as random pauses before, between and after."""
    if not doings:
        return []
    count, room = len(doings), frames - 4 - 2 * len(doings)
    lengths = rng.integers(SHORTEST, min(room // count, LONGEST) + 1, count)
    pauses = 2 + rng.dirichlet(np.ones(count + 1))[:-1] * (room - lengths.sum())
    starts = np.floor(np.cumsum(pauses) + np.cumsum(lengths) - lengths).astype(int)
    events = []
    for (verb, thing), start, length in zip(doings, starts.tolist(), lengths.tolist(), strict=True):
        moment = start + round(length * (rng.uniform(0.55, 0.65) if verb == "throwing" else rng.uniform(0.4, 0.6)))
        events.append(Event(track, verb, thing, start, start + length, moment))
    return events


def _clashes(events: list[Event]) -> int:
    """How often a hand closes or opens while the body turns, jumps or walks."""
    moments = [event.moment for event in events if event.track != "body" and event.verb != "lifting"]
    unsteady = [event for event in events if event.track == "body" and event.verb != "squatting"]
    return sum(event.start - 3 < moment < event.end + 3 for event in unsteady for moment in moments)


def _hand_keys(events: list[Event], empty: bool, rng: np.random.Generator) -> list[tuple[float, ndarray]]:
    """Stations of a hand: (frame, pose)."""
    keys = [(0, STANDING if empty else CARRYING)]
    for event in events:
        length = event.end - event.start
        before, after = keys[-1][1], CARRYING
        match event.verb:
            case "lifting":
                way = [(event.start + 0.36 * length, LIFTED), (event.start + 0.64 * length, LIFTED)]
            case "throwing":
                way = [(event.moment - 0.16 * length, COCKED), (event.moment, RELEASED)]
                way, after = [*way, (event.moment + 0.14 * length, FOLLOWED)], STANDING
            case _:
                reached = _reached(rng)
                way = [(event.moment - 2, reached), (event.moment + 2, reached)]
                after = CARRYING if event.verb == "taking" else STANDING
        keys += [(event.start, before), *way, (event.end, after)]
    return keys


def _reached(rng: np.random.Generator) -> ndarray:
    """A hand at something that stands on a low stool or a high table, ahead or aside."""
    lean = rng.uniform(12, 34)
    return pose(
        lean=lean,
        nod=0.5 * lean,
        twist=rng.uniform(0, 14),
        right_flex=rng.uniform(50, 68) + 0.5 * lean,
        right_out=rng.uniform(4, 34),
        right_elbow=8,
        right_fore=rng.uniform(4, 30),
    )


def _body_keys(events: list[Event], rng: np.random.Generator) -> list[tuple[float, ndarray]]:
    """Stations of the body where it goes up and down: (frame, pose)."""
    keys = []
    for event in events:
        length = event.end - event.start
        if event.verb == "squatting":
            down = rng.uniform(0.8, 1.1) * (SQUATTED - STANDING) + STANDING
            way = [(0.36, down), (0.60, down)]
        elif event.verb == "jumping":
            jumps = 2 if length < 36 else 3
            one = [(0.45, CROUCHED), (0.75, AIRBORNE)]
            way = [((jump + share) / (jumps + 0.4), key) for jump in range(jumps) for share, key in one]
            way.append(((jumps + 0.05) / (jumps + 0.4), CROUCHED))
        else:
            continue
        stations = [(event.start + share * length, key) for share, key in way]
        keys += [(event.start, STANDING), *stations, (event.end, STANDING)]
    return keys


def _ways(events: list[Event], frames: int, rng: np.random.Generator) -> tuple[ndarray, ndarray, ndarray]:
    """Place (T, 3) and heading (T,) of the body, and what its steps add to the pose (T, F)."""
    time = np.arange(frames)
    heading, speed, steps = np.zeros(frames), np.zeros(frames), np.zeros((frames, len(FIELDS)))
    for event in events:
        length = event.end - event.start
        phase = np.clip((time - event.start) / length, 0, 1)
        under_way = np.sin(np.pi * phase)  # 0 at both ends
        if event.verb == "turning around":
            heading += rng.choice([-1, 1]) * np.pi * phase**2 * (3 - 2 * phase)
            steps += _stepping(2 * np.pi * round(length / 12) * phase, 0.0, 0.10) * under_way[:, None] ** 0.3
        elif event.verb == "walking":
            far, cycles = rng.uniform(0.45, 0.68), max(round(length / 14), 2)
            speed += far * np.gradient(phase - np.sin(2 * np.pi * phase) / (2 * np.pi) * 0.5)
            stride = far / (4 * cycles * Body().leg)
            steps += _stepping(2 * np.pi * cycles * phase, 1.3 * stride, 0.12) * under_way[:, None] ** 0.3
    along = np.cumsum(speed[:, None] * np.stack([np.cos(heading), 0 * heading, np.sin(heading)], -1), 0)
    return along - 0.5 * (along.min(0) + along.max(0)), heading, steps


def _stepping(phase: ndarray, stride: float, lift: float) -> ndarray:
    """Feet that change places, `stride` leg lengths before and behind, and arms that swing against them (T, F)."""
    added = np.zeros((len(phase), len(FIELDS)))
    for side, turn in (("left", 0.0), ("right", np.pi)):
        added[:, FIELDS.index(f"{side}_step")] = stride * np.sin(phase + turn)
        added[:, FIELDS.index(f"{side}_up")] = lift * np.maximum(np.cos(phase + turn), 0)
        added[:, FIELDS.index(f"{side}_flex")] = -80 * stride * np.sin(phase + turn)
    return added


def _bent(keys: list[tuple[float, ndarray]], frames: int, rng: np.random.Generator) -> ndarray:
    """What stations (frame, pose) add to the standing pose (T, F), everyone in their own way."""
    times = np.array([-9, *[time for time, _ in keys[1:]], frames + 9], float)
    values = vary(np.stack([*[key for _, key in keys], keys[-1][1]]), rng) - STANDING
    return PchipInterpolator(times, values)(np.arange(frames))


def _mirrored(bent: ndarray) -> ndarray:
    """What the left hand adds, from what the right one would (T, F)."""
    swapped = [name.replace("right", "?").replace("left", "right").replace("?", "left") for name in FIELDS]
    sign = np.where(np.array(FIELDS) == "twist", -1.0, 1.0)
    return sign * bent[:, [FIELDS.index(name) for name in swapped]]


def _turned(points: ndarray, heading: ndarray) -> ndarray:
    """Points (..., 3) turned about the vertical; a heading of 0 leaves x ahead."""
    x, y, z = np.moveaxis(points, -1, 0)
    cos, sin = np.cos(heading), np.sin(heading)
    return np.stack([cos * x - sin * z, y, sin * x + cos * z], -1)
