"""Poses of other tools, read from their files."""

import json
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.encoders.pose import Clip
from pipeline.encoders.pose.imported import SKELETONS, Imported
from pipeline.errors import ChoreoError, VideoError

# Where the parts are in each tool's own numbering, from its documentation.
DOCUMENTED = {
    "blazepose33": {"right_ear": 8, "left_shoulder": 11, "right_wrist": 16, "left_hip": 23, "right_ankle": 28},
    "openpose25": {"right_ear": 17, "left_shoulder": 5, "right_wrist": 4, "left_hip": 12, "right_ankle": 11},
    "openpose18": {"right_ear": 16, "left_shoulder": 5, "right_wrist": 4, "left_hip": 11, "right_ankle": 10},
}
COCO = {"right_ear": 4, "left_shoulder": 5, "right_wrist": 10, "left_hip": 11, "right_ankle": 16}


def person(frames: int = 6, joints: int = 17, at: float = 10.0) -> np.ndarray:
    """(T,J,3): joint j of frame t at (at + j, at + j + 10 t), confidence 0.9."""
    t, j = np.mgrid[:frames, :joints].astype(float)
    return np.stack([at + j, at + j + 10 * t, np.full_like(t, 0.9)], axis=-1)


def clip(start: int = 0, length: int = 4, video: str = "a", path: Path = Path("a.mp4")) -> Clip:
    return Clip(video, path, start, length=length)


def test_a_clip_reads_its_own_frames(tmp_path):
    np.save(tmp_path / "a.npy", person())
    poses = Imported(f"{tmp_path}/{{video_id}}.npy").encode(clip(start=2))
    np.testing.assert_allclose(poses.joints, person()[2:6, :, :2])
    np.testing.assert_allclose(poses.confidence, 0.9)
    np.testing.assert_allclose(poses.box[0], [10, 30, 26, 46])


@pytest.mark.parametrize("skeleton", DOCUMENTED)
def test_joints_of_other_skeletons_go_to_their_place_in_coco(tmp_path, skeleton):
    np.save(tmp_path / "a.npy", person(joints=int(skeleton[-2:])))
    poses = Imported(f"{tmp_path}/{{video_id}}.npy").encode(clip())
    for part, number in DOCUMENTED[skeleton].items():
        assert poses.joints[0, COCO[part], 0] == 10 + number, part
    assert sorted(set(SKELETONS[skeleton])) == sorted(SKELETONS[skeleton])


def test_one_archive_may_hold_every_video(tmp_path):
    np.savez(tmp_path / "poses.npz", **{"x/a": person(at=10), "x/b": person(at=50)})
    poses = Imported(str(tmp_path / "poses.npz")).encode(clip(video="x/b"))
    assert poses.joints[0, 0].tolist() == [50, 50]
    with pytest.raises(VideoError, match="'x/c'"):
        Imported(str(tmp_path / "poses.npz")).encode(clip(video="x/c"))


def test_depth_is_skipped_and_confidence_is_found(tmp_path):
    values = np.concatenate([person()[..., :2], np.full((6, 17, 1), -3.0), person()[..., 2:]], axis=2)
    np.save(tmp_path / "a.npy", values)
    np.testing.assert_allclose(Imported(f"{tmp_path}/{{video_id}}.npy").encode(clip()).confidence, 0.9)


def test_frames_and_joints_that_were_not_found_are_not_made_up(tmp_path):
    values = person()
    values[1] = 0  # nobody
    values[2] = np.nan  # nobody
    values[3, 5] = 0  # one joint
    np.save(tmp_path / "a.npy", values)
    poses = Imported(f"{tmp_path}/{{video_id}}.npy").encode(clip())
    assert np.isnan(poses.joints[1:3]).all() and np.isnan(poses.box[1:3]).all()
    assert (poses.confidence[1:3] == 0).all()
    assert np.isnan(poses.joints[3, 5]).all() and poses.confidence[3, 5] == 0
    np.testing.assert_allclose(poses.box[3], [10, 40, 26, 56])


