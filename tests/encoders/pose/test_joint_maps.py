"""Joints of other skeletons in COCO-17: each at its place, and none where the skeleton has none."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from pipeline.encoders.pose import JOINTS, Clip
from pipeline.encoders.pose.imported import HIDDEN, Imported
from pipeline.encoders.pose.joints import SKELETONS, to_coco, told
from pipeline.errors import VideoError

# Numbers from each tool's or data set's own documentation, typed anew: COCO-17 in its order, None where it has none.
NONE = None
DOCUMENTED = {
    "coco17": [*range(17)],
    "openpose18": [0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10],
    "openpose25": [0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11],
    "blazepose33": [0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28],
    "penn13": [NONE] * 5 + [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
    "jhmdb15": [NONE] * 5 + [4, 3, 8, 7, 12, 11, 6, 5, 10, 9, 14, 13],
}
HEAD = slice(0, 5)  # nose, eyes and ears


def people(joints: int) -> np.ndarray:
    """(2,J,3): joint j of person p at (j, 100 p + j), confidence 0.5."""
    p, j = np.mgrid[:2, :joints].astype(float)
    return np.stack([j, 100 * p + j, np.full_like(j, 0.5)], axis=-1)


def clip(length: int = 4, start: int = 0) -> Clip:
    return Clip("a", Path("a.mp4"), start, length=length)


def test_every_known_skeleton_is_documented_here_and_told_by_its_number_of_joints() -> None:
    assert set(DOCUMENTED) == set(SKELETONS)
    for name, joints in SKELETONS.items():
        assert len(joints) == len(set(joints)) == int(name[-2:]) and told(len(joints)) == name
    assert told(21) is None


@pytest.mark.parametrize("skeleton", DOCUMENTED)
def test_each_joint_goes_to_its_place_and_no_other_stands_in_for_an_absent_one(skeleton: str) -> None:
    coco = to_coco(people(int(skeleton[-2:])), skeleton)
    assert coco.shape == (2, 17, 3)
    for joint, number in enumerate(DOCUMENTED[skeleton]):
        if number is None:
            assert np.isnan(coco[:, joint, :2]).all() and (coco[:, joint, 2] == 0).all(), JOINTS[joint]
        else:
            np.testing.assert_array_equal(coco[:, joint], [[number, number, 0.5], [number, 100 + number, 0.5]])


@pytest.mark.parametrize("skeleton", ["penn13", "jhmdb15"])
def test_an_imported_person_without_a_nose_is_somebody_still(skeleton: str, tmp_path: Path) -> None:
    count = int(skeleton[-2:])
    np.save(tmp_path / "a.npy", 10 + np.tile(people(count)[:1], (6, 1, 1))[..., :2])
    poses = Imported(f"{tmp_path}/{{video_id}}.npy").encode(clip())
    assert np.isnan(poses.joints[:, HEAD]).all() and (poses.confidence[:, HEAD] == 0).all()
    assert np.isfinite(poses.joints[:, 5:]).all() and (poses.confidence[:, 5:] == 1).all()
    numbers = DOCUMENTED[skeleton][5:]
    np.testing.assert_allclose(poses.box, np.tile([10 + min(numbers)] * 2 + [10 + max(numbers)] * 2, (4, 1)))


def test_a_file_with_fewer_joints_than_the_skeleton_it_is_said_to_have_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((6, 13, 3)))
    with pytest.raises(VideoError, match=r"13 joints(.|\n)*they are no openpose18"):
        Imported(f"{tmp_path}/{{video_id}}.npy", skeleton="openpose18").encode(clip())


# Labels of Penn Action


def penn(path: Path, **others: object) -> Path:
    """Six frames with the variables of a label; joint j at (20 + j, 40 + j), as MATLAB counts pixels, all visible."""
    values = {"x": np.tile(20.0 + np.arange(13), (6, 1)), "y": np.tile(40.0 + np.arange(13), (6, 1))}
    savemat(path, values | {"visibility": np.ones((6, 13), np.uint8)} | others)
    return path


def test_joints_that_people_marked_for_penn_action_are_poses(tmp_path: Path) -> None:
    penn(tmp_path / "a.mat")
    poses = Imported(f"{tmp_path}/{{video_id}}.mat").encode(clip(start=2))
    np.testing.assert_allclose(poses.joints[0, JOINTS.index("right_wrist")], [25, 45])  # the sixth, from 0
    np.testing.assert_allclose(poses.joints[0, JOINTS.index("left_ankle")], [30, 50])
    assert np.isnan(poses.joints[:, HEAD]).all() and (poses.confidence[:, 5:] == 1).all()


def test_a_hidden_joint_is_where_it_was_marked_and_one_that_was_not_marked_is_nowhere(tmp_path: Path) -> None:
    """Marks at (1, 1) stand for none; the publisher scaled some videos, where they are at (0.75, 0.75)."""
    x, y, visible = 20.0 + np.arange(13) + np.zeros((6, 1)), 40.0 + np.zeros((6, 13)), np.ones((6, 13), np.uint8)
    visible[1, 1:4] = 0
    x[1, 2:4], y[1, 2:4] = (1, 0.75), (1, 0.75)
    x[2, 1], y[2, 1] = 1, 1  # in the corner, and to be seen
    x[3], y[3], visible[3] = 0, 0, 0  # nobody, as in two labels
    penn(tmp_path / "a.mat", x=x, y=y, visibility=visible)
    poses = Imported(f"{tmp_path}/{{video_id}}.mat").encode(clip(6))
    left, right, elbow = (JOINTS.index(j) for j in ("left_shoulder", "right_shoulder", "left_elbow"))
    assert poses.confidence[1, left] == HIDDEN and poses.joints[1, left].tolist() == [20, 39]
    assert np.isnan(poses.joints[1, [right, elbow]]).all() and (poses.confidence[1, [right, elbow]] == 0).all()
    assert poses.joints[2, left].tolist() == [0, 0] and poses.confidence[2, left] == 1
    assert np.isnan(poses.joints[3]).all() and np.isnan(poses.box[3]).all()


def test_a_label_without_joints_is_an_error_of_the_video(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"x": np.ones((6, 13)), "y": np.ones((6, 13))})
    encoder = Imported(f"{tmp_path}/{{video_id}}.mat")
    with pytest.raises(VideoError, match=r"video 'a': .*a\.mat lacks the variable 'visibility'"):
        encoder.encode(clip())
    penn(tmp_path / "b.mat", visibility=np.ones((5, 13), np.uint8))
    with pytest.raises(VideoError, match=r"b\.mat holds no poses"):
        encoder.encode(Clip("b", Path("b.mp4"), 0, length=4))
