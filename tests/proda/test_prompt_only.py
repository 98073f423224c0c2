"""What a prompt gives away: readers that never see a video, where the answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ChoreoError
from pipeline.manifest import Video
from pipeline.metrics import read_metrics
from pipeline.proda.prompt_only import label_matrices, proda_prompt_only, prompts, read_prompts

CLASSES, LENGTH = 10, 3


def one_label_each(videos: int) -> np.ndarray:
    """One class a video, all equally often: its prompts are that class, three others, and it with two others."""
    return np.eye(CLASSES, dtype=bool)[np.arange(videos) % CLASSES]


@pytest.fixture(scope="module")
def reached() -> dict[str, float]:
    labels = one_label_each(400), one_label_each(100), one_label_each(200)
    return read_prompts(*labels, length=LENGTH, seed=0, epochs=60)


def test_every_prompt_stands_beside_the_labels_of_its_video():
    labels = np.array([[1, 1, 0, 0, 0], [0, 0, 0, 0, 1]], bool)
    asked, shown = prompts(labels, np.random.default_rng(0), length=2, kind="paper")
    assert np.array_equal(shown, labels[[0] * 5 + [1] * 3])
    assert asked.sum(axis=1).tolist() == [1, 2, 2, 2, 2, 1, 2, 2]


def test_the_prior_reaches_the_share_of_the_prompts_whose_video_shows_a_class(reached):
    assert reached["prior"] == pytest.approx(1 / CLASSES)


def test_the_rule_finds_exactly_the_prompts_without_distractors(reached):
    """A third of a class's prompts are clean and come first; among the others all are alike."""
    assert reached["rule"] == pytest.approx(1 / 3 + 2 / 3 * 1 / CLASSES)


def test_a_trained_reader_finds_them_too_and_tells_the_others_apart(reached):
    """Of three asked for in a long prompt each is shown with chance 1 / 6, of the seven others with chance 1 / 14.

    In that order, of 3 V prompts: V / 10 clean ones that show the class, 0.6 V that ask for it among others (V / 10
    show it), and 2.3 V that do not (V / 10 show it); a third of the precision falls to each.
    """
    among = np.mean([(0.1 + 0.1 * t) / (0.1 + 0.6 * t) for t in np.linspace(0, 1, 1001)])
    rest = np.mean([(0.2 + 0.1 * t) / (0.7 + 2.3 * t) for t in np.linspace(0, 1, 1001)])
    assert reached["learned"] == pytest.approx((1 + among + rest) / 3, abs=0.04)


def test_the_same_seed_gives_the_same_figures(reached):
    labels = one_label_each(400), one_label_each(100), one_label_each(200)
    assert read_prompts(*labels, length=LENGTH, seed=0, epochs=60) == reached


def test_figures_are_written_from_labels_alone(tmp_path: Path):
    rows = [
        f"v{i},gone{i}.mp4,{'abcde'[i % 5]};{'fgh'[i % 3]},{('train', 'val', 'test')[i % 7 % 3]}" for i in range(70)
    ]
    (tmp_path / "l.csv").write_text("\n".join(["id,path,labels,split", *rows]) + "\n")
    out = tmp_path / "metrics.json"
    dataset = {"name": "csv", "index": str(tmp_path / "l.csv")}
    proda_prompt_only(out, dataset=dataset, length=4, seeds=(0, 1), epochs=2)
    figures = read_metrics(out)["figures"]
    assert set(figures) == {f"mAP/{kind}/{r}" for kind in ("paper", "code") for r in ("prior", "rule", "learned")}
    assert all(f["n"] == 2 and 0 < f["mean"] <= 1 for f in figures.values())


def test_a_data_set_without_test_videos_is_refused(tmp_path: Path):
    (tmp_path / "l.csv").write_text("id,path,labels,split\na,a,x,train\nb,b,x,val\n")
    with pytest.raises(ChoreoError, match="split 'test'"):
        proda_prompt_only(tmp_path / "m.json", dataset={"name": "csv", "index": str(tmp_path / "l.csv")})


def test_labels_are_columns_in_the_order_of_the_classes_of_all_splits():
    videos = [
        Video("a", Path("a"), "train", ("wave", "kick")),
        Video("b", Path("b"), "val", ("jump",)),
        Video("c", Path("c"), "test", ()),
    ]
    found = label_matrices(videos)
    assert found["train"].tolist() == [[False, True, True]] and found["val"].tolist() == [[True, False, False]]
    assert not found["test"].any()
