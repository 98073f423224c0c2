"""Motion concepts: filters, normalisation, exact first neighbours, FINCH and the two stages."""

from itertools import chain

import numpy as np
import pytest

from pipeline.artifacts import Artifact, create
from pipeline.concepts import motion
from pipeline.concepts.motion import Filter
from pipeline.errors import ChoreoError
from pipeline.manifest import Manifest, Video


def person(frames=8, at=(100.0, 80.0), size=60.0, seed=0):
    """A still person: (L,17,2) px."""
    pose = np.random.default_rng(seed).uniform(0, size, (17, 2))
    return np.tile(pose + at, (frames, 1, 1))


SURE = np.ones((8, 17))


def literal_first_neighbours(values):
    nearest = []
    for i, a in enumerate(values):
        best, best_cosine = i, -np.inf
        for j, b in enumerate(values):
            norm = np.sqrt((a * a).sum()) * np.sqrt((b * b).sum())
            cosine = (a * b).sum() / norm if norm else 0.0
            if j != i and cosine > best_cosine + 1e-12:
                best, best_cosine = j, cosine
        nearest.append(best)
    return nearest


def literal_components(neighbours):
    """Links where one is the other's first neighbour or both share one (FINCH, Eq. 1), then connected components."""
    n = len(neighbours)
    label = list(range(n))
    for i in range(n):
        for j in range(n):
            if neighbours[i] == j or neighbours[j] == i or neighbours[i] == neighbours[j]:
                old, new = label[j], label[i]
                label = [new if x == old else x for x in label]
    return label


def literal_partitions(values):
    """FINCH's partitions, finest first, until one merges everything or at most one cluster goes."""
    partitions, of_row = [], list(range(len(values)))
    while True:
        clusters = sorted(set(of_row))
        means = np.array([np.mean([v for v, c in zip(values, of_row) if c == k], axis=0) for k in clusters])
        merged = literal_components(literal_first_neighbours(means))
        count = len(set(merged))
        if partitions and (count == 1 or len(clusters) - count <= 1):
            return partitions
        of_row = [merged[clusters.index(c)] for c in of_row]
        partitions.append(list(of_row))


def same_partition(a, b):
    return len(set(zip(a, b))) == len(set(a)) == len(set(b))


# Filters and normalisation


def test_a_still_and_certain_person_passes_both_jump_tests():
    for jump in motion.JUMPS:
        assert Filter(jump=jump)(person(), SURE) is not None


def test_a_clip_of_low_mean_confidence_is_dropped():
    assert Filter()(person(), SURE * 0.49) is None
    assert Filter()(person(), SURE * 0.51) is not None


def test_the_jump_test_in_body_sizes_does_not_depend_on_where_the_person_stands_or_how_large_they_are():
    for at in ((0.0, 0.0), (2000.0, 500.0)):
        for size in (10.0, 300.0):
            clip = person(at=at, size=size)
            body = motion.body_size(clip)
            near, far = clip.copy(), clip.copy()
            near[4:] += [0.29 * body, 0]
            far[4:] += [0.31 * body, 0]
            assert Filter()(near, SURE) is not None
            assert Filter()(far, SURE) is None


def test_the_published_jump_test_is_the_cosine_of_raw_pixel_poses():
    clip = person(at=(10.0, 10.0))
    clip[4:, :, 0] += 200
    a, b = clip[3].ravel(), clip[4].ravel()
    cosine = sum(x * y for x, y in zip(a, b)) / (sum(x * x for x in a) * sum(y * y for y in b)) ** 0.5
    assert motion.smallest_cosine(clip) == pytest.approx(cosine)
    assert Filter(jump="cosine", jump_threshold=cosine + 1e-6)(clip, SURE) is None
    assert Filter(jump="cosine", jump_threshold=cosine - 1e-6)(clip, SURE) is not None


def test_a_short_gap_is_interpolated_and_a_long_one_drops_the_clip():
    clip = person() + np.arange(8)[:, None, None]
    short, long = clip.copy(), clip.copy()
    short[3:5], long[3:6] = np.nan, np.nan
    np.testing.assert_allclose(motion.bridge_gaps(short), clip)
    assert Filter()(long, SURE) is None
    assert Filter()(np.full_like(clip, np.nan), SURE * 0) is None


def test_a_person_of_no_size_is_dropped_instead_of_dividing_by_zero():
    assert Filter()(np.zeros((8, 17, 2)), SURE) is None


def test_normalisation_of_the_clip_keeps_travel_and_proportions_and_forgets_place_and_size():
    clip = person() + np.linspace(0, 30, 8)[:, None, None] * [1, 0]
    normal = motion.normalise(clip, "clip")
    np.testing.assert_allclose(motion.normalise(clip * 3 + [50, -20], "clip"), normal, atol=1e-12)
    assert normal[-1, 0, 0] - normal[0, 0, 0] == pytest.approx(30 / motion.body_size(clip))
    np.testing.assert_allclose(normal.mean(axis=(0, 1)), 0, atol=1e-12)


