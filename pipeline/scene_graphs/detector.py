"""Predicted scene graphs: an object detector in sampled frames, relations from the boxes alone.

Nothing is followed from frame to frame: of each class the surest thing of a frame is its node. That is the person's
identity too, where several people are in view.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import encoders
from pipeline.encoders.detector import Detections
from pipeline.errors import ChoreoError
from pipeline.manifest import Video
from pipeline.scene_graphs import PERSON, RawGraph, Thing, gather
from pipeline.scene_graphs.geometry import RELATIONS, relations


class Detected:
    """Scene graphs from a detector.

    Args:
        encoder: name of a detector, with its options.
        every: frames from one that is looked at to the next.
        score: things below this score are left out, beside what the detector leaves out itself.
        person: the detector's name for a person.
        leave_out: classes that are never nodes.
    """

    origin = "predicted"
    relation_names = RELATIONS

    def __init__(
        self,
        encoder: dict | str,
        every: int = 8,
        score: float = 0.25,
        person: str = "person",
        leave_out: Sequence[str] = (),
    ) -> None:
        self.detector = encoders.load("detector", encoder)
        classes = list(self.detector.classes)
        for name in (person, *leave_out):
            if name not in classes:
                raise ChoreoError(f"the detector {self.detector.identity} knows no '{name}'", mend=f"one of {classes}")
        if every < 1:
            raise ChoreoError(f"every: {every} frames", mend="1 looks at every frame, 8 at every eighth")
        self.class_names = [person, *(name for name in classes if name not in (person, *leave_out))]
        self._kinds = {i: self.class_names.index(name) for i, name in enumerate(classes) if name in self.class_names}
        self.every, self.score, self.identity = every, score, self.detector.identity

    def frames(self, video: Video) -> NDArray:
        """Every so-manieth frame (F,), the middles of equal parts."""
        return np.arange(min(self.every // 2, max(video.frames - 1, 0)), video.frames, self.every)

    def graph(self, video: Video, frames: NDArray, pixels: NDArray) -> RawGraph:
        """The graphs of frames (F,) as the detector sees their pixels (F,H,W,3)."""
        return gather([self._things(found) for found in self.detector.detect(pixels)], len(RELATIONS))

    @staticmethod
    def files(encoder: dict | str, **_: Any) -> list[Path]:
        """The detector's weights and other files, where they are files."""
        named = encoders.parse(encoder)[1].values()
        return [Path(value) for value in named if isinstance(value, str) and Path(value).is_file()]

    def _things(self, found: Detections) -> list[Thing]:
        """The surest thing of each class in a frame, with what the boxes say of the person and it."""
        box: dict[int, NDArray] = {}
        for i in np.argsort(-found.score, kind="stable"):
            if found.score[i] >= self.score and (kind := self._kinds.get(int(found.kind[i]))) is not None:
                box.setdefault(kind, found.box[i].astype(float))
        person = box.get(PERSON)
        alone = person is None
        return [Thing(k, b, () if alone or k == PERSON else relations(person, b)) for k, b in box.items()]
