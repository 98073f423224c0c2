"""Clips and scores come into memory as they were written, what is missing or wrong is named, batches line up."""

from pathlib import Path

import contest
import h5py
import numpy as np
import pytest
import torch

from pipeline.aqa import data
from pipeline.artifacts import Artifact, create
from pipeline.errors import ChoreoError, VideoError
from pipeline.manifest import Manifest, Video

SPLITS = ("train", "train", "train", "val", "test")
IDS = ["a", "b", "c", "d", "e"]


@pytest.fixture
def five(tmp_path):
    """Writes five routines of three clips; what is to be wrong is named."""

    def write(*, features=IDS, scores=(5.0, 10.0, 15.0, 20.0, 25.0), failed=(), empty=(), width=4, name="features.h5"):
        rows = [Video(i, Path(f"{i}.mp4"), s, ("Ball",)) for i, s in zip(IDS, SPLITS, strict=True)]
        Manifest(rows).write(tmp_path / "manifest.csv")
        values = dict(zip(IDS, scores, strict=False)) if not isinstance(scores, dict) else scores
        contest.write_scores(tmp_path / "scores.csv", total=values)
        with create(tmp_path / name, "clip_features", ids=[*features, *failed]) as writer:
            for n, i in enumerate(features):
                writer.add(i, **contest.clips(np.full((0 if i in empty else 3, width), float(n))))
            for i in failed:
                writer.fail(i, VideoError(f"video '{i}' ends early"))
        return [tmp_path / name], tmp_path / "manifest.csv", tmp_path / "scores.csv"

    return write


def load(files, **options):
    return data.load(*files, **{"task": contest.TASK, "max_failed_fraction": 0.5} | options)


# What is read


def test_roles_clips_and_targets_come_from_manifest_artifact_and_scores(small):
    loaded = data.load(small.features, small.manifest, small.scores, task=contest.TASK)
    manifest, points = Manifest.read(small.manifest), data.read_scores(small.scores)["total"]
    assert loaded.features == 8 and loaded.left_out == {}
    with Artifact(small.features, "clip_features") as artifact:
        for role in ("train", "val", "test"):
            videos = loaded.roles[role]
            assert videos.ids == manifest.ids(role)
            for i, clips, target in zip(videos.ids, videos.clips, videos.targets, strict=True):
                arrays = artifact.video(i)
                for name in ("feature", "start", "end"):
                    np.testing.assert_array_equal(getattr(clips, name), arrays[name])
                assert target == pytest.approx(points[i] / 25) and loaded.task.points(target) == pytest.approx(
                    points[i]
                )


def test_a_label_restricts_a_task_to_its_videos(small):
    loaded = data.load(small.features, small.manifest, small.scores, task=contest.TASK | {"label": "Ribbon"})
    manifest = Manifest.read(small.manifest)
    shown = [manifest.by_id[i].labels for videos in loaded.roles.values() for i in videos.ids]
    assert set(shown) == {("Ribbon",)} and len(shown) == 10


def test_the_range_need_not_begin_at_nothing():
    task = data.Task.of({"score": "pcs", "range": [10, 30]})
    assert task.label is None and task.share(15) == 0.25 and task.points(task.share(15)) == 15
    assert data.Task.of(task.options) == task


def test_the_published_protocol_chooses_on_the_test_videos(small):
    files = small.features, small.manifest, small.scores
    roles = data.load(*files, task=contest.TASK, protocol="published").roles
    assert roles["val"].ids == roles["test"].ids == Manifest.read(small.manifest).ids("test")


# What is missing


def test_a_video_without_features_or_score_is_left_out_and_said(five, caplog):
    lost = load(five(features=["b", "c", "d", "e"], failed=["a"])).left_out
    assert lost == {"a": "video 'a' ends early"} and "1 of 5 videos" in caplog.text and "ends early" in caplog.text
    loaded = load(five(features=["b", "c", "d", "e"]))
    assert loaded.left_out == {"a": "it has no features"} and loaded.roles["train"].ids == ["b", "c"]