def test_openpose_folders_hold_a_file_for_each_frame_and_several_people(tmp_path):
    """The larger of two people is followed although the tool lists them in changing order."""
    (tmp_path / "a").mkdir()
    for t in range(12):
        people = [person(12, 25, at=200)[0], 3 * person(12, 25, at=10)[0] + (t, 0, 0)]
        people = [np.where(np.arange(3) == 2, 0.8, p).ravel().tolist() for p in people[:: 1 if t % 2 else -1]]
        content = {"people": [{"pose_keypoints_2d": p} for p in people] if t != 9 else []}
        (tmp_path / "a" / f"a_{t:012d}_keypoints.json").write_text(json.dumps(content))
    poses = Imported(f"{tmp_path}/{{video_id}}").encode(clip(length=12))
    expected = 30.0 + np.arange(12)
    expected[9] = np.nan
    np.testing.assert_allclose(poses.joints[:, 0, 0], expected)


@pytest.mark.parametrize("form", ["vitpose", "mmpose", "mmpose whole"])
def test_lists_of_people_in_json(tmp_path, form):
    scores = "scores" if form == "vitpose" else "keypoint_scores"
    frames = [[{"keypoints": p[:, :2].tolist(), scores: p[:, 2].tolist()}] for p in person()]
    frames[1] = []
    if form != "vitpose":
        frames = [{"frame_id": t, "instances": people} for t, people in enumerate(frames)]
    if form == "mmpose whole":
        frames = {"meta_info": {}, "instance_info": frames}
    (tmp_path / "a.json").write_text(json.dumps(frames))
    poses = Imported(f"{tmp_path}/{{video_id}}.json").encode(clip())
    np.testing.assert_allclose(poses.joints[[0, 2, 3]], person()[[0, 2, 3], :, :2])
    assert np.isnan(poses.joints[1]).all()


def test_shares_of_the_frame_become_pixels(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height = 64, 32
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 64, 3), np.uint8))))
        container.mux(stream.encode())
    np.save(tmp_path / "a.npy", np.full((6, 17, 3), 0.5))
    encoder = Imported(f"{tmp_path}/{{video_id}}.npy", normalised=True)
    poses = encoder.encode(clip(path=tmp_path / "a.mp4"))
    np.testing.assert_allclose(poses.joints, np.broadcast_to([32, 16], (4, 17, 2)))
    np.testing.assert_allclose(poses.confidence, 0.5)


def test_a_video_shorter_than_a_clip_repeats_its_last_pose(tmp_path):
    np.save(tmp_path / "a.npy", person(frames=2))
    poses = Imported(f"{tmp_path}/{{video_id}}.npy").encode(clip())
    np.testing.assert_allclose(poses.joints[:, 0, 1], [10, 20, 20, 20])


def test_poses_that_end_before_the_clip_are_an_error_of_the_video(tmp_path):
    np.save(tmp_path / "a.npy", person(frames=6))
    with pytest.raises(VideoError, match="end after 6 frames, the clip goes from 3 to 6"):
        Imported(f"{tmp_path}/{{video_id}}.npy").encode(clip(start=3))


def test_a_missing_or_broken_file_is_an_error_of_the_video(tmp_path):
    encoder = Imported(f"{tmp_path}/{{video_id}}.npy")
    with pytest.raises(VideoError, match="video 'a' has no poses"):
        encoder.encode(clip())
    (tmp_path / "b.npy").write_bytes(b"no array")
    with pytest.raises(VideoError, match=r"b\.npy holds no poses"):
        encoder.encode(clip(video="b"))
    np.save(tmp_path / "c.npy", person(joints=21))
    with pytest.raises(VideoError, match="21 joints"):
        encoder.encode(clip(video="c"))


def test_pickled_objects_are_never_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"joints": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(VideoError, match="holds no poses"):
        Imported(f"{tmp_path}/{{video_id}}.npy").encode(clip())


def test_an_unknown_skeleton_names_the_known_ones():
    with pytest.raises(ChoreoError, match="coco17, openpose18"):
        Imported("x", skeleton="body135")
