"""Graphs come into memory as they were written, frames are sampled as said, batches line up."""

import numpy as np
import pytest
import torch
from play import RELATIONS

from pipeline.artifacts import Artifact, create
from pipeline.errors import ChoreoError, VideoError
from pipeline.manifest import Manifest, Video
from pipeline.proda import data


def test_roles_labels_and_names_come_from_manifest_and_artifact(world):
    loaded = data.load(world.graphs, world.manifest)
    videos = Manifest.read(world.manifest)
    assert loaded.actions == videos.classes and loaded.relations == list(RELATIONS)
    assert loaded.objects == ["person", "thing0", "thing1", "thing2"]
    for role in ("train", "val", "test"):
        assert loaded.roles[role].ids == videos.ids(role)
        for i, shown in zip(loaded.roles[role].ids, loaded.roles[role].labels, strict=True):
            assert {loaded.actions[c] for c in np.flatnonzero(shown)} == set(videos.by_id[i].labels)
    assert loaded.sizes == {"features": 32, "actions": len(videos.classes), "objects": 4, "relations": 3}


def test_the_published_protocol_chooses_on_the_test_videos(world):
    roles = data.load(world.graphs, world.manifest, protocol="published").roles
    assert roles["val"].ids == roles["test"].ids == Manifest.read(world.manifest).ids("test")


def test_features_stay_in_half_precision_until_a_batch_is_made(world):
    videos = data.load(world.graphs, world.manifest).roles["val"]
    assert videos.graphs[0].node.dtype == videos.graphs[0].image.dtype == np.float16
    batch = data.collate(videos.graphs[:1], [data.sample(12, 8)])
    assert batch.node.dtype == batch.image.dtype == batch.relation.dtype == torch.float32
    assert batch.mask.dtype == torch.bool and batch.kind.dtype == torch.int64


def test_a_batch_holds_the_chosen_frames_of_every_video(world):
    videos = data.load(world.graphs, world.manifest).roles["val"]
    chosen = [np.array([0, 3, 3]), np.array([1, 2, 11])]
    batch = data.collate(videos.graphs[:2], chosen)
    with Artifact(world.graphs, "scene_graphs") as artifact:
        for row, (i, frames) in enumerate(zip(videos.ids, chosen, strict=False)):
            arrays = artifact.video(i)
            pairs = {"image": "image", "node": "feature", "box": "box", "mask": "mask", "relation": "relation"}
            for ours, theirs in pairs.items():
                np.testing.assert_array_equal(getattr(batch, ours)[row].numpy(), arrays[theirs][frames])
            np.testing.assert_array_equal(batch.kind[row].numpy(), arrays["node_class"])


@pytest.mark.parametrize("length", [1, 5, 16, 17, 40])
@pytest.mark.parametrize("window", data.WINDOWS)
@pytest.mark.parametrize("random", [False, True])
def test_sampled_frames_are_as_many_as_asked_in_order_and_in_the_video(length, window, random):
    for seed in range(20):
        frames = data.sample(length, 16, np.random.default_rng(seed) if random else None, window)
        assert len(frames) == 16 and (np.diff(frames) >= 0).all() and frames[0] >= 0 and frames[-1] < length
        if random and length >= 16:
            assert len(set(frames.tolist())) == 16


def test_without_chance_frames_lie_evenly_over_the_whole_video():
    np.testing.assert_array_equal(data.sample(31, 16), np.arange(0, 31, 2))
    np.testing.assert_array_equal(data.sample(2, 4), [0, 0, 1, 1])


def test_the_published_window_takes_every_second_frame_of_one_part_of_a_long_video():
    np.testing.assert_array_equal(data.sample(52, 16, window="published"), 10 + 2 * np.arange(16))
    starts = {int(data.sample(40, 16, np.random.default_rng(s), "published")[0]) for s in range(99)}
    assert starts == set(range(9))
    with pytest.raises(ChoreoError, match="window"):
        data.sample(40, 16, window="broken")


def test_nothing_of_a_video_is_left_in_a_blind_batch(world):
    graphs = data.load(world.graphs, world.manifest).roles["train"].graphs
    one, two = (data.blind(data.collate([graph], [data.sample(12, 8)])) for graph in graphs[:2])
    for name in ("image", "node", "box", "mask", "kind", "relation"):
        torch.testing.assert_close(getattr(one, name), getattr(two, name))
    assert one.mask.all() and not one.node.any()


@pytest.fixture
def four(tmp_path):
    """Writes scene graphs of videos a-d, without those that are to fail; returns manifest and artifact."""

    def write(failed: str = "", names: tuple[str, ...] = ("person", "cup"), labels: tuple[str, ...] = ("drink",)):
        manifest, path = tmp_path / "manifest.csv", tmp_path / f"{len(names)}.h5"
        splits = dict(zip("abcd", ("train", "train", "val", "test")))
        Manifest(Video(i, tmp_path / i, splits[i], labels if i != "b" else ()) for i in "abcd").write(manifest)
        with create(path, "scene_graphs", ids="abcd") as writer:
            for i in "abcd":
                if i in failed:
                    writer.fail(i, VideoError(f"video '{i}' shows nobody"))
                    continue
                T, N = 3, len(names)
                arrays = {"frame": np.arange(T), "time": np.arange(T), "node_class": np.arange(N)}
                arrays |= {"image": np.ones((T, 5)), "feature": np.ones((T, N, 5)), "box": np.ones((T, N, 4))}
                writer.add(i, **arrays, mask=np.ones((T, N)), relation=np.zeros((T, N, 2)))
            writer.share(class_name=names, relation_name=["on", "in"], origin=["annotated"])
        return manifest, path

    return write


def test_a_video_whose_graph_failed_is_left_out_and_said(four, caplog):
    manifest, path = four(failed="a")
    loaded = data.load([path], manifest)
    assert loaded.roles["train"].ids == ["b"]
    assert "1 of 2 videos" in caplog.text and "video 'a' shows nobody" in caplog.text


def test_a_video_without_labels_stays_with_none(four):
    manifest, path = four()
    train = data.load([path], manifest).roles["train"]
    assert train.ids == ["a", "b"] and train.labels.tolist() == [[True], [False]]


def test_a_role_without_any_graph_is_an_error(four):
    manifest, path = four(failed="c")
    with pytest.raises(ChoreoError, match="no video of 'val'"):
        data.load([path], manifest)


def test_a_manifest_without_labels_and_shards_of_two_runs_are_errors(four):
    manifest, path = four()
    other = four(names=("person", "cup", "book"))[1]
    with pytest.raises(ChoreoError, match="other names of class"):
        data.load([path, other], manifest)
    manifest, path = four(labels=())
    with pytest.raises(ChoreoError, match="has a label"):
        data.load([path], manifest)