def test_published_normalisation_stretches_every_axis_of_every_frame_to_0_1():
    clip = person() * np.array([1.0, 0.2]) + np.random.default_rng(1).normal(size=(8, 17, 2))
    expected = np.empty_like(clip)
    for frame in range(8):
        centred = clip[frame] - clip[frame].mean(axis=0)
        for axis in range(2):
            v = centred[:, axis]
            expected[frame, :, axis] = (v - v.min()) / (v.max() - v.min())
    np.testing.assert_allclose(motion.normalise(clip, "frame"), expected)


def test_an_unknown_option_names_those_that_exist():
    with pytest.raises(ChoreoError, match="scale"):
        Filter(jump="teleport")
    with pytest.raises(ChoreoError, match="frame"):
        Filter(normalisation="video")


# Clustering


@pytest.mark.parametrize("block", [1, 7, 64])
def test_first_neighbours_agree_with_loops_whatever_the_block(block):
    values = np.random.default_rng(0).normal(size=(40, 6))
    assert motion.first_neighbours(values, block).tolist() == literal_first_neighbours(values)


@pytest.mark.parametrize("seed", range(4))
def test_every_partition_agrees_with_a_literal_finch(seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(12, 5)).repeat(7, axis=0) + 0.3 * rng.normal(size=(84, 5))
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    expected = literal_partitions(values)
    assert len(expected) > 1
    for number, partition in enumerate(expected):
        labels, sizes = motion.cluster(values, partition=number)
        assert sizes == [len(set(p)) for p in expected]
        assert same_partition(labels.tolist(), partition)


def test_clustering_twice_gives_the_same_labels():
    values = np.random.default_rng(0).normal(size=(200, 12))
    np.testing.assert_array_equal(motion.cluster(values)[0], motion.cluster(values)[0])


def test_one_two_and_identical_clips_can_be_clustered():
    row = np.arange(1.0, 5.0)
    assert motion.cluster(row[None])[0].tolist() == [0]
    assert motion.cluster(np.stack([row, row[::-1]]))[0].tolist() == [0, 0]
    assert motion.cluster(np.tile(row, (9, 1)))[0].tolist() == [0] * 9
    assert motion.cluster(np.zeros((5, 3)))[0].tolist() == [0] * 5


def test_nothing_to_cluster_is_an_error_that_says_what_to_do():
    with pytest.raises(ChoreoError, match="confidence"):
        motion.cluster(np.empty((0, 4)))


def test_a_partition_beyond_the_last_is_the_last_and_says_so(caplog):
    values = np.random.default_rng(0).normal(size=(60, 4))
    labels, sizes = motion.cluster(values, partition=99)
    assert len(set(labels)) == sizes[-1]
    assert "99" in caplog.text


def test_a_requested_number_of_clusters_is_met():
    values = np.random.default_rng(0).normal(size=(60, 4))
    finest = motion.cluster(values)[1][0]
    for clusters in (finest, finest - 1, finest - 3):
        labels, _ = motion.cluster(values, clusters=clusters)
        assert sorted(set(labels.tolist())) == list(range(clusters))
    with pytest.raises(ChoreoError, match=str(finest)):
        motion.cluster(values, clusters=finest + 1)


def test_means_medoids_and_nearest_means_agree_with_loops():
    rng = np.random.default_rng(0)
    values, labels = rng.normal(size=(30, 4)), np.arange(30) % 5

    def cosine(a, b):
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    means = motion.cluster_means(values, labels)
    for k in range(5):
        members = [n for n in range(30) if labels[n] == k]
        np.testing.assert_allclose(means[k], sum(values[n] for n in members) / len(members))
        assert motion.medoids(values, labels, means)[k] == max(members, key=lambda n: cosine(values[n], means[k]))
    expected = [max(range(5), key=lambda k: cosine(v, means[k])) for v in values]
    assert motion.assign(values, means).tolist() == expected


def test_purity_and_nmi_of_known_clusterings():
    true = [0, 0, 0, 1, 1, 1]
    assert motion.purity([5, 5, 5, 2, 2, 2], true) == motion.nmi([5, 5, 5, 2, 2, 2], true) == 1
    assert motion.purity([0] * 6, true) == 0.5
    assert motion.nmi([0] * 6, true) == 0
    assert motion.purity([0, 0, 1, 1, 1, 1], ["a", "a", "a", "b", "b", "b"]) == pytest.approx(5 / 6)


# Stages


MOTIONS = 4


def moving(kind, rng, frames=8):
    """One of four motions of the same body: (L,17,2) px."""
    clip = person(frames, at=rng.uniform(50, 200, 2), size=60.0)
    wave = 45 * np.sin(np.linspace(0, np.pi, frames))
    joint, axis = ((9, 0), (10, 0), (9, 1), (16, 1))[kind]
    clip[:, joint, axis] += wave
    return clip + rng.normal(scale=0.5, size=clip.shape)


