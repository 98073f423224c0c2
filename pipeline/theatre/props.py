"""The props: things held, kicked or lying about, as shapes in space.

A prop is drawn in a frame of its own: `origin` where it is held and three unit axes, the first along the thing.
Lengths are body heights. Axes: T frame, K point.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy import ndarray

from pipeline.theatre.shapes import Colour, Shape

OBJECTS = ("barbell", "kettlebell", "box", "ball", "racket", "axe", "broom", "umbrella", "bucket", "jump rope")

STEEL, WOOD, STRAW, DARK = (150, 155, 160), (170, 120, 70), (225, 190, 90), (45, 45, 50)


@dataclass(frozen=True)
class Frames:
    """Where a prop is: origin (T, 3) and axes (T, 3, 3), axis i in row i."""

    origin: ndarray
    axes: ndarray

    def place(self, *local: tuple[float, float, float]) -> ndarray:
        """Local points (K, 3) in space: (T, K, 3)."""
        return self.origin[:, None] + np.array(local, float) @ self.axes


@dataclass(frozen=True)
class Prop:
    """How a thing is made and held.

    `axis` says what its first axis follows: a "stick" the hand, a "bar" the line across the body, a "plumb" gravity.
    `flat` things show their broad side to the viewer. `grip` is half the distance of the hands that hold it together,
    `rest` the height of its origin when it lies on the ground.
    """

    draw: Callable[[Frames, Colour], list[Shape]]
    axis: str
    flat: bool
    grip: float
    rest: float
    colours: tuple[Colour, ...]


def frames(origin: ndarray, along: ndarray, towards: ndarray, flat: bool) -> Frames:
    """A prop whose first axis is `along` (T, 3); a flat one's third axis turns to the viewer (3,), another's second up.

    The small offsets keep the axes defined where `along` points to the viewer, or up.
    """
    first = along / np.maximum(np.linalg.norm(along, axis=-1, keepdims=True), 1e-9)
    up = np.array([0.0, 1.0, 0.0])
    second = np.cross(towards + 1e-3, first) if flat else up - first[:, 1:2] * first + 1e-3
    second = second / np.maximum(np.linalg.norm(second, axis=-1, keepdims=True), 1e-9)
    return Frames(origin, np.stack([first, second, np.cross(first, second)], 1))


def _ring(
    along: float, across: float, centre: float, count: int = 14, start: float = 0, stop: float = 2 * np.pi
) -> list:
    angles = np.linspace(start, stop, count, endpoint=stop - start < 6)
    return [(centre + along * np.cos(angle), across * np.sin(angle), 0.0) for angle in angles]


def _barbell(at: Frames, colour: Colour) -> list[Shape]:
    def plate(along: float, radius: float) -> ndarray:
        return at.place(*[(along, y, z) for _, y, z in [(0, *point[:2]) for point in _ring(radius, radius, 0)]])

    shapes = [Shape("line", at.place((-0.62, 0, 0), (0.62, 0, 0)), STEEL, 0.024, edge=False)]
    for side in (-1, 1):
        for along, radius, paint in ((0.44, 0.15, DARK), (0.48, 0.15, colour), (0.52, 0.11, DARK)):
            shapes.append(Shape("polygon", plate(side * along, radius), paint))
        shapes.append(Shape("polygon", plate(side * 0.53, 0.035), STEEL, edge=False))
    return shapes


def _kettlebell(at: Frames, colour: Colour) -> list[Shape]:
    handle = at.place(
        (0.10, -0.05, 0), (0.03, -0.062, 0), (-0.01, -0.035, 0), (-0.01, 0.035, 0), (0.03, 0.062, 0), (0.10, 0.05, 0)
    )
    return [
        Shape("line", handle, DARK, 0.032, edge=False),
        Shape("disc", at.place((0.145, 0, 0)), colour, 0.088),
        Shape("disc", at.place((0.145, 0, 0.05)), (230, 230, 230), 0.032, edge=False),
    ]


def _box(at: Frames, colour: Colour) -> list[Shape]:
    a, b, c = 0.145, 0.115, 0.125
    shapes = []
    for axis, light in ((0, 0.80), (1, 1.15), (2, 0.95)):
        for sign in (-1, 1):
            corners = []
            for u, v in ((-1, -1), (-1, 1), (1, 1), (1, -1)):
                corner = [u, v]
                corner.insert(axis, sign)
                corners.append((a * corner[0], b * corner[1], c * corner[2]))
            paint = tuple(int(min(255, light * channel)) for channel in colour)
            shapes.append(Shape("polygon", at.place(*corners), paint))
            if axis != 1:  # the tape
                ends = (
                    [(a * sign, b, 0), (a * sign, 0.3 * b, 0)]
                    if axis == 0
                    else [(0, b, c * sign), (0, 0.3 * b, c * sign)]
                )
                shapes.append(Shape("line", at.place(*ends), (225, 205, 165), 0.035, edge=False, bias=0.001))
    return shapes


def _ball(at: Frames, colour: Colour) -> list[Shape]:
    patches = [(0.045 * np.cos(angle), 0.045 * np.sin(angle), 0.01) for angle in np.deg2rad([20, 140, 260])]
    shapes = [Shape("disc", at.place((0, 0, 0)), colour, 0.082)]
    return shapes + [Shape("disc", at.place(patch), DARK, 0.021, edge=False, bias=0.001) for patch in patches]


def _racket(at: Frames, colour: Colour) -> list[Shape]:
    head = _ring(0.135, 0.105, 0.36, 16)
    strings = [Shape("line", at.place((0.36 + x, -y, 0), (0.36 + x, y, 0)), (235, 235, 225), 0.006, edge=False)
               for x, y in ((-0.07, 0.09), (0, 0.1), (0.07, 0.09))]  # fmt: skip
    strings += [Shape("line", at.place((0.36 - x, y, 0), (0.36 + x, y, 0)), (235, 235, 225), 0.006, edge=False)
                for x, y in ((0.11, -0.05), (0.13, 0), (0.11, 0.05))]  # fmt: skip
    return [
        *strings,
        Shape("line", at.place(*head, head[0]), colour, 0.028, edge=False, bias=0.001),
        Shape("line", at.place((-0.05, 0, 0), (0.12, 0, 0)), DARK, 0.034),
        Shape("line", at.place((0.12, 0, 0), (0.23, 0, 0)), colour, 0.026, edge=False),
    ]


def _axe(at: Frames, colour: Colour) -> list[Shape]:
    blade = at.place(
        (0.31, 0.035, 0), (0.42, 0.035, 0), (0.43, -0.05, 0), (0.49, -0.15, 0), (0.24, -0.15, 0), (0.30, -0.05, 0)
    )
    edge = at.place((0.49, -0.15, 0), (0.24, -0.15, 0))
    return [
        Shape("line", at.place((-0.12, 0, 0), (0.44, 0, 0)), WOOD, 0.034),
        Shape("polygon", blade, colour, bias=0.001),
        Shape("line", edge, (235, 238, 240), 0.022, edge=False, bias=0.002),
    ]


def _broom(at: Frames, colour: Colour) -> list[Shape]:
    return [
        Shape("line", at.place((-0.42, 0, 0), (0.34, 0, 0)), colour, 0.028),
        Shape("polygon", at.place((0.34, -0.05, 0), (0.34, 0.05, 0), (0.52, 0.12, 0), (0.52, -0.12, 0)), STRAW),
        Shape("line", at.place((0.345, -0.05, 0), (0.345, 0.05, 0)), (150, 40, 40), 0.03, edge=False, bias=0.001),
        Shape("line", at.place((0.40, -0.025, 0), (0.51, -0.045, 0)), WOOD, 0.008, edge=False, bias=0.001),
        Shape("line", at.place((0.40, 0.025, 0), (0.51, 0.045, 0)), WOOD, 0.008, edge=False, bias=0.001),
    ]


def _umbrella(at: Frames, colour: Colour) -> list[Shape]:
    shapes = [Shape("line", at.place((-0.10, 0, 0), (0.56, 0, 0)), DARK, 0.018, edge=False)]
    pale = tuple(int(0.35 * channel + 0.65 * 245) for channel in colour)
    top, base = 0.25, 0.33  # height and half width of the canopy
    for index in range(4):
        start = np.pi / 2 - index * np.pi / 4
        arc = [
            (0.31 + top * np.cos(angle), base * np.sin(angle), 0.0)
            for angle in np.linspace(start, start - np.pi / 4, 5)
        ]
        shapes.append(
            Shape(
                "polygon", at.place(*arc, (0.35, base * np.sin(start - np.pi / 8), 0.0)), colour if index % 2 else pale
            )
        )
        shapes.append(
            Shape("polygon", at.place(arc[0], arc[-1], (0.52, 0, 0)), colour if index % 2 else pale, edge=False)
        )
    return shapes


def _bucket(at: Frames, colour: Colour) -> list[Shape]:
    rim = [
        (0.13 + 0.028 * np.cos(angle), 0.105 * np.sin(angle), 0.0)
        for angle in np.linspace(0, 2 * np.pi, 12, endpoint=False)
    ]
    arc = [(0.13 - 0.13 * np.sin(angle), -0.10 * np.cos(angle), 0.0) for angle in np.linspace(0, np.pi, 8)]
    return [
        Shape("line", at.place(*arc), STEEL, 0.012, edge=False),
        Shape("polygon", at.place((0.13, -0.105, 0), (0.13, 0.105, 0), (0.33, 0.075, 0), (0.33, -0.075, 0)), colour),
        Shape("polygon", at.place(*rim), tuple(int(0.5 * channel) for channel in colour), bias=0.001),
    ]


def _coil(at: Frames, colour: Colour) -> list[Shape]:
    loops = [
        (0.13 * np.cos(angle) + 0.02 * np.cos(3 * angle), 0, 0.13 * np.sin(angle))
        for angle in np.linspace(0, 4 * np.pi, 24)
    ]
    return [
        Shape("line", at.place(*loops), colour, 0.02, edge=False),
        Shape("line", at.place((0.13, 0, 0), (0.22, 0, 0.05)), DARK, 0.035, edge=False),
        Shape("line", at.place((-0.13, 0, 0), (-0.20, 0, 0.09)), DARK, 0.035, edge=False),
    ]


def rope(hands: ndarray, turn: ndarray, slack: ndarray, colour: Colour) -> list[Shape]:
    """A jump rope between two hands (T, 2, 3), turned `turn` (T,) radians out of the plumb, `slack` (T,) deep."""
    along = np.linspace(0, 1, 16)
    sag = np.sin(np.pi * along) ** 0.8
    down = np.stack([np.sin(turn), -np.cos(turn), 0 * turn], -1) * slack[:, None]
    apart = (along - 0.5)[:, None] * (hands[:, 1] - hands[:, 0])[:, None] * (1 + 0.5 * sag[:, None])
    skew = np.sin(2 * np.pi * along)[:, None] * [-0.12, 0, 0]  # no rope hangs in a plane: a loop from every side
    curve = hands.mean(1)[:, None] + apart + skew + sag[:, None] * down[:, None]
    handles = np.stack([hands, hands + np.array([0.05, 0.0, 0.0])], 2)
    return [
        Shape("line", curve, colour, 0.018, edge=False),
        *[Shape("line", handles[:, side], DARK, 0.035, edge=False, bias=0.01) for side in (0, 1)],
    ]


def _cup(at: Frames, colour: Colour) -> list[Shape]:
    handle = [(0.06 * np.cos(angle), 0.055 + 0.075 * np.sin(angle), 0.0) for angle in np.linspace(0, np.pi, 7)]
    rim = [(-0.08 + 0.018 * np.cos(angle), 0.066 * np.sin(angle), 0.0) for angle in np.linspace(0, 2 * np.pi, 11)[:-1]]
    return [
        Shape("line", at.place(*handle), colour, 0.02, edge=False, bias=-0.001),
        Shape("polygon", at.place((-0.08, -0.07, 0), (-0.08, 0.07, 0), (0.085, 0.052, 0), (0.085, -0.052, 0)), colour),
        Shape("polygon", at.place(*rim), (90, 55, 35), edge=False, bias=0.001),
    ]


def _book(at: Frames, colour: Colour) -> list[Shape]:
    def sheet(left: float, right: float, low: float = 0.135, high: float = -0.115) -> ndarray:
        return at.place((high, left, 0), (high, right, 0), (low, right, 0), (low, left, 0))

    return [
        Shape("polygon", sheet(-0.105, 0.105), colour),
        Shape("polygon", sheet(0.075, 0.105, 0.125, -0.105), (245, 242, 230), edge=False, bias=0.001),  # the pages
        Shape("line", at.place((-0.115, -0.09, 0), (0.135, -0.09, 0)), (40, 35, 35), 0.022, edge=False, bias=0.001),
        Shape("line", at.place((-0.05, -0.05, 0), (-0.05, 0.05, 0)), (250, 235, 190), 0.03, edge=False, bias=0.002),
        Shape("line", at.place((0.02, -0.03, 0), (0.02, 0.03, 0)), (250, 235, 190), 0.014, edge=False, bias=0.002),
    ]


def _pillow(at: Frames, colour: Colour) -> list[Shape]:
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    round_ = [  # between an ellipse and its box, with drawn-out corners
        (
            0.09 + 0.115 * np.sign(np.cos(a)) * abs(np.cos(a)) ** 0.45,
            0.18 * np.sign(np.sin(a)) * abs(np.sin(a)) ** 0.45,
            0,
        )
        for a in angles
    ]
    dark = tuple(int(0.75 * channel) for channel in colour)
    stripes = [at.place((0.0, side, 0), (0.185, side, 0)) for side in (-0.085, 0.0, 0.085)]
    return [
        Shape("polygon", at.place(*round_), colour),
        *[Shape("line", stripe, dark, 0.022, edge=False, bias=0.001) for stripe in stripes],
    ]


def _smaller(draw: Callable[[Frames, Colour], list[Shape]], factor: float) -> Callable[[Frames, Colour], list[Shape]]:
    """The same thing, `factor` as large."""

    def drawn(at: Frames, colour: Colour) -> list[Shape]:
        shapes = draw(Frames(at.origin, factor * at.axes), colour)
        return [replace(shape, width=factor * shape.width) for shape in shapes]

    return drawn


REDS = ((205, 45, 45), (40, 90, 190), (40, 150, 80), (230, 170, 40), (130, 60, 150))
PROPS = {
    "barbell": Prop(_barbell, "bar", False, 0.15, 0.15, ((190, 40, 40), (40, 80, 170), (60, 60, 65), (220, 180, 40))),
    "kettlebell": Prop(
        _kettlebell, "plumb", True, 0.045, 0.235, ((60, 60, 70), (170, 45, 45), (45, 80, 150), (90, 60, 120))
    ),
    "box": Prop(_box, "bar", False, 0.145, 0.115, ((190, 145, 95), (205, 165, 115), (165, 125, 85))),
    "ball": Prop(_ball, "plumb", True, 0.06, 0.082, ((245, 245, 245), (240, 150, 60), (245, 225, 90), (235, 200, 210))),
    "racket": Prop(_racket, "stick", True, 0.08, 0.11, REDS),
    "axe": Prop(_axe, "stick", True, 0.08, 0.12, ((140, 145, 150), (165, 60, 55), (95, 100, 110))),
    "broom": Prop(_broom, "stick", True, 0.14, 0.10, (WOOD, (190, 60, 60), (70, 110, 170), (210, 190, 150))),
    "umbrella": Prop(_umbrella, "stick", True, 0.05, 0.20, REDS),
    "bucket": Prop(
        _bucket, "plumb", True, 0.05, 0.33, ((60, 110, 180), (190, 60, 60), (165, 170, 175), (235, 195, 70))
    ),
    "jump rope": Prop(_coil, "bar", False, 0.2, 0.02, ((235, 80, 80), (80, 160, 220), (240, 210, 80), (245, 245, 245))),
}
assert tuple(PROPS) == OBJECTS

# What a home has, held in one hand and always upright: a table of its own, so that act one's draws stay as they were.
HOUSEHOLD = {
    "cup": Prop(_cup, "plumb", True, 0.05, 0.085, ((245, 245, 240), (215, 65, 55), (70, 120, 190), (240, 190, 60))),
    "book": Prop(_book, "plumb", True, 0.05, 0.135, ((170, 45, 45), (40, 80, 150), (50, 115, 70), (110, 60, 120))),
    "pillow": Prop(
        _pillow, "plumb", True, 0.05, 0.205, ((235, 225, 235), (190, 215, 235), (240, 205, 175), (205, 230, 195))
    ),
    "ball": PROPS["ball"],
    "bucket": Prop(_smaller(_bucket, 0.75), "plumb", True, 0.05, 0.25, PROPS["bucket"].colours),
    "broom": Prop(_smaller(_broom, 0.8), "plumb", True, 0.14, 0.416, PROPS["broom"].colours),
}
