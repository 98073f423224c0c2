"""Shapes in space, the camera that projects them, and their drawing.

Everything that moves (limbs, things in hand) is a list of `Shape`: points (T, K, 3), a colour and a width, in body
heights.
Axes: T frame, K point of a shape. Pictures are RGB uint8.
"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy import ndarray

Colour = tuple[int, int, int]
SHIFT = 3  # OpenCV's fixed point: coordinates in eighths of a pixel
FIXED = 1 << SHIFT


@dataclass(frozen=True)
class Shape:
    """A poly-line (`width` its thickness), a disc (`width` its radius) or a filled polygon (its edge gets `width`)."""

    kind: Literal["line", "disc", "polygon"]
    points: ndarray  # (T, K, 3)
    colour: Colour
    width: float = 0.0
    edge: bool = True  # a darker rim, which sets a limb off against the trunk
    bias: float = 0.0  # added to the depth, towards the viewer


@dataclass(frozen=True)
class View:
    """Weak perspective: how the body frame lies in the picture."""

    place: tuple[float, float]  # px of its origin, on the ground
    height: float  # px of a body
    yaw: float  # degrees about the vertical; 0 is the profile
    pitch: float  # degrees from which the camera looks down
    mirrored: bool

    def project(self, points: ndarray) -> tuple[ndarray, ndarray]:
        """(..., 3) -> pixels (..., 2) and depth (...), larger is nearer."""
        yaw, pitch = np.deg2rad(self.yaw), np.deg2rad(self.pitch)
        x, y, z = np.moveaxis(points, -1, 0)
        across = x * np.cos(yaw) + z * np.sin(yaw)
        near = z * np.cos(yaw) - x * np.sin(yaw)
        high = y * np.cos(pitch) - near * np.sin(pitch)
        across = -across if self.mirrored else across
        pixels = np.stack([self.place[0] + self.height * across, self.place[1] - self.height * high], -1)
        return pixels, near * np.cos(pitch) + y * np.sin(pitch)

    @property
    def towards(self) -> ndarray:
        """The direction to the viewer, in the body frame (3,)."""
        yaw, pitch = np.deg2rad(self.yaw), np.deg2rad(self.pitch)
        return np.array([-np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])


def transform(pixels: ndarray, camera: ndarray) -> ndarray:
    """Move pixels (T, ..., 2) by the affine maps of a moving camera (T, 2, 3)."""
    return np.einsum("tij,t...j->t...i", camera[:, :, :2], pixels) + camera[:, :, 2].reshape(
        len(camera), *[1] * (pixels.ndim - 2), 2
    )


class Cast:
    """Shapes made ready: projected once for all frames, then drawn frame by frame, the far ones first."""

    def __init__(self, shapes: list[Shape], view: View, camera: ndarray):
        self.shapes = shapes
        if not shapes:
            return
        pixels, depth = view.project(np.concatenate([shape.points for shape in shapes], 1))
        ends = np.cumsum([shape.points.shape[1] for shape in shapes])
        fixed = np.rint(transform(pixels, camera) * FIXED).astype(np.int32)
        self.pixels = np.split(fixed, ends[:-1], axis=1)  # each (T, K, 2)
        starts = np.concatenate([[0], ends[:-1]])
        means = np.add.reduceat(depth, starts, axis=1) / np.diff(np.concatenate([starts, ends[-1:]]))
        self.order = np.argsort(
            means + np.array([shape.bias for shape in shapes]), axis=1, kind="stable"
        )  # (T, shapes)
        self.scale = view.height * np.sqrt(np.abs(np.linalg.det(camera[:, :, :2])))  # (T,) px of a body height

    def draw(self, picture: ndarray, frame: int, tint: ndarray) -> None:
        """Draw one frame's shapes into `picture` (H, W, 3), in place; `tint` (3,) is the light."""
        if not self.shapes:
            return
        for index in self.order[frame]:
            paint(picture, self.shapes[index], self.pixels[index][frame], self.scale[frame], tint)


def paint(picture: ndarray, shape: Shape, pixels: ndarray, scale: float, tint: ndarray | float = 1.0) -> None:
    """Draw one shape from its fixed-point pixels (K, 2)."""
    colour = np.minimum(np.multiply(shape.colour, tint), 255).tolist()
    rim = [0.55 * channel for channel in colour]
    if shape.kind == "line":
        thickness = max(1, round(shape.width * scale))
        if shape.edge and thickness > 2:
            cv2.polylines(picture, [pixels], False, rim, thickness, cv2.LINE_AA, SHIFT)
            thickness -= 2
        cv2.polylines(picture, [pixels], False, colour, thickness, cv2.LINE_AA, SHIFT)
    elif shape.kind == "disc":
        radius = round(shape.width * scale * FIXED)
        centre = pixels[0].tolist()
        if shape.edge:
            cv2.circle(picture, centre, radius, rim, -1, cv2.LINE_AA, SHIFT)
            radius = max(radius - FIXED, FIXED // 2)
        cv2.circle(picture, centre, radius, colour, -1, cv2.LINE_AA, SHIFT)
    else:
        cv2.fillPoly(picture, [pixels], colour, cv2.LINE_AA, SHIFT)
        if shape.edge:
            cv2.polylines(picture, [pixels], True, rim, 1, cv2.LINE_AA, SHIFT)