@pytest.fixture
def shards(tmp_path):
    """Thirty videos in two shards, two clips each; video 3 shows nobody."""
    rng = np.random.default_rng(0)
    videos = [Video(f"v{n:02d}", f"v{n:02d}.mp4", ("train", "train", "train", "val", "test")[n % 5]) for n in range(30)]
    Manifest(videos).write(tmp_path / "manifest.csv")
    paths, true = [], {}
    for shard in range(2):
        part = videos[shard::2]
        paths.append(tmp_path / f"pose{shard}.h5")
        with create(paths[-1], "pose", ids=[v.id for v in part]) as writer:
            for v in part:
                kinds = rng.integers(MOTIONS, size=2)
                joints = np.stack([moving(k, rng) for k in kinds])
                confidence = np.ones((2, 8, 17))
                if v.id == "v03":
                    joints, confidence = np.full_like(joints, np.nan), confidence * 0
                true[v.id] = kinds
                box = np.concatenate([joints.min(axis=2), joints.max(axis=2)], axis=2)
                writer.add(v.id, joints=joints, confidence=confidence, box=box, start=[0, 16], size=[240, 320])
    return paths, tmp_path / "manifest.csv", true


def run(shards, tmp_path, **options):
    poses, manifest, _ = shards
    motion.motion_concepts(poses, manifest, tmp_path / "concepts.h5", **options)
    motion.motion_labels(poses, tmp_path / "concepts.h5", tmp_path / "labels.h5")
    return Artifact(tmp_path / "concepts.h5", "motion_concepts"), Artifact(tmp_path / "labels.h5", "motion_labels")


def test_planted_motions_are_found_and_labels_agree_on_all_splits(shards, tmp_path):
    concepts, labels = run(shards, tmp_path, clusters=MOTIONS)
    true = shards[2]
    found, truth = [], []
    for video_id in labels.ids:
        rows = labels.video(video_id)
        if video_id == "v03":
            assert rows["concept"].tolist() == [-1, -1] and rows["labelled"] == 0 and not rows["label"].any()
            continue
        found += rows["concept"].tolist()
        truth += true[video_id].tolist()
        assert np.flatnonzero(rows["label"]).tolist() == sorted(set(rows["concept"].tolist()))
        assert rows["labelled"] == 1
    assert motion.purity(found, truth) > 0.95
    assert concepts["members"].sum() == len(concepts["member_video"]) == 36  # 18 train videos of two clips


def test_concepts_come_from_train_videos_only_and_from_all_under_the_published_protocol(shards, tmp_path):
    train = set(Manifest.read(shards[1]).ids("train"))
    concepts, _ = run(shards, tmp_path)
    assert set(concepts["member_video"]) == train and set(concepts["example_video"]) <= train
    concepts, _ = run(shards, tmp_path, protocol="published")
    assert set(concepts["member_video"]) == {f"v{n:02d}" for n in range(30)} - {"v03"}


def test_clips_that_were_clustered_keep_their_cluster(shards, tmp_path):
    concepts, labels = run(shards, tmp_path, partition=0)
    for video, start, concept in zip(
        concepts["member_video"], concepts["member_start"], concepts["member_concept"], strict=True
    ):
        rows = labels.video(video)
        assert rows["concept"][rows["start"] == start] == concept


def test_a_medoid_is_the_picture_of_its_example_clip(shards, tmp_path):
    concepts, _ = run(shards, tmp_path, normalisation="frame")
    poses = Artifact(shards[0], "pose")
    for k, video in enumerate(concepts["example_video"]):
        rows = poses.video(video)
        clip = rows["joints"][rows["start"] == concepts["example_start"][k]][0]
        np.testing.assert_allclose(concepts["medoid"][k], motion.normalise(clip, "frame"), atol=1e-5)


def test_joints_that_no_pose_has_are_left_out_and_the_others_say_what_there_is(shards, tmp_path):
    """As in imported skeletons without a face: nothing stands in for it, and no clip is lost for it."""
    poses, manifest, true = shards
    for path in poses:
        with Artifact(path, "pose") as artifact:
            videos = {i: artifact.video(i) for i in artifact.ids}
        path.unlink()
        with create(path, "pose", ids=list(videos)) as writer:
            for video_id, arrays in videos.items():
                arrays["joints"][:, :, :5], arrays["confidence"][:, :, :5] = np.nan, 0
                writer.add(video_id, **arrays)
    concepts, labels = run((poses, manifest, true), tmp_path, clusters=MOTIONS)
    assert concepts["members"].sum() == 36 and concepts.params["joints"] == list(range(5, 17))
    assert motion.recorded_filter(tmp_path / "concepts.h5").joints == tuple(range(5, 17))
    found = {i: labels.video(i)["concept"].tolist() for i in labels.ids if i != "v03"}
    given, known = (list(chain.from_iterable(of[i] for i in found)) for of in (found, true))
    assert motion.purity(given, known) > 0.95
    medoid = motion.whole(concepts["medoid"][0], concepts.params["joints"])
    assert medoid.shape == (8, 17, 2) and np.isnan(medoid[:, :5]).all() and np.isfinite(medoid[:, 5:]).all()


def test_labels_use_the_filters_under_which_the_concepts_were_made(shards, tmp_path):
    run(shards, tmp_path, confidence=0.7, jump="cosine", jump_threshold=0.5, normalisation="frame")
    assert motion.recorded_filter(tmp_path / "concepts.h5") == Filter(0.7, "cosine", 0.5, "frame")
