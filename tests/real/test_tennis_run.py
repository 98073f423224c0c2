"""What must hold of the run on real tennis clips; `make real` makes it."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.artifacts import Artifact
from pipeline.encoders.pose import Clip
from pipeline.encoders.pose.imported import Imported

RUN = Path(__file__).parents[2] / "results" / "tennis"


@pytest.fixture(scope="module")
def run() -> Path:
    if not (RUN / "dance/report.html").is_file():
        pytest.skip("there is no run on the tennis clips: `make real` makes it (about 15 minutes)")
    return RUN


@pytest.fixture(scope="module")
def figures(run) -> dict[str, float]:
    return {name: f["mean"] for name, f in json.loads((run / "dance/metrics.json").read_text())["figures"].items()}


def test_the_pose_stage_finds_the_player(run, shared_data):
    """Median over clips of the mean joint distance to another model's poses, in torso lengths of the reference."""
    reference = Imported(str(shared_data / "tennis_strokes/ref_blazepose_lite_keypoints.npz"), normalised=True)
    distances = []
    with Artifact(sorted((run / "features/pose").glob("*.h5")), "pose") as poses:
        root = shared_data / "tennis_strokes"
        for video_id in poses.ids:
            found = poses.video(video_id)
            clips = found["joints"].shape[1]
            theirs = [
                reference.encode(Clip(video_id, root / f"{video_id}.mp4", int(s), length=clips)) for s in found["start"]
            ]
            theirs = np.stack([p.joints for p in theirs])
            shoulders, hips = theirs[:, :, [5, 6]].mean(axis=2), theirs[:, :, [11, 12]].mean(axis=2)
            torso = np.nanmedian(np.linalg.norm(shoulders - hips, axis=-1))
            distances.append(np.nanmean(np.linalg.norm(found["joints"] - theirs, axis=-1)) / torso)
    assert len(distances) == 371
    print(f"median {np.nanmedian(distances):.3f}, above 0.8: {np.mean(np.array(distances) > 0.8):.3f}")
    assert np.nanmedian(distances) <= 0.15


def test_poses_alone_tell_the_strokes_apart(figures):
    assert figures["accuracy/pose_only"] >= 0.60


def test_the_figures_of_the_run_are_complete(figures):
    names = {"accuracy", "accuracy/probe", "accuracy/without_motion", "accuracy/without_context", "accuracy/pose_only"}
    assert names | {"sparsity"} <= set(figures)
