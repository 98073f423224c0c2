"""The paper that scenes are painted on: larger than the picture, so that a camera can move over it.

Coordinates are fractions of the canvas (x right, y down), colours are RGB. All that is random comes from the paper's
own generator.
"""

import cv2
import numpy as np
from numpy import ndarray

from pipeline.theatre.shapes import FIXED, SHIFT, Colour

SIZE = 128  # px of the picture
CANVAS = 160  # px of the painted scene around it
MARGIN = (CANVAS - SIZE) / 2
FINE = 2  # painted finer, then averaged


class Paper:
    """A canvas and a generator. `floor` is where wall or sky meets the ground, as a fraction of the height."""

    def __init__(self, rng: np.random.Generator, floor: float):
        self.rng, self.floor = rng, floor
        self.pixels = np.zeros((CANVAS * FINE, CANVAS * FINE, 3), np.uint8)

    def _fixed(self, points: list | ndarray) -> ndarray:
        return np.rint(np.asarray(points, float) * CANVAS * FINE * FIXED).astype(np.int32)

    def near(self, colour: Colour, spread: float = 18) -> Colour:
        """A colour a little off, differently in every video."""
        return tuple(int(value) for value in np.clip(np.array(colour) + self.rng.normal(0, spread, 3), 0, 255))

    def one_of(self, *colours: Colour, spread: float = 12) -> Colour:
        return self.near(colours[self.rng.integers(len(colours))], spread)

    def rect(self, x0: float, y0: float, x1: float, y1: float, colour: Colour, edge: bool = False) -> None:
        self.poly([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour, edge)

    def poly(self, points: list, colour: Colour, edge: bool = False) -> None:
        cv2.fillPoly(self.pixels, [self._fixed(points)], colour, cv2.LINE_AA, SHIFT)
        if edge:
            cv2.polylines(
                self.pixels, [self._fixed(points)], True, tuple(int(0.6 * c) for c in colour), 2, cv2.LINE_AA, SHIFT
            )

    def line(self, points: list, colour: Colour, width: float = 0.006) -> None:
        cv2.polylines(
            self.pixels, [self._fixed(points)], False, colour, max(1, round(width * CANVAS * FINE)), cv2.LINE_AA, SHIFT
        )

    def oval(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        centre, axes = self._fixed((x, y)).tolist(), self._fixed((rx, ry)).tolist()
        cv2.ellipse(self.pixels, centre, axes, 0, 0, 360, colour, -1, cv2.LINE_AA, SHIFT)

    def fade(self, y0: float, y1: float, top: Colour, bottom: Colour) -> None:
        """A vertical gradient over the whole width."""
        first, last = round(y0 * CANVAS * FINE), round(y1 * CANVAS * FINE)
        share = np.linspace(0, 1, max(last - first, 1))[:, None, None]
        self.pixels[first:last] = (1 - share) * np.array(top) + share * np.array(bottom)

    def grain(self, y0: float, y1: float, strength: float, cells: tuple[int, int] = (24, 24)) -> None:
        """Texture: smooth random light and shade, `cells` patches high and wide."""
        first, last = round(y0 * CANVAS * FINE), round(y1 * CANVAS * FINE)
        coarse = self.rng.normal(0, strength, cells).astype(np.float32)
        shade = cv2.resize(coarse, (CANVAS * FINE, last - first), interpolation=cv2.INTER_CUBIC)
        self.pixels[first:last] = np.clip(self.pixels[first:last] + shade[..., None], 0, 255)

    def finished(self) -> ndarray:
        return cv2.resize(self.pixels, (CANVAS, CANVAS), interpolation=cv2.INTER_AREA)
