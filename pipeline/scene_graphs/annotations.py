"""Scene graphs in an artifact of kind `graph_annotations`: what people annotated, or a renderer knows."""

from __future__ import annotations

from pathlib import Path

from numpy.typing import NDArray

from pipeline.artifacts import Artifact
from pipeline.errors import VideoError
from pipeline.manifest import Video
from pipeline.scene_graphs import RawGraph


class Annotations:
    """Annotated scene graphs.

    Args:
        file: the artifact.
    """

    origin = "annotated"
    identity = "annotations"

    def __init__(self, file: Path) -> None:
        self.file = Path(file)
        self.known = Artifact(self.file, "graph_annotations")
        self.class_names = self.known["class_name"].tolist()
        self.relation_names = self.known["relation_name"].tolist()

    def frames(self, video: Video) -> NDArray:
        """The annotated frames (F,) of a video."""
        if video.id not in self.known:
            raise VideoError(
                f"video '{video.id}' has no scene graphs in {self.file}",
                "it was not annotated, or goes by another id there",
                "take it out of the data set, or annotate it",
            )
        return self.known.video(video.id)["frame"]

    def graph(self, video: Video, frames: NDArray, pixels: NDArray) -> RawGraph:
        """The graphs of annotated frames (F,); the pixels are not looked at."""
        arrays = self.known.video(video.id)
        rows = arrays["frame"].searchsorted(frames)
        return RawGraph(arrays["box"][rows], arrays["node_class"], arrays["relation"][rows].astype(bool))

    @staticmethod
    def files(file: Path) -> list[Path]:
        """The artifact."""
        return [Path(file)]
