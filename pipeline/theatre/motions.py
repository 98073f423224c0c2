"""The primitives: named whole-body motions, as key poses in time.

Primitives borrow each other's poses on purpose (`lower` is `raise` and `catch` is `throw`, backwards; `swing`, `throw`
and `wave` pass through a raised hand; most begin and end in one ready pose), so that a single frame says little.
Axes: T frame, F pose field.
"""

from dataclasses import dataclass

import numpy as np
from numpy import ndarray
from scipy.interpolate import PchipInterpolator

from pipeline.theatre.puppet import ANGLES, FIELDS, pose

PRIMITIVES = ("raise", "lower", "throw", "catch", "kick", "swing", "sweep", "wave", "jump", "push")
BACKWARDS = {"lower": "raise", "catch": "throw"}  # these are the time reversal of those
RELEASES = {"throw": 2, "kick": 2}  # the station at which a ball is let go

Keys = list[tuple[float, ndarray]]  # (relative duration of the way there, pose)


def both(**arm: float) -> dict[str, float]:
    """The same angles for both arms."""
    return {f"{side}_{name}": value for side in ("left", "right") for name, value in arm.items()}


READY = pose(drop=0.03, lean=8, **both(flex=30, out=8, elbow=70, fore=-4))
CROUCH = pose(drop=0.42, forward=-0.16, lean=48, nod=-10, **both(flex=62, out=4, elbow=4, fore=4))
STANDING = pose(lean=4, **both(flex=16, out=8, elbow=12, fore=5))
RACKED = pose(drop=0.04, lean=-2, **both(flex=32, out=12, elbow=122, fore=2))
OVERHEAD = pose(lean=-2, nod=-12, **both(flex=168, out=8, elbow=8, fore=6))
COCKED = pose(
    forward=-0.10, drop=0.06, lean=-8, twist=-32, grip=35, right_flex=148, right_out=35, right_elbow=62,
    right_fore=18, left_flex=72, left_elbow=12, left_step=0.30, left_up=0.06, right_step=-0.16,
)  # fmt: skip
RELEASE = pose(
    forward=0.06, drop=0.06, lean=8, twist=18, grip=25, right_flex=142, right_out=16, right_elbow=14,
    right_fore=12, left_flex=20, left_elbow=45, left_step=0.32, right_step=-0.16,
)  # fmt: skip
FOLLOWED = pose(
    forward=0.12, drop=0.10, lean=24, twist=34, grip=40, right_flex=76, right_out=0, right_elbow=10,
    right_fore=-8, left_flex=-25, left_elbow=40, left_step=0.32, right_step=-0.16,
)  # fmt: skip
WOUND = pose(
    drop=0.02, forward=-0.06, lean=-12, twist=-24, nod=-8, grip=40, right_flex=165, right_out=22,
    right_elbow=72, right_fore=10, left_flex=128, left_out=6, left_elbow=25, left_step=0.10,
    right_step=-0.10,
)  # fmt: skip
HIGH = pose(
    lean=6, twist=4, grip=25, right_flex=165, right_out=12, right_elbow=10, right_fore=8, left_flex=75,
    left_elbow=50, left_step=0.10, right_step=-0.10,
)  # fmt: skip
STRUCK = pose(
    drop=0.24, forward=-0.04, lean=46, twist=24, nod=-6, grip=35, right_flex=66, right_out=-6,
    right_elbow=6, right_fore=-14, left_flex=40, left_elbow=60, left_step=0.10, right_step=-0.10,
)  # fmt: skip
BACKSWING = pose(
    drop=0.05, lean=14, twist=-16, right_step=-0.55, right_up=0.34, left_flex=52, left_elbow=25,
    right_flex=-38, right_elbow=30, forward=0.04,
)  # fmt: skip
CONTACT = pose(drop=0.04, lean=4, twist=4, right_step=0.30, right_up=0.05, left_flex=5, right_flex=10, right_elbow=25)
KICKED = pose(
    drop=0.02, lean=-14, twist=16, right_step=0.85, right_up=0.48, left_flex=-32, left_elbow=25,
    right_flex=48, right_elbow=25, forward=-0.03,
)  # fmt: skip
SWEEP_LEFT = pose(
    drop=0.08, lean=24, nod=8, twist=26, left_flex=62, left_out=-8, left_elbow=62, left_fore=12,
    right_flex=46, right_out=-14, right_elbow=14, right_fore=-20, left_step=0.14, right_step=-0.10,
)  # fmt: skip
SWEEP_RIGHT = pose(
    drop=0.08, lean=24, nod=8, twist=-26, left_flex=52, left_out=-16, left_elbow=78, left_fore=-10,
    right_flex=14, right_out=14, right_elbow=26, right_fore=20, left_step=0.14, right_step=-0.10,
)  # fmt: skip
LEANING = pose(
    drop=0.05, lean=15, nod=4, left_flex=52, left_out=-8, left_elbow=72, right_flex=26, right_elbow=20,
    right_fore=0, left_step=0.14, right_step=-0.10,
)  # fmt: skip
WAVE_IN = pose(right_flex=150, right_out=28, right_elbow=22, right_fore=-22, grip=10)
WAVE_OUT = pose(right_flex=150, right_out=34, right_elbow=10, right_fore=58, grip=10)
CROUCHED = pose(drop=0.20, forward=-0.06, lean=20, **both(flex=-12, out=18, elbow=35, fore=30))
AIRBORNE = pose(drop=0.0, lift=0.20, lean=2, **both(flex=12, out=26, elbow=50, fore=42), right_up=0.02, left_up=0.05)
PULLED = pose(
    drop=0.06, forward=-0.12, lean=-4, **both(flex=-22, out=12, elbow=122, fore=4), left_step=0.30, right_step=-0.22
)
PUSHED = pose(
    drop=0.14, forward=0.16, lean=20, **both(flex=76, out=4, elbow=6, fore=2), left_step=0.30, right_step=-0.22
)


