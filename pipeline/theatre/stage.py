"""The stage: a script becomes a performance, whose every truth is known.

Axes: T frame, J COCO joint. Pixels count from the top left corner; pictures are RGB.
"""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy import ndarray

from pipeline.theatre import motions, props, scenery
from pipeline.theatre.paper import CANVAS, MARGIN, SIZE
from pipeline.theatre.performers import Performer, entropy
from pipeline.theatre.puppet import COCO, FORWARD, POINT, UP, flesh, skeleton
from pipeline.theatre.shapes import Cast, Shape, View, transform

FPS = 16
JOINTS = len(COCO)
TURN = 10  # frames a jump rope takes for a turn
RIM = 0.045  # flesh round the points of the body, in body heights
SWAPPED = [COCO.index(name.replace("left", "?").replace("right", "left").replace("?", "right")) for name in COCO]

# How a thing is held in a primitive: in both hands, in the right one, or by its shaft from the left to the right hand.
HOLDS = dict.fromkeys(motions.PRIMITIVES, "right") | {"raise": "both", "push": "both", "sweep": "shaft"}


@dataclass(frozen=True)
class Script:
    """What is to be performed. `object` "" is nothing in hand; everything else about the video follows from `seed`."""

    id: str
    primitive: str
    object: str
    scene: str
    performer: Performer
    seed: int
    label: str = ""
    split: str = ""

    @property
    def group(self) -> str:
        return self.performer.name

    def rng(self, stream: str) -> np.random.Generator:
        """An independent generator for one aspect of the video."""
        return np.random.default_rng(entropy(stream, self.seed))


@dataclass(frozen=True)
class Truth:
    """What is true of a performance.

    Attributes:
        joints: (T, J, 2) float32 px, COCO-17; a left joint is on the performer's left.
        visible: (T, J) bool; neither outside the picture nor behind the foreground.
        box: (T, 4) float32 xyxy px round the performer, cut at the border of the picture.
        primitive: (T,) int, index into `PRIMITIVES`; -1 while idle.
        objects: everything that is present, what is in use first.
        scene, label: names; the label is "" in the corpus.
    """

    joints: ndarray
    visible: ndarray
    box: ndarray
    primitive: ndarray
    objects: tuple[str, ...]
    scene: str
    label: str


@dataclass(frozen=True)
class Performance(Truth):
    """A performance: its truth and its frames (T, H, W, 3) uint8 RGB, `fps` a second."""

    frames: ndarray
    fps: int


@dataclass(frozen=True)
class Action:
    """Body points (T, P, 3), the shapes of what is in use, and which frames belong to the primitive (T,)."""

    points: ndarray
    used: list[Shape] = field(repr=False)
    active: ndarray


class Set:
    """Everything that a script decides before a pixel is painted."""

    def __init__(self, script: Script):
        self.view = _view(script.rng("view"))
        self.action = act(script, self.view)
        self.camera = _camera(script.rng("camera"), len(self.action.points))
        self.lying, self.extra = _lying(script.rng("lying"), self.view, len(self.camera))
        self.front = scenery.foreground(script.rng("foreground"))

    def truth(self, script: Script) -> Truth:
        pixels = transform(self.view.project(self.action.points)[0], self.camera)
        joints = pixels[:, :JOINTS].astype(np.float32)
        joints = joints[:, SWAPPED] if self.view.mirrored else joints
        return Truth(
            joints=joints,
            visible=_visible(joints, self.front, self.camera),
            box=_box(pixels, RIM * self.view.height),
            primitive=np.where(self.action.active, motions.PRIMITIVES.index(script.primitive), -1),
            objects=tuple(dict.fromkeys(name for name in (script.object, *self.extra) if name)),
            scene=script.scene,
            label=script.label,
        )


def truth(script: Script) -> Truth:
    """What `perform` would be true of, without rendering it."""
    return Set(script).truth(script)


def perform(script: Script, *, empty: bool = False) -> Performance:
    """Render a script; `empty` leaves out the performer and what they use (the truth stays)."""
    stage = Set(script)
    actor = (
        []
        if empty
        else [*flesh(stage.action.points, script.performer.body, script.performer.palette), *stage.action.used]
    )
    cast = Cast([*stage.lying, *actor], stage.view, stage.camera)
    shadow = None if empty else _shadow(stage.action, stage.view, stage.camera)
    frames = _shoot(script, cast, shadow, stage.front, stage.camera)
    return Performance(**vars(stage.truth(script)), frames=frames, fps=FPS)


