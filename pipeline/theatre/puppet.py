"""The puppet: a small 3D skeleton, its kinematics, and the flesh drawn over it.

Axes: T frame, F pose field, P point. Lengths are fractions of the body height, angles are degrees.
Body frame: x forward, y up, z to the performer's right; the ground is y = 0.
Arms follow forward kinematics (two directions per arm); legs reach for their feet (two-bone inverse kinematics), so
that a planted foot stays where it is.
"""

from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from pipeline.theatre.shapes import Shape

COCO = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
POINTS = (*COCO, "neck", "pelvis", "head", "crown", "left_hand", "right_hand", "left_toe", "right_toe")
POINT = {name: index for index, name in enumerate(POINTS)}

# What a pose says. The pelvis (forward, drop, lift) and the feet (step, up) are placed in leg lengths. Arm angles are
# in the frame of the trunk: flex 0 hangs down, 90 points forward, 180 up; out spreads sideways; elbow adds to flex;
# fore is the out of the forearm; grip turns what the right hand holds.
REST = {
    "forward": 0.0, "drop": 0.01, "lift": 0.0, "lean": 3.0, "twist": 0.0, "nod": 0.0, "grip": 40.0,
    "right_flex": 5.0, "right_out": 10.0, "right_elbow": 15.0, "right_fore": 6.0,
    "left_flex": 5.0, "left_out": 10.0, "left_elbow": 15.0, "left_fore": 6.0,
    "right_step": 0.0, "right_up": 0.0, "left_step": 0.0, "left_up": 0.0,
}  # fmt: skip
FIELDS = tuple(REST)
ANGLES = np.array([name not in ("forward", "drop", "lift") and not name.endswith(("step", "up")) for name in FIELDS])


def pose(**changes: float) -> ndarray:
    """The rest pose with some fields changed (F,). Raises KeyError for a field that does not exist."""
    if unknown := set(changes) - set(FIELDS):
        raise KeyError(f"no such pose field: {', '.join(sorted(unknown))}; there are {', '.join(FIELDS)}")
    return np.array([changes.get(name, rest) for name, rest in REST.items()])


@dataclass(frozen=True)
class Body:
    """Proportions, as fractions of the body height."""

    trunk: float = 0.30
    thigh: float = 0.245
    shin: float = 0.245
    upper_arm: float = 0.165
    forearm: float = 0.150
    shoulders: float = 0.115  # half the width
    hips: float = 0.060  # half the width
    head: float = 0.074  # radius
    girth: float = 1.0  # factor on the thickness of the limbs

    @property
    def leg(self) -> float:
        return self.thigh + self.shin


@dataclass(frozen=True)
class Palette:
    """Colours (RGB) of skin, hair and clothes; whether sleeves and trousers are long."""

    skin: tuple[int, int, int]
    hair: tuple[int, int, int]
    shirt: tuple[int, int, int]
    trousers: tuple[int, int, int]
    shoes: tuple[int, int, int]
    long_sleeves: bool
    long_trousers: bool


ANKLE = 0.04  # height of the ankle above the sole
RIGHT = np.array([0.0, 0.0, 1.0])
FORWARD = np.array([1.0, 0.0, 0.0])
UP = np.array([0.0, 1.0, 0.0])


def skeleton(poses: ndarray, body: Body, grip: float | None = None) -> ndarray:
    """Points of the body in space: (T, F) -> (T, P, 3), in the order of `POINTS`.

    `grip` is half the distance at which both hands hold one thing; None leaves the hands free.
    """
    field = dict(zip(FIELDS, poses.T, strict=True))
    radians = {name: np.deg2rad(value) for name, value in field.items()}
    points = np.zeros((len(poses), len(POINTS), 3))

    def put(name: str, value: ndarray) -> ndarray:
        points[:, POINT[name]] = value
        return value

    pelvis = put(
        "pelvis", _vector(field["forward"] * body.leg, ANKLE + body.leg * (1 - field["drop"] + field["lift"]), 0)
    )
    forward, up, right = _trunk(radians["lean"], radians["twist"])
    neck = put("neck", pelvis + body.trunk * up)

    face_forward, face_up, face_right = _trunk(0.4 * radians["lean"] + radians["nod"], 0.5 * radians["twist"])
    head = put("head", neck + 0.25 * body.head * up + 1.35 * body.head * face_up)
    put("crown", head + 0.35 * body.head * face_up - 0.25 * body.head * face_forward)
    put("nose", head + body.head * (0.92 * face_forward - 0.10 * face_up))

    _, _, hips = _trunk(0 * radians["lean"], 0.35 * radians["twist"])
    for side, sign in (("left", -1), ("right", 1)):
        put(f"{side}_eye", head + body.head * (0.78 * face_forward + 0.22 * face_up + sign * 0.42 * face_right))
        put(f"{side}_ear", head + body.head * (sign * 0.90 * face_right - 0.05 * face_forward))

        shoulder = put(f"{side}_shoulder", neck - 0.04 * up + sign * body.shoulders * right)
        upper = _direction(radians[f"{side}_flex"], sign * radians[f"{side}_out"], forward, up, right)
        bent = radians[f"{side}_flex"] + radians[f"{side}_elbow"]
        fore = _direction(bent, sign * radians[f"{side}_fore"], forward, up, right)
        elbow = shoulder + body.upper_arm * upper
        wrist = elbow + body.forearm * fore
        if grip is not None:
            middle = neck + np.sum((wrist - neck) * forward, -1, keepdims=True) * forward
            middle = middle + np.sum((wrist - neck) * up, -1, keepdims=True) * up
            elbow, wrist = _reach(
                shoulder, middle + sign * grip * right, elbow - shoulder, body.upper_arm, body.forearm
            )
        put(f"{side}_elbow", elbow)
        put(f"{side}_wrist", wrist)
        put(f"{side}_hand", wrist + 0.035 * _unit(wrist - elbow))

        hip = put(f"{side}_hip", pelvis + sign * body.hips * hips)
        height = ANKLE + body.leg * (field[f"{side}_up"] + field["lift"])
        foot = _vector(field[f"{side}_step"] * body.leg, height, sign * (body.hips + 0.025))
        bend = np.broadcast_to(FORWARD + sign * 0.15 * RIGHT, foot.shape)
        knee, ankle = _reach(hip, foot, bend, body.thigh, body.shin)
        put(f"{side}_knee", knee)
        put(f"{side}_ankle", ankle)
        shin = _unit(ankle - knee)
        pointed = _unit(FORWARD - shin[:, :1] * shin + 0.5 * shin)
        flat = FORWARD + np.array([0.0, -0.15, sign * 0.15])
        airborne = np.clip(4 * (field[f"{side}_up"] + field["lift"]), 0, 1)[:, None]
        put(f"{side}_toe", ankle + 0.10 * _unit(airborne * pointed + (1 - airborne) * flat))
    return points