@pytest.mark.parametrize(
    "options, why",
    [
        ({"scores": {"b": 1, "c": 2, "d": 3, "e": 4}}, {"a": "it has features and no score"}),
        ({"empty": ["a"]}, {"a": "its features have no clip"}),
        (
            {"scores": {i: n for n, i in enumerate([*IDS, "x"])}},
            {"x": "it has a score and is no video of the manifest"},
        ),
        ({"features": [*IDS, "x"]}, {"x": "it has features and is no video of the manifest"}),
    ],
)
def test_what_has_no_counterpart_is_listed_and_too_much_of_it_stops_the_run(five, options, why):
    files = five(**options)
    assert load(files).left_out == why
    (lost, reason) = next(iter(why.items()))
    with pytest.raises(ChoreoError, match=rf"1 of \d videos lack .* is 10%:\n  {lost}: {reason}"):
        load(files, max_failed_fraction=0.1)


def test_a_role_without_any_video_is_an_error(five):
    with pytest.raises(ChoreoError, match="no video of 'val' has features and 'total'"):
        load(five(features=["a", "b", "c", "e"]))


# What is wrong


def test_nan_in_features_names_the_video(five):
    files = five()
    with h5py.File(files[0][0], "r+") as file:
        file["feature"][4, 1] = np.nan  # the second clip of the second video
    with pytest.raises(ChoreoError, match="features of video 'b' hold NaN"):
        load(files)


def test_features_of_two_lengths_are_named(five):
    paths, *rest = five(features=["a", "b", "c"], name="1.h5")
    others, *rest = five(features=["d", "e"], name="2.h5", width=5)
    with pytest.raises(ChoreoError, match=r"2 lengths: 4 \('a'\), 5 \('d'\)"):
        load((paths + others, *rest))


@pytest.mark.parametrize("value", [25.5, -0.1])
def test_a_score_outside_its_range_names_the_video(five, value):
    with pytest.raises(ChoreoError, match=f"outside 0 to 25: 'b': {value}"):
        load(five(scores=(5.0, value, 10.0, 15.0, 20.0)))


def test_equal_scores_are_an_error_in_train_and_a_warning_elsewhere(five, caplog):
    with pytest.raises(ChoreoError, match=r"all scores of 'train' are equal \(5\): there is nothing to learn"):
        load(five(scores=(5, 5, 5, 4, 3)))
    load(five())
    assert "all scores of 'val' are equal (20): Spearman's correlation is undefined" in caplog.text


@pytest.mark.parametrize(
    "task, said",
    [
        ({"score": "totl"}, "has no score 'totl'; it has total"),
        ({"label": "Bal"}, "no video has the label 'Bal'"),
        ({"range": [25, 0]}, r"range of 'total' is \[25, 0\]"),
        ({"range": 25}, "range of 'total' is 25"),
        ({"rnge": [0, 25]}, "unknown key 'rnge'"),
    ],
)
def test_a_task_that_makes_no_sense_is_named(five, task, said):
    with pytest.raises(ChoreoError, match=said):
        load(five(), task=contest.TASK | task)
    with pytest.raises(ChoreoError, match="lacks its `range`"):
        data.Task.of({"score": "total"})


# Batches


@pytest.mark.parametrize("length", [1, 5, 6, 20])
def test_a_crop_is_of_consecutive_clips_in_the_video_and_all_places_come_up(length):
    rng = np.random.default_rng(0)
    parts = [data.crop(length, 5, rng) for _ in range(400)]
    assert {part.stop - part.start for part in parts} == {min(length, 5)}
    assert {part.start for part in parts} == set(range(max(1, length - 4)))
    assert data.crop(length, 5) == slice(0, length), "without random numbers the whole video is seen"


def test_a_batch_is_filled_up_with_zeros_and_a_mask():
    features = [np.full((2, 3), 1.0), np.full((4, 3), 2.0)]
    clips, mask = data.collate(features)
    assert clips.shape == (2, 4, 3) and clips.dtype == torch.float32 and mask.dtype == torch.bool
    assert mask.tolist() == [[True, True, False, False], [True] * 4]
    for row, feature in enumerate(features):
        np.testing.assert_array_equal(clips[row, : len(feature)], feature)
    assert not clips[0, 2:].any()
    clips, mask = data.collate(features, length=6, masked=False)
    assert clips.shape == (2, 6, 3) and mask.all() and not clips[1, 4:].any()