def act(script: Script, view: View) -> Action:
    """Motion and use of the object, in space. What is backwards is played forwards, then turned round in time."""
    primitive = motions.BACKWARDS.get(script.primitive, script.primitive)
    motion = motions.play(primitive, script.rng("motion"))
    hold = "ends" if script.object == "jump rope" else HOLDS[primitive]
    grip = props.PROPS[script.object].grip if script.object and hold == "both" else None
    points = skeleton(motion.poses, script.performer.body, grip)
    used = _use(script, motion, points, hold, view) if script.object else []
    if script.primitive == primitive:
        return Action(points, used, motion.active)
    return Action(points[::-1], [replace(shape, points=shape.points[::-1]) for shape in used], motion.active[::-1])


def _use(script: Script, motion: motions.Motion, points: ndarray, hold: str, view: View) -> list[Shape]:
    """The shapes of the object in use."""
    prop, rng = props.PROPS[script.object], script.rng("object")
    colour = prop.colours[rng.integers(len(prop.colours))]
    hands = points[:, [POINT["left_hand"], POINT["right_hand"]]]
    if hold == "ends":
        turning = motion.active & (script.primitive == "jump")
        return props.rope(hands, 2 * np.pi * np.cumsum(turning) / TURN, np.where(turning, 0.56, 0.42), colour)

    origin = hands.mean(1) if hold == "both" else hands[:, 1]
    if prop.axis == "bar":
        along = points[:, POINT["right_shoulder"]] - points[:, POINT["left_shoulder"]]
    elif prop.axis == "plumb":
        along = np.broadcast_to(-UP, origin.shape)
    elif hold == "both":
        along = np.broadcast_to(UP + 0.35 * FORWARD, origin.shape)
    else:
        along = hands[:, 1] - hands[:, 0] if hold == "shaft" else _pointing(points, motion.poses)
    if hold == "both":  # what hands near the ground hold stands on it
        origin = np.concatenate([origin[:, :1], np.maximum(origin[:, 1:2], prop.rest), origin[:, 2:]], 1)
    if script.object == "ball":
        origin = _flight(origin, points, motion)
    return prop.draw(props.frames(origin, along, view.towards, prop.flat), colour)


def _pointing(points: ndarray, poses: ndarray) -> ndarray:
    """Where a stick in the right hand points: the forearm, turned by the pose's grip (T, 3)."""
    forearm = points[:, POINT["right_wrist"]] - points[:, POINT["right_elbow"]]
    grip = np.deg2rad(poses[:, motions.FIELDS.index("grip")])
    x, y, z = forearm.T
    return np.stack([np.cos(grip) * x - np.sin(grip) * y, np.sin(grip) * x + np.cos(grip) * y, 0.5 * z], -1)


def _flight(hand: ndarray, points: ndarray, motion: motions.Motion) -> ndarray:
    """The ball's path (T, 3): at the frame of release it leaves the hand, or, when it is kicked, the ground."""
    if motion.release is None:
        return hand
    if motion.name == "kick":
        spot = points[motion.release, POINT["right_toe"]] * [1, 0, 1] + [0.10, props.PROPS["ball"].rest, 0]
        before, speed = np.broadcast_to(spot, hand.shape), np.array([0.13, 0.055, 0.0])  # body heights a frame
    else:
        before, speed = hand, np.array([0.11, 0.035, 0.0])
    time = np.maximum(np.arange(len(hand)) - motion.release, 0)[:, None]
    free = before[motion.release] + speed * time - [0, 0.003, 0] * time**2
    return np.where(time > 0, free, before)


def _view(rng: np.random.Generator) -> View:
    return View(
        place=(MARGIN + SIZE * rng.uniform(0.36, 0.64), MARGIN + SIZE * rng.uniform(0.86, 0.95)),
        height=SIZE * rng.uniform(0.48, 0.62),
        yaw=rng.uniform(-45, 40),
        pitch=rng.uniform(2, 12),
        mirrored=bool(rng.random() < 0.5),
    )


def _camera(rng: np.random.Generator, frames: int) -> ndarray:
    """Affine maps from canvas to picture (T, 2, 3): half the cameras stand still, the others pan, zoom and shake."""
    time = np.linspace(-0.5, 0.5, frames)[:, None]
    moving = rng.random() < 0.5
    pan = rng.uniform(-6, 6, 2) * [1, 0.4] * moving
    zoom = 1 + rng.uniform(-0.03, 0.07) + rng.uniform(-0.06, 0.06) * moving * time
    shake = cv2.GaussianBlur(rng.normal(0, rng.uniform(0, 1.2), (frames, 2)), (1, 5), 0) * moving
    centre = CANVAS / 2
    maps = np.zeros((frames, 2, 3))
    maps[:, 0, 0] = maps[:, 1, 1] = zoom[:, 0]
    maps[:, :, 2] = centre - zoom * centre - MARGIN + pan * time + shake
    return maps