def flesh(points: ndarray, body: Body, palette: Palette) -> list[Shape]:
    """What is drawn over the skeleton (T, P, 3), as shapes in space."""

    def at(*names: str) -> ndarray:
        return points[:, [POINT[name] for name in names]]

    sleeve = palette.shirt if palette.long_sleeves else palette.skin
    leggings = palette.trousers if palette.long_trousers else palette.skin
    shapes = []
    for side in ("left", "right"):

        def limb(first: str, second: str, colour: tuple, width: float, bias: float = 0.0, side: str = side) -> None:
            shapes.append(
                Shape("line", at(f"{side}_{first}", f"{side}_{second}"), colour, width * body.girth, bias=bias)
            )

        limb("ankle", "toe", palette.shoes, 0.055)
        limb("knee", "ankle", leggings, 0.072)
        limb("hip", "knee", palette.trousers, 0.092)
        limb("elbow", "wrist", sleeve, 0.052, 0.004)
        limb("shoulder", "elbow", palette.shirt, 0.062)
        shapes.append(Shape("disc", at(f"{side}_hand"), palette.skin, 0.030, bias=0.006))
        shapes.append(Shape("disc", at(f"{side}_eye"), (25, 20, 20), 0.006, edge=False, bias=0.035))
    chest = points[:, POINT["neck"]] * 0.85 + points[:, POINT["pelvis"]] * 0.15
    waist = points[:, POINT["neck"]] * 0.2 + points[:, POINT["pelvis"]] * 0.8
    shapes.append(Shape("line", at("left_hip", "right_hip"), palette.trousers, 0.13 * body.girth, bias=-0.002))
    shapes.append(Shape("line", np.stack([chest, waist], 1), palette.shirt, 0.15 * body.girth))
    yoke = 0.93 * at("left_shoulder", "right_shoulder") + 0.07 * points[:, None, POINT["pelvis"]]
    shapes.append(Shape("line", yoke, palette.shirt, 0.08 * body.girth))
    shapes.append(Shape("line", at("neck", "head"), palette.skin, 0.055, bias=0.002))
    shapes.append(Shape("disc", at("crown"), palette.hair, 1.02 * body.head, bias=-0.012))
    shapes.append(Shape("disc", at("head"), palette.skin, body.head))
    shapes.append(Shape("disc", at("nose"), palette.skin, 0.018, bias=0.01))
    return shapes


def _vector(x: ndarray, y: ndarray, z: float) -> ndarray:
    return np.stack([x, y, np.full_like(x, z)], -1)


def _unit(vectors: ndarray) -> ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def _trunk(lean: ndarray, twist: ndarray) -> tuple[ndarray, ndarray, ndarray]:
    """Forward, up and right of a trunk that leans forward, then turns its right shoulder forward. Each (T, 3)."""
    zero = np.zeros_like(lean)
    up = np.stack([np.sin(lean), np.cos(lean), zero], -1)
    ahead = np.stack([np.cos(lean), -np.sin(lean), zero], -1)
    cos, sin = np.cos(twist)[:, None], np.sin(twist)[:, None]
    return cos * ahead - sin * RIGHT, up, cos * RIGHT + sin * ahead


def _direction(flex: ndarray, out: ndarray, forward: ndarray, up: ndarray, right: ndarray) -> ndarray:
    flex, out = flex[:, None], out[:, None]
    return np.cos(out) * (np.sin(flex) * forward - np.cos(flex) * up) + np.sin(out) * right


def _reach(root: ndarray, target: ndarray, bend: ndarray, first: float, second: float) -> tuple[ndarray, ndarray]:
    """Two-bone inverse kinematics: the middle joint, towards `bend`, and the end, which stops where its reach ends."""
    along = _unit(target - root)
    distance = np.linalg.norm(target - root, axis=-1, keepdims=True)
    distance = np.clip(distance, abs(first - second) + 1e-3, 0.999 * (first + second))
    adjacent = (first**2 - second**2 + distance**2) / (2 * distance)  # law of cosines
    aside = _unit(bend - np.sum(bend * along, -1, keepdims=True) * along)
    middle = root + adjacent * along + np.sqrt(np.maximum(first**2 - adjacent**2, 0)) * aside
    return middle, root + distance * along
