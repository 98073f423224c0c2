"""From attributes to score: weights that are known come back, and what attributes cannot tell is not told."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from pipeline.aqa.attributes import PENALTIES, Judged, aqa_attributes, look_up, one_hot, worth
from pipeline.datasets import adapter, listed, options
from pipeline.errors import ChoreoError
from pipeline.manifest import draw_splits

POINTS = {"position": (0.0, 0.2, -0.3), "rotation_type": (0.0, 0.1, 0.4, -0.2), "ss_no": (0.0, 0.4, 0.8, 1.2)}
NAMES = ("position", "armstand", "rotation", "somersaults", "twists")


def dives(root: Path, noise: float = 0.0, seed: int = 0) -> dict:
    """MTL-AQA with difficulties that are a sum of known points; armstand and twists are worth nothing."""
    rng = np.random.default_rng(seed)
    annotations = {}
    for n in range(240):
        dive = {key: int(rng.integers(len(points))) for key, points in POINTS.items()}
        difficulty = 2.5 + sum(POINTS[key][at] for key, at in dive.items()) + noise * rng.normal()
        dive |= {"armstand": int(rng.integers(2)), "tw_no": int(rng.integers(4))}
        annotations[1 + n // 60, n] = dive | {
            "difficulty": float(np.clip(difficulty, 1, 5)),
            "final_score": 10.0 * n / 24,
        }
    keys = list(annotations)
    files = {"final_annotations_dict": annotations, "train_split_0": keys[:180], "test_split_0": keys[180:]}
    for name, content in files.items():
        (root / f"{name}.pkl").write_bytes(pickle.dumps(content, protocol=2))
    return {"name": "mtl_aqa", "root": str(root)}


def judged(*rows: tuple[str, str, float]) -> Judged:
    return Judged([{"turn": turn, "leap": leap} for turn, leap, _ in rows], np.array([score for *_, score in rows]))


def splits(dataset: dict) -> dict[str, Judged]:
    module, given = adapter(dataset), options(dataset)
    score = {s.id: s.value for s in module.scores(**given) if s.name == "difficulty"}
    made_of = module.attributes(**given)
    ids = {
        split: [v.id for v in draw_splits(listed(dataset)) if v.split == split] for split in ("train", "val", "test")
    }
    return {split: Judged([made_of[i] for i in of], np.array([score[i] for i in of])) for split, of in ids.items()}


def report(folder: Path, **changes: object) -> dict:
    given = changes if "dataset" in changes else {"dataset": dives(folder)} | changes
    aqa_attributes(folder / "out.json", **given)
    return json.loads((folder / "out.json").read_text())


def test_known_points_come_back(tmp_path: Path) -> None:
    found = report(tmp_path)
    assert found["videos"] == {"train": 154, "val": 26, "test": 60}
    ridge = found["readings"]["ridge"]
    assert ridge["error"] < 1e-3 and ridge["srcc"] > 0.99  # many of the true scores are equal, no two predictions are
    got = {(row["attribute"], row["value"]): row["points"] for row in found["values"]}
    assert got["position", "pike"] - got["position", "tuck"] == pytest.approx(0.5, abs=1e-3)
    assert got["rotation", "inward"] - got["rotation", "back"] == pytest.approx(0.4, abs=1e-3)
    assert got["somersaults", "1.5"] - got["somersaults", "0"] == pytest.approx(1.2, abs=1e-3)
    assert all(abs(points) < 1e-3 for (of, _), points in got.items() if of in ("armstand", "twists"))


def test_points_of_an_attribute_average_to_nothing_and_shares_sum_to_one(tmp_path: Path) -> None:
    found = report(tmp_path)
    for name in NAMES:
        rows = [row for row in found["values"] if row["attribute"] == name]
        assert sum(row["videos"] for row in rows) == found["videos"]["train"]
        assert sum(row["points"] * row["videos"] for row in rows) == pytest.approx(0, abs=1e-3)
    shares = {row["attribute"]: row["share"] for row in found["attributes"]}
    assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
    assert max(shares, key=shares.get) == "somersaults" and abs(shares["twists"]) < 0.01
    rows = {row["attribute"]: row for row in found["attributes"]}
    assert rows["somersaults"]["alone"] > 0.7 and rows["somersaults"]["without"] < 0.8
    assert abs(rows["twists"]["alone"]) < 0.4 and rows["twists"]["without"] > 0.99


def test_a_prediction_is_the_mean_and_what_each_attribute_brings() -> None:
    train = judged(("a", "x", 1), ("a", "y", 2), ("b", "x", 3), ("b", "y", 5), ("c", "y", 4))
    fitted = worth(train, ("turn", "leap"), 0.5)
    parts = fitted.parts(train)
    np.testing.assert_allclose(fitted.mean + parts["turn"] + parts["leap"], fitted.predict(train), atol=1e-12)
    assert fitted.predict(train).mean() == pytest.approx(3) and fitted.values[0] == ("turn", "a")


def test_ridge_is_the_literal_one() -> None:
    """(X'X + penalty I) w = X'y on centred columns and scores, float64."""
    rng = np.random.default_rng(0)
    train = judged(*((f"{rng.integers(3)}", f"{rng.integers(4)}", float(rng.normal())) for _ in range(40)))
    fitted = worth(train, ("turn", "leap"), 2.0)
    matrix = one_hot(train.attributes, fitted.values)
    centred = matrix - matrix.mean(axis=0)
    said = centred @ np.linalg.solve(
        centred.T @ centred + 2 * np.eye(centred.shape[1]), centred.T @ (train.scores - train.scores.mean())
    )
    np.testing.assert_allclose(fitted.predict(train), said + train.scores.mean(), atol=1e-9)


def test_a_value_that_train_lacks_is_worth_nothing() -> None:
    train = judged(("a", "x", 1), ("b", "x", 3))
    fitted = worth(train, ("turn", "leap"), 1e-6)
    assert fitted.predict(judged(("never", "x", 0)))[0] == pytest.approx(2)


def test_whole_combinations_are_looked_up_and_new_ones_are_left_to_ridge() -> None:
    train = judged(("a", "x", 1), ("a", "x", 2), ("b", "y", 5))
    fitted = worth(train, ("turn", "leap"), 1.0)
    videos = judged(("a", "x", 0), ("b", "x", 0))
    np.testing.assert_allclose(look_up(train, videos, fitted), [1.5, fitted.predict(videos)[1]])


def test_the_correlation_is_that_of_the_published_test_split_and_its_interval_holds_it(tmp_path: Path) -> None:
    dataset = dives(tmp_path, noise=0.5)
    found = report(tmp_path, dataset=dataset)["readings"]["ridge"]
    low, high = found["interval"]
    assert 0.3 < low < found["srcc"] < high < 1
    sets = splits(dataset)
    said = worth(sets["train"], NAMES, found["penalty"]).predict(sets["test"])
    assert found["srcc"] == pytest.approx(spearmanr(said, sets["test"].scores).statistic, abs=1e-6)


def test_the_penalty_is_the_one_with_the_least_error_on_val(tmp_path: Path) -> None:
    dataset = dives(tmp_path, noise=1.0, seed=2)
    chosen = report(tmp_path, dataset=dataset)["readings"]["ridge"]["penalty"]
    sets = splits(dataset)
    error = {
        p: ((worth(sets["train"], NAMES, p).predict(sets["val"]) - sets["val"].scores) ** 2).mean() for p in PENALTIES
    }
    assert chosen == min(error, key=error.get) != min(PENALTIES)


def test_what_attributes_do_not_tell_has_no_correlation(tmp_path: Path) -> None:
    low, high = report(tmp_path, score="final_score")["readings"]["ridge"]["interval"]
    assert low < 0.1 and high < 0.5


def test_the_same_seed_gives_the_same_file(tmp_path: Path) -> None:
    report(tmp_path, seed=3)
    once = (tmp_path / "out.json").read_bytes()
    report(tmp_path, seed=3)
    assert (tmp_path / "out.json").read_bytes() == once


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"score": "execution"}, r"no score 'execution'(.|\n)*\['difficulty', 'final_score'\]"),
        ({"dataset": {"name": "folder", "root": "."}}, "'folder' knows of no attributes"),
        ({"val": 0.0}, "no video of 'val' has attributes"),
        ({"val": 0.9}, "the share of 'val' is 0.9"),
    ],
)
def test_what_cannot_be_told_is_said(changes: dict, words: str, tmp_path: Path) -> None:
    with pytest.raises(ChoreoError, match=words):
        report(tmp_path, **changes)
    assert not (tmp_path / "out.json").exists()


def test_scores_that_are_all_equal_have_no_correlation_and_the_report_says_so(tmp_path: Path) -> None:
    dataset = dives(tmp_path)
    path = tmp_path / "final_annotations_dict.pkl"
    flat = {key: dive | {"difficulty": 3.0} for key, dive in pickle.loads(path.read_bytes()).items()}
    path.write_bytes(pickle.dumps(flat, protocol=2))
    found = report(tmp_path, dataset=dataset)
    assert found["readings"]["ridge"]["srcc"] is None and found["readings"]["ridge"]["interval"] == [None, None]
