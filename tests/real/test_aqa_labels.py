"""The published labels of Rhythmic Gymnastics, Fis-V and MTL-AQA: what papers say of them, read from the files."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pipeline.aqa.attributes import aqa_attributes
from pipeline.datasets import adapter, listed, options
from pipeline.datasets.scores import read, scores
from pipeline.manifest import Manifest, draw_splits


@pytest.fixture(scope="module")
def labels(shared_data: Path) -> Path:
    return shared_data / "aqa_labels"


@pytest.fixture(scope="module")
def rg(labels: Path) -> dict:
    return {"name": "rg", "root": str(labels / "rhythmic_gymnastics_ACTION-NET")}


@pytest.fixture(scope="module")
def fisv(labels: Path) -> dict:
    return {"name": "fisv", "root": str(labels / "fisv_MS_LSTM")}


@pytest.fixture(scope="module")
def dives(labels: Path) -> dict:
    return {"name": "mtl_aqa", "root": str(labels / "mtl_aqa/Ready_2_Use/MTL-AQA_split_0_data")}


def written(dataset: dict, folder: Path) -> dict[str, dict[str, float]]:
    scores(folder / "scores.csv", dataset=dataset)
    return read(folder / "scores.csv")


def span(values: dict[str, float]) -> tuple[float, float]:
    return min(values.values()), max(values.values())


# Rhythmic Gymnastics


def test_rhythmic_gymnastics_has_200_training_and_50_test_videos_of_each_apparatus(rg):
    counts = Counter((v.split, *v.labels) for v in listed(rg))
    apparatus = ("Ball", "Clubs", "Hoop", "Ribbon")
    assert counts == {(split, a): n for split, n in (("train", 200), ("test", 50)) for a in apparatus}


def test_a_val_split_of_rhythmic_gymnastics_is_carved_out_of_train_and_never_out_of_test(rg):
    drawn = draw_splits(listed(rg))
    assert Counter(v.split for v in drawn) == {"train": 685, "val": 115, "test": 200}
    assert set(Counter(v.labels for v in drawn if v.split == "val").values()) <= {28, 29}
    test = {v.id for v in listed(rg) if v.split == "test"}
    assert {v.id for v in drawn if v.split == "test"} == test
    assert {v.id for v in draw_splits(listed(rg), seed=1) if v.split == "val"} != {
        v.id for v in drawn if v.split == "val"
    }


def test_scores_of_rhythmic_gymnastics_add_up(rg, tmp_path):
    found = written(rg, tmp_path)
    assert {name: len(of) for name, of in found.items()} == {"difficulty": 1000, "execution": 1000, "total": 1000}
    assert span(found["difficulty"]) == (1.9, 14.8)
    assert span(found["execution"]) == (1.35, 9.4)
    assert span(found["total"]) == (3.85, 24.0)
    penalties = [found["difficulty"][i] + found["execution"][i] - total for i, total in found["total"].items()]
    assert min(penalties) > -0.011 and max(penalties) == pytest.approx(1.2)
    assert found["difficulty"]["Ball_001"] == 10.5 and found["total"]["Ball_002"] == 10.8


# Fis-V


def test_fisv_has_400_training_and_100_test_videos_with_both_scores(fisv, tmp_path):
    assert Counter(v.split for v in listed(fisv)) == {"train": 400, "test": 100}
    assert {v.id for v in listed(fisv)} == {str(n) for n in range(1, 501)}
    found = written(fisv, tmp_path)
    assert {name: len(of) for name, of in found.items()} == {"PCS": 500, "TES": 500}
    assert span(found["TES"]) == (6.33, 42.81) and span(found["PCS"]) == (10.48, 38.28)
    assert (found["TES"]["1"], found["PCS"]["1"]) == (28.71, 29.36)


# MTL-AQA


def test_mtl_aqa_has_1059_training_and_353_test_dives(dives, tmp_path):
    videos = listed(dives)
    assert Counter(v.split for v in videos) == {"train": 1059, "test": 353} and len(Manifest(videos).videos) == 1412
    found = written(dives, tmp_path)
    assert {name: len(of) for name, of in found.items()} == {"difficulty": 1412, "final_score": 1412}
    assert span(found["difficulty"]) == (1.5, 4.1) and span(found["final_score"]) == (0.0, 104.5)


def test_the_score_of_a_dive_is_its_difficulty_times_three_marks_in_halves(dives, tmp_path):
    found = written(dives, tmp_path)
    marks = np.array([score / found["difficulty"][i] for i, score in found["final_score"].items()])
    assert marks.min() >= 0 and marks.max() < 29.01  # of 30
    assert (np.abs(marks * 2 - np.round(marks * 2)) < 2e-2).sum() == 1401  # slips of the publisher in the other 11


def test_the_dives_are_made_of_what_the_rules_know(dives):
    made_of = adapter(dives).attributes(**options(dives))
    counts = {name: Counter(dive[name] for dive in made_of.values()) for name in next(iter(made_of.values()))}
    assert counts["position"] == {"straight or free": 152, "pike": 702, "tuck": 558}
    assert counts["armstand"] == {"no": 1246, "yes": 166}
    assert counts["rotation"] == {"back": 563, "forward": 359, "inward": 266, "reverse": 224}
    assert len({tuple(dive.values()) for dive in made_of.values()}) == 58


def test_the_words_for_the_publisher_s_numbers_fit_the_table_of_difficulties(dives):
    """Degrees of difficulty that diving's rules give these dives, from 10 m or 3 m; other words would not fit."""
    made_of, module = adapter(dives).attributes(**options(dives)), adapter(dives)
    given = {s.id: s.value for s in module.scores(**options(dives)) if s.name == "difficulty"}
    table = {
        ("tuck", "no", "inward", "3.5", "0"): {3.2, 3.4},  # 407C
        ("pike", "no", "forward", "3.5", "0"): {3.0, 3.1},  # 107B
        ("tuck", "no", "reverse", "3.5", "0"): {3.3, 3.5},  # 307C
        ("tuck", "no", "back", "3.5", "0"): {3.3},  # 207C
        ("pike", "no", "back", "2.5", "1.5"): {3.2},  # 5253B
        ("straight or free", "yes", "back", "2", "1.5"): {3.2},  # 6243D
        ("tuck", "no", "forward", "4.5", "0"): {3.7, 3.8},  # 109C
    }
    for dive, allowed in table.items():
        met = Counter(given[i] for i, made in made_of.items() if tuple(made.values()) == dive)
        assert sum(met[value] for value in allowed) > 0.75 * met.total(), dive


