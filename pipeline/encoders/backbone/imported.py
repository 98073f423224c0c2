"""Features that were made elsewhere: one .npy file a video."""

from pathlib import Path

import numpy as np

from pipeline.errors import ChoreoError, VideoError


class Imported:
    """Reads (D,) or (T,D) arrays: T rows of as many clips of the video, or one of the whole.

    Args:
        pattern: path of the files, with {video_id} where the id of the video stands.
        source: what made them, for the provenance ("InternVideo2-1B"); the pattern unless told.
        dim: D that every file must have; 0 takes that of the first one that is read.

    Raises:
        ChoreoError: the pattern has no {video_id}.
    """

    needs_frames = False
    frames = 0

    def __init__(self, pattern: str, source: str = "", dim: int = 0) -> None:
        if "{video_id}" not in pattern:
            raise ChoreoError(f"'{pattern}' names one file for all videos", "", "write {video_id} where the id stands")
        self.pattern, self.identity, self.dim = pattern, f"import:{source or pattern}", dim

    def encode(self, clips: list[str]) -> np.ndarray:
        """B ids of videos -> (B,D) float32, the means of their rows; raises as `rows` does."""
        return np.stack([self.rows(video_id).mean(0, dtype=np.float32) for video_id in clips])

    def rows(self, video_id: str) -> np.ndarray:
        """Id of a video -> (T,D) float32, a row a clip.

        Raises:
            VideoError: the file is missing, cannot be read, has another D, no row, or a value that is no number.
        """
        path = Path(self.pattern.replace("{video_id}", video_id))
        try:
            rows = np.atleast_2d(np.load(path, allow_pickle=False)).astype(np.float32)  # (T,D)
        except (OSError, ValueError, EOFError) as error:
            raise VideoError(
                f"the features of video '{video_id}' cannot be read from {path}: {error}",
                "they were never made, under another id, or the copy was cut",
                "make them, correct `pattern`, or take the video out of the manifest",
            ) from error
        if rows.ndim != 2 or not rows.size or not np.isfinite(rows).all() or self.dim not in (0, rows.shape[1]):
            expected = f"(T,{self.dim or 'D'}) of finite numbers"
            raise VideoError(
                f"the features of video '{video_id}' in {path}, of shape {rows.shape}, are not {expected}",
                "they come from another model, or a clip of no frames",
                "make them again",
            )
        self.dim = rows.shape[1]
        return rows
