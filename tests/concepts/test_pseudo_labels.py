"""Pseudo labels against their formula, with loops and in float64."""

import numpy as np
import pytest

from pipeline.artifacts import Artifact, create
from pipeline.concepts.pseudo_labels import mean_of_largest, pseudo_labels
from pipeline.errors import ChoreoError
from pipeline.manifest import Manifest, Video

SPLITS = ["train"] * 7 + ["val"] * 2 + ["test"] * 3


def units(rng, *shape):
    vectors = rng.normal(size=shape).astype("f4")
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.fixture
def data(tmp_path):
    """Twelve videos of three frames in two shards, four concepts."""
    rng = np.random.default_rng(0)
    ids = [f"v{i:02d}" for i in range(12)]
    Manifest(Video(i, tmp_path, s, ("a",)) for i, s in zip(ids, SPLITS, strict=True)).write(tmp_path / "manifest.csv")
    frames = dict(zip(ids, units(rng, 12, 3, 6), strict=True))
    shards = [tmp_path / "0.h5", tmp_path / "1.h5"]
    for path, part in zip(shards, (ids[1::2], ids[::2]), strict=True):
        with create(path, "embeddings", ids=part, model="m@1") as artifact:
            for i in part:
                artifact.add(i, embedding=frames[i], frame=np.arange(3))
    words = units(rng, 4, 6)
    write_texts(tmp_path / "texts.h5", words)
    return shards, tmp_path, frames, words


def write_texts(path, words, model="m@1"):
    with create(path, "texts", model=model) as artifact:
        artifact.share(concept=list("wxyz"), kind=["object"] * 2 + ["scene"] * 2, embedding=words)


def run(data, **options):
    shards, folder, *_ = data
    pseudo_labels(shards, folder / "texts.h5", folder / "manifest.csv", folder / "out.h5", **options)
    return Artifact(folder / "out.h5", "pseudo_labels")


def slow_cosine(frames, word):
    mean = [sum(float(f[d]) for f in frames) / len(frames) for d in range(len(word))]
    dot = sum(m * float(w) for m, w in zip(mean, word, strict=True))
    return dot / np.sqrt(sum(m * m for m in mean) * sum(float(w) ** 2 for w in word))


def test_similarity_is_the_cosine_of_mean_frame_and_text(data):
    *_, frames, words = data
    with run(data, cutoff=-1.0) as labels:
        assert sorted(labels.ids) == sorted(frames)
        for video_id in labels.ids:
            expected = [slow_cosine(frames[video_id], word) for word in words]
            assert labels.video(video_id)["similarity"] == pytest.approx(expected, abs=1e-6)
        assert labels["concept"].tolist() == list("wxyz")
        assert labels.model == "m@1"


@pytest.mark.parametrize("protocol", ["strict", "published"])
def test_a_concept_is_kept_by_its_largest_cosines_over_the_training_videos(data, protocol):
    *_, frames, words = data
    training = [f"v{i:02d}" for i in range(7 if protocol == "strict" else 9)]
    strength = [np.mean(sorted(slow_cosine(frames[i], word) for i in training)[-5:]) for word in words]
    cutoff = float(np.mean(sorted(strength)[1:3]))
    with run(data, cutoff=cutoff, protocol=protocol) as labels:
        assert labels["kept"].tolist() == [s > cutoff for s in strength]
    assert 0 < sum(s > cutoff for s in strength) < 4


def test_the_test_videos_never_decide_what_is_kept(data):
    _, folder, frames, words = data
    shown = frames["v11"].mean(axis=0)  # a test video shows the concept fully
    words[3] = shown / np.linalg.norm(shown)
    write_texts(folder / "texts.h5", words)
    best = max(slow_cosine(frames[f"v{i:02d}"], words[3]) for i in range(7))
    for cutoff, kept in ((best - 1e-4, 1), (best + 1e-4, 0)):
        with run(data, cutoff=cutoff, top=1) as labels:
            assert labels.video("v11")["similarity"][3] == pytest.approx(1.0, abs=1e-5)
            assert labels["kept"][3] == kept


def test_with_fewer_videos_than_asked_for_all_of_them_count():
    similarity = np.array([[0.1, 0.5], [0.3, 0.1]])
    assert mean_of_largest(similarity, 5) == pytest.approx([0.2, 0.3])
    assert mean_of_largest(similarity, 1) == pytest.approx([0.3, 0.5])


def test_the_same_input_gives_the_same_bytes(data):
    run(data, cutoff=-1.0).__exit__()
    first = (data[1] / "out.h5").read_bytes()
    (data[1] / "out.h5").unlink()
    run(data, cutoff=-1.0).__exit__()
    assert (data[1] / "out.h5").read_bytes() == first


def test_two_encoders_cannot_be_compared(data):
    _, folder, _, words = data
    write_texts(folder / "texts.h5", words, model="other@2")
    with pytest.raises(ChoreoError, match="embedded by m@1, texts by other@2"):
        run(data)


def test_a_cutoff_above_all_cosines_is_explained(data):
    with pytest.raises(ChoreoError, match=r"no concept is kept: the strongest, '[wxyz]', has 0"):
        run(data, cutoff=0.99)


def test_embeddings_of_another_data_set_are_refused(data):
    Manifest([Video("else", data[1], "train")]).write(data[1] / "manifest.csv")
    with pytest.raises(ChoreoError, match="different data sets"):
        run(data)