def _stations(name: str, repeats: int) -> Keys:
    """Where a primitive leads, in forward time. The first and the last pose are those of its idle phases."""
    match name:
        case "raise":
            return [(0, CROUCH), (0.36, STANDING), (0.30, RACKED), (0.34, OVERHEAD)]
        case "throw":
            return [(0, READY), (0.42, COCKED), (0.20, RELEASE), (0.18, FOLLOWED), (0.30, READY)]
        case "kick":
            return [(0, READY), (0.34, BACKSWING), (0.16, CONTACT), (0.16, KICKED), (0.34, READY)]
        case "swing":
            return [(0, READY), *[(0.36, WOUND), (0.20, HIGH), (0.26, STRUCK), (0.30, READY)] * (repeats - 1)]
        case "sweep":
            strokes = [(0.35, SWEEP_LEFT), (0.4, SWEEP_RIGHT)] * repeats
            return [(0, LEANING), (0.25, SWEEP_RIGHT), *strokes, (0.25, LEANING)]
        case "wave":
            return [(0, READY), (0.4, WAVE_IN), *[(0.22, WAVE_OUT), (0.22, WAVE_IN)] * repeats, (0.4, READY)]
        case "jump":
            return [(0, READY), *[(0.26, CROUCHED), (0.18, AIRBORNE), (0.18, CROUCHED)] * repeats, (0.3, READY)]
        case "push":
            return [(0, READY), *[(0.34, PULLED), (0.26, PUSHED)] * repeats, (0.34, READY)]
    raise KeyError(f"no such primitive in forward time: {name}; there are {', '.join(PRIMITIVES)}")


@dataclass(frozen=True)
class Motion:
    """Poses (T, F), which frames belong to the primitive (T,), and the frame at which a ball is let go, if it is."""

    name: str
    poses: ndarray
    active: ndarray
    release: int | None


def play(name: str, rng: np.random.Generator) -> Motion:
    """One performance in forward time: idle, the primitive, idle; 42 to 56 frames.

    Raises KeyError for what is no primitive, and for those of `BACKWARDS`, which are played forwards and then reversed.
    """
    frames = int(rng.integers(42, 57))
    before, after = rng.integers(3, 9, 2)
    length = frames - before - after
    stations = _stations(name, repeats=int(rng.integers(2, 4)))
    waits = np.array([wait for wait, _ in stations]) * rng.uniform(0.8, 1.25, len(stations))
    times = before + length * np.cumsum(waits) / waits.sum()
    keys = vary(np.stack([key for _, key in stations]), rng)
    poses = PchipInterpolator(
        np.concatenate([[before - 9], times, [frames - after + 9]]), np.concatenate([keys[:1], keys, keys[-1:]])
    )
    time = np.arange(frames)
    return Motion(
        name=name,
        poses=poses(time) + sway(frames, rng),
        active=(time >= before) & (time < frames - after),
        release=round(times[RELEASES[name]]) if name in RELEASES else None,
    )


def vary(keys: ndarray, rng: np.random.Generator) -> ndarray:
    """Everyone moves differently: a habit that stays through the video and a slip of each key pose."""
    planted = np.array([name == "lift" or name.endswith(("up", "step")) for name in FIELDS])
    size = np.where(planted, 0.0, np.where(ANGLES, 1.0, 0.004))  # degrees, leg lengths
    habit = rng.normal(0, 4.0, keys.shape[1]) * size
    slips = rng.normal(0, 3.0, keys.shape) * size
    reach = rng.uniform(0.9, 1.08)
    return keys[:1] + reach * (keys - keys[:1]) + habit + slips


def sway(frames: int, rng: np.random.Generator) -> ndarray:
    """Nobody stands still: slow sines of a degree or two (T, F)."""
    time = np.arange(frames)[:, None] / 16.0
    rate, start = rng.uniform(0.3, 0.9, len(FIELDS)), rng.uniform(0, 2 * np.pi, len(FIELDS))
    return np.sin(2 * np.pi * rate * time + start) * np.where(ANGLES, 1.3, 0.0)