def test_attributes_tell_the_difficulty_of_a_dive_as_far_as_attributes_can(dives, tmp_path):
    """Ridge on five attributes: 0.970 (0.956 to 0.979) on the published test split.

    The mean of all training dives of the very same attributes gets 0.971: what is missing is the height of the board,
    and the rules of another year. The final score, which judges make, they tell to 0.586 (0.506 to 0.659).
    """
    said = {}
    for score in ("difficulty", "final_score"):
        aqa_attributes(tmp_path / "out.json", dataset=dives, score=score)
        said[score] = json.loads((tmp_path / "out.json").read_text())
    assert said["difficulty"]["videos"] == {"train": 907, "val": 152, "test": 353}
    ridge, combinations = (said["difficulty"]["readings"][name] for name in ("ridge", "combinations"))
    assert ridge["srcc"] == pytest.approx(0.970, abs=0.002) and ridge["error"] < 0.05
    np.testing.assert_allclose(ridge["interval"], [0.956, 0.979], atol=0.003)
    assert combinations["srcc"] == pytest.approx(0.971, abs=0.002)
    assert said["final_score"]["readings"]["ridge"]["srcc"] == pytest.approx(0.586, abs=0.005)
    without = {row["attribute"]: row["without"] for row in said["difficulty"]["attributes"]}
    assert min(without, key=without.get) == "somersaults" and without["armstand"] > 0.969