def _lying(rng: np.random.Generator, view: View, frames: int) -> tuple[list[Shape], tuple[str, ...]]:
    """Something that lies about unused, in three videos of ten, whatever the class."""
    if rng.random() > 0.3:
        return [], ()
    name = props.OBJECTS[rng.integers(len(props.OBJECTS))]
    prop = props.PROPS[name]
    colour = prop.colours[rng.integers(len(prop.colours))]
    side = rng.choice([-1, 1])
    spot = np.array([side * rng.uniform(0.35, 0.75), prop.rest, rng.uniform(-0.9, -0.4)])
    along = {"plumb": [0.0, -1.0, 0.0], "stick": [side, 0.0, 0.0], "bar": [0.3, 0.0, 1.0]}[prop.axis]
    where = props.frames(np.tile(spot, (frames, 1)), np.tile(along, (frames, 1)), view.towards, prop.flat)
    return [replace(shape, bias=shape.bias - 1) for shape in prop.draw(where, colour)], (name,)


def _shadow(action: Action, view: View, camera: ndarray) -> tuple[ndarray, float]:
    """Centre (T, 2) px and half width px of the shadow under the feet."""
    feet = action.points[:, [POINT["left_ankle"], POINT["right_ankle"], POINT["pelvis"]]].mean(1) * [1, 0, 1]
    return transform(view.project(feet)[0], camera), 0.24 * view.height


def _shoot(script: Script, cast: Cast, shadow: tuple | None, front: tuple | None, camera: ndarray) -> ndarray:
    """The frames (T, H, W, 3): scene, shadow, cast, foreground, light and noise."""
    rng = script.rng("light")
    light = rng.uniform(0.75, 1.15) * (1 + rng.normal(0, 0.03, 3))
    far = _lit(scenery.backdrop(script.scene, script.rng("scene")), light)
    near = None if front is None else (_lit(front[0], light), front[1])
    noise = rng.normal(0, rng.uniform(0.0, 3.0), (2 * SIZE, 2 * SIZE, 1)).repeat(3, 2).astype(np.int16)
    still = (camera == camera[0]).all()
    frames = np.empty((len(camera), SIZE, SIZE, 3), np.uint8)
    for index, shot in enumerate(camera):
        if index == 0 or not still:
            behind = _through(far, shot)
            before = None if near is None else [_through(layer, shot) for layer in near]
        picture = behind.copy()
        if shadow is not None:
            _shade(picture, shadow[0][index], shadow[1])
        cast.draw(picture, index, light)
        if before is not None:
            cv2.copyTo(before[0], _covering(before[1]).view(np.uint8), picture)
        x, y = rng.integers(0, SIZE, 2)
        cv2.add(picture, noise[y : y + SIZE, x : x + SIZE], frames[index], dtype=cv2.CV_8U)
    return frames


def _lit(layer: ndarray, light: ndarray) -> ndarray:
    return np.clip(layer * light, 0, 255).astype(np.uint8)


def _through(layer: ndarray, shot: ndarray) -> ndarray:
    """A painted layer as the camera sees it: (CANVAS, CANVAS, ...) and (2, 3) -> (SIZE, SIZE, ...)."""
    return cv2.warpAffine(layer, shot, (SIZE, SIZE), borderMode=cv2.BORDER_REFLECT)


def _covering(mask: ndarray) -> ndarray:
    return mask > 127


def _shade(picture: ndarray, spot: ndarray, radius: float) -> None:
    """Darken an ellipse on the ground, in place."""
    x, y = np.rint(spot).astype(int)
    wide, high = round(radius), round(0.27 * radius)
    rows, columns = slice(max(y - high, 0), max(y + high + 1, 0)), slice(max(x - wide, 0), max(x + wide + 1, 0))
    down, across = np.ogrid[rows.start - y : min(rows.stop, SIZE) - y, columns.start - x : min(columns.stop, SIZE) - x]
    inside = (down / max(high, 1)) ** 2 + (across / max(wide, 1)) ** 2 <= 1
    part = picture[rows, columns]
    part[inside] = 0.72 * part[inside]


def _visible(joints: ndarray, front: tuple | None, camera: ndarray) -> ndarray:
    inside = ((joints >= 0) & (joints <= SIZE - 1)).all(-1)
    if front is None:
        return inside
    spots = np.clip(np.rint(joints), 0, SIZE - 1).astype(int)
    covers = [
        _covering(_through(front[1], shot))[where[:, 1], where[:, 0]] for shot, where in zip(camera, spots, strict=True)
    ]
    return inside & ~np.stack(covers)


def _box(pixels: ndarray, rim: float) -> ndarray:
    """Round body points (T, P, 2) px and `rim` px of flesh."""
    box = np.concatenate([pixels.min(1) - rim, pixels.max(1) + rim], -1)
    return np.clip(box, 0, SIZE - 1).astype(np.float32)
