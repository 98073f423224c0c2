"""Features of persons and pairs: what is cut out, in which order, and what happens to a bad video."""

import numpy as np
import pytest

from pipeline import encoders
from pipeline.artifacts import Artifact
from pipeline.datasets.sportshhi import Keyframe
from pipeline.errors import ChoreoError, VideoError
from pipeline.features import pairs as stage
from pipeline.manifest import Manifest, Video
from tests.films import film

LEFT, RIGHT, LOW = (0.0, 0.0, 0.25, 0.5), (0.75, 0.0, 1.0, 0.5), (0.4, 0.6, 0.5, 0.9)


class Mean:
    """An encoder whose embedding is the mean colour; of a clip, that of its first and its last frame."""

    identity, dim, frames = "mean@0", 3, 4

    def images(self, frames):
        return frames.mean((1, 2)).astype(np.float32)

    def encode(self, clips):
        return np.stack([(c[0].mean((0, 1)) + c[-1].mean((0, 1))) / 2 for c in clips]).astype(np.float32)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Two videos: in `a` frame n is of the grey 10 n, but its left quarter is of 10 n + 40; `b` shows nobody."""
    monkeypatch.setattr(encoders, "load", lambda kind, spec: Mean())
    frames = []
    for n in range(12):
        pixels = np.full((64, 64, 3), 10 * n, np.uint8)
        pixels[:, :16] += 40
        frames.append(pixels)
    notes = tmp_path / "annotations"
    notes.mkdir()
    rows = [("a", 5, LEFT, RIGHT, 2), ("a", 10, RIGHT, LEFT, 3), ("a", 10, RIGHT, LOW, 2)]
    lines = [",".join(map(str, (v, f, *one, *two, n, 0, 1))) for v, f, one, two, n in rows]
    (notes / "sports_train_v1.csv").write_text("\n".join(lines))
    (notes / "sports_val_v1.csv").write_text("")
    (notes / "sports_action_list.pbtxt").write_text('name: "pass"\n id: 2\nname: "block"\n id: 3\n')
    videos = []
    for name in ("a", "b"):
        path = film(tmp_path / f"{name}.mp4", frames, size=(64, 64))
        videos.append(Video(name, path, frames=12, fps=10.0))
    Manifest(videos).write(tmp_path / "manifest.csv")
    return tmp_path


def run(here, **options):
    source = {"name": "sportshhi", "root": str(here)}
    stage.pairs(here / "manifest.csv", here / "pairs.h5", source=source, size=32, **options)
    return Artifact(here / "pairs.h5", "pairs")


def test_persons_and_their_ordered_pairs_are_laid_out_by_keyframe(here):
    with run(here) as made:
        a, b = made.video("a"), made.video("b")
        assert made["action_name"].tolist() == ["pass", "block"] and made["origin"].tolist() == ["interacting"]
    assert a["frame"].tolist() == [5, 5, 10, 10, 10]
    np.testing.assert_allclose(a["box"], [LEFT, RIGHT, RIGHT, LEFT, LOW])
    ends = list(zip(a["subject"].tolist(), a["object"].tolist(), strict=True))
    assert ends == [(0, 1), (1, 0), (2, 3), (2, 4), (3, 2), (3, 4), (4, 2), (4, 3)]
    assert a["label"].tolist() == [[1, 0], [0, 0], [0, 1], [1, 0], [0, 0], [0, 0], [0, 0], [0, 0]]
    assert len(b["frame"]) == len(b["subject"]) == 0 and b["label"].shape == (0, 2)


def test_features_are_those_of_the_right_crop_of_the_right_frame(here):
    """Grey 50 in frame 5, the left quarter 90; the crops are squares a tenth wider than the boxes."""
    with run(here, margin=0.0) as made:
        a = made.video("a")
    person, union = a["feature"][:2].mean(1), a["union"][:2].mean(1)
    assert person[1] == pytest.approx(50, abs=2)
    assert person[0] == pytest.approx(90 - 40 / 2, abs=3)  # a square of half the picture, half of it the bright quarter
    assert union[0] == union[1] == pytest.approx(60, abs=3)  # the whole picture
    assert a["feature"][2].mean() == pytest.approx(100, abs=2)


def test_a_clip_is_cut_from_the_frames_around_the_keyframe(here):
    """Frames 1, 3, 5 and 7 of keyframe 5; the mean of the first and the last is that of frame 4."""
    with run(here, encoder="videomae", clip=True, stride=2, margin=0.0) as made:
        assert made.video("a")["feature"][1].mean() == pytest.approx(40, abs=2)


def test_the_union_of_every_ordered_pair():
    which = stage._which_union(3)  # (0,1) (0,2) (1,0) (1,2) (2,0) (2,1)
    assert which.tolist() == [0, 1, 0, 2, 1, 2]
    boxes = np.array([[0, 0, 0.2, 0.2], [0.5, 0.1, 0.6, 0.9]])
    np.testing.assert_allclose(stage._unions(boxes), [[0, 0, 0.6, 0.9]])


def test_a_crop_is_square_and_stays_inside():
    pixels = np.arange(40 * 60, dtype=np.uint16).reshape(1, 40, 60, 1).repeat(3, -1).astype(np.uint8)
    for box in ([0, 0, 0.1, 0.5], [0.9, 0.5, 1, 1], [0, 0, 1, 1], [0.5, 0.5, 0.5, 0.5]):
        assert stage.cut(pixels, np.array(box), 16, 0.2).shape == (1, 16, 16, 3)


def test_features_made_elsewhere_are_read_and_must_fit(here):
    layout = stage.lay_out([Keyframe(5, np.array([LEFT, RIGHT]), {(0, 1): {0}})], 2)
    given = {n: layout[n] for n in ("frame", "box", "subject", "object")}
    given |= {"feature": np.ones((2, 768)), "union": np.zeros((2, 768))}
    np.savez(here / "x.npz", **given)
    assert stage.imported(here / "x.npz", layout)["feature"].shape == (2, 768)
    np.savez(here / "y.npz", **(given | {"box": given["box"][::-1]}))
    with pytest.raises(VideoError, match=r"y\.npz: `box` is not that of the annotations"):
        stage.imported(here / "y.npz", layout)
    with pytest.raises(VideoError, match="cannot be read"):
        stage.imported(here / "none.npz", layout)


def test_a_bad_video_never_stops_its_shard(here):
    """`a` has no features in the folder, and `b` needs none of anything but a file."""
    empty = stage.lay_out([], 2)
    arrays = {n: empty[n] for n in ("frame", "box", "subject", "object")}
    np.savez(here / "b.npz", **arrays, feature=np.zeros((0, 4)), union=np.zeros((0, 4)))
    with run(here, encoder={"name": "import", "root": str(here)}) as made:
        assert made.ids == ["b"] and "a.npz" in made.failures["a"]


def test_an_annotation_after_the_end_is_a_failure_of_its_video(here):
    Manifest([Video("a", here / "a.mp4", frames=8, fps=10.0)]).write(here / "manifest.csv")
    with run(here) as made:
        assert "8 frames, a person is annotated in frame 10" in made.failures["a"]


def test_an_unknown_source_is_named(here):
    with pytest.raises(ChoreoError, match="'sports'"):
        stage.pairs(here / "manifest.csv", here / "pairs.h5", source={"name": "sports"})
