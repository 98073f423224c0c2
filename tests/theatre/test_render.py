"""The stage function: a cast on disk."""

import csv

import av
import numpy as np
import pytest

from pipeline.artifacts import Artifact, validate
from pipeline.errors import ChoreoError
from pipeline.theatre import actions, render, stage
from pipeline.theatre.motions import PRIMITIVES
from pipeline.theatre.props import OBJECTS

VIDEOS = 4


def decoded(path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def contents(folder) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    out = tmp_path_factory.mktemp("theatre")
    render.theatre(out, videos=VIDEOS)
    return out


def test_every_video_decodes_to_the_frames_that_were_performed(out):
    for script in actions.cast(0, VIDEOS):
        frames = stage.perform(script).frames
        found = decoded(out / "videos" / f"{script.id}.mp4")
        assert found.shape == frames.shape
        assert np.abs(found.astype(int) - frames).mean() < 6, "grey levels, after H.264"


def test_the_list_names_every_video_with_split_label_and_group(out):
    with open(out / "index.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    expected = [
        {"id": s.id, "path": f"videos/{s.id}.mp4", "split": s.split, "labels": s.label, "group": s.group}
        for s in actions.cast(0, VIDEOS)
    ]
    assert rows == expected
    assert all((out / row["path"]).is_file() for row in rows)


def test_the_truth_is_a_sound_artifact_with_one_row_a_frame(out):
    validate(out / "annotations.h5")
    with Artifact(out / "annotations.h5", "annotations") as truth:
        for script in actions.cast(0, VIDEOS):
            video, performance = truth.video(script.id), stage.truth(script)
            np.testing.assert_array_equal(video["joints"], performance.joints)
            np.testing.assert_array_equal(video["primitive"], performance.primitive)
            assert video["objects"][OBJECTS.index(script.object)] == 1
            assert truth["scene_names"][video["scene"]] == script.scene
        assert tuple(truth["primitives"]) == PRIMITIVES


def test_the_same_seed_gives_the_same_files_with_any_number_of_workers(out, tmp_path):
    render.theatre(tmp_path, videos=VIDEOS, workers=2)
    assert contents(tmp_path) == contents(out)


def test_a_finished_video_is_not_rendered_again(out, tmp_path, monkeypatch):
    render.theatre(tmp_path, videos=VIDEOS)
    lost = tmp_path / "videos" / f"{actions.cast(0, VIDEOS)[2].id}.mp4"
    lost.unlink()
    rendered = []
    perform = stage.perform
    monkeypatch.setattr(stage, "perform", lambda script: rendered.append(script.id) or perform(script))
    render.theatre(tmp_path, videos=VIDEOS)
    assert rendered == [lost.stem]
    assert contents(tmp_path) == contents(out)


def test_videos_of_another_seed_are_not_kept(out, tmp_path):
    render.theatre(tmp_path, videos=2, seed=1)
    render.theatre(tmp_path, videos=VIDEOS, seed=0)
    assert contents(tmp_path) == contents(out)


def test_a_killed_run_leaves_no_half_video_under_its_name(tmp_path, monkeypatch):
    def killed(path, frames, fps):
        path.write_bytes(b"half a video")
        raise KeyboardInterrupt

    monkeypatch.setattr(render, "write_video", killed)
    with pytest.raises(KeyboardInterrupt):
        render.theatre(tmp_path, videos=1)
    assert not list((tmp_path / "videos").glob("*.mp4")) and not (tmp_path / "index.csv").exists()


def test_an_unknown_act_is_named_with_those_that_exist(tmp_path):
    with pytest.raises(ChoreoError, match=r"opera(.|\n)*actions"):
        render.theatre(tmp_path, act="opera")
