"""What the decoder is compared with: fitted on train, chosen on val, and asked of the test videos alone."""

import json
from dataclasses import replace

import contest
import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from pipeline.aqa import baselines
from pipeline.aqa.baselines import BASELINES, SEEDED, Recipe, aqa_baselines, fit, judge, pooled
from pipeline.aqa.data import Clips, Videos, load
from pipeline.errors import ChoreoError

QUICK = Recipe(epochs=8, hidden=16)


def inputs(world: contest.Contest) -> dict[str, object]:
    """What the stage reads."""
    return {"features": world.features, "scores": world.scores, "manifest": world.manifest, "task": contest.TASK}


@pytest.fixture(scope="module")
def data(contested):
    return load(contested.features, contested.manifest, contested.scores, task=contest.TASK)


@pytest.fixture(scope="module")
def written(contested, tmp_path_factory):
    out = tmp_path_factory.mktemp("baselines") / "baselines.json"
    aqa_baselines(**inputs(contested), out=out, seeds=(0, 1), epochs=30, hidden=32)
    return json.loads(out.read_text())


def videos(*features: np.ndarray, targets: object = None) -> Videos:
    """Videos of these clip features."""
    clips = [Clips(f, np.arange(len(f)) * 1.0, np.arange(len(f)) + 1.0) for f in features]
    targets = np.linspace(0, 1, len(clips)) if targets is None else np.asarray(targets)
    return Videos([f"v{n}" for n in range(len(clips))], clips, targets)


def test_pooled_features_are_means_and_standard_deviations_over_the_clips():
    rng = np.random.default_rng(0)
    features = [rng.normal(size=(n, 3)) for n in (1, 4, 7)]
    for row, feature in zip(pooled(videos(*features)), features, strict=True):
        for d in range(3):
            mean = sum(feature[:, d]) / len(feature)
            std = (sum((x - mean) ** 2 for x in feature[:, d]) / len(feature)) ** 0.5
            assert row[d] == pytest.approx(mean, abs=1e-12) and row[3 + d] == pytest.approx(std, abs=1e-12)


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_learns_what_can_be_learned(name, data):
    fitted = fit(name, data.roles["train"], data.roles["val"], recipe=Recipe(epochs=60, hidden=32))
    test = data.roles["test"]
    assert spearmanr(fitted.predict(test), test.targets).statistic > 0.5
    assert fitted.val == judge(fitted.predict(data.roles["val"]), data.roles["val"].targets)


@pytest.mark.parametrize("name", BASELINES)
def test_a_prediction_depends_on_its_own_video_alone(name, data):
    fitted = fit(name, data.roles["train"], data.roles["val"], recipe=QUICK)
    test = data.roles["test"]
    together = fitted.predict(test)
    for row in range(3):
        alone = Videos([test.ids[row]], [test.clips[row]], test.targets[[row]])
        assert fitted.predict(alone)[0] == pytest.approx(together[row], abs=1e-6)


@pytest.mark.parametrize("name", SEEDED)
def test_networks_do_not_see_the_padding(name):
    torch.manual_seed(0)
    network = baselines.NETWORKS[name](4, 8).eval()
    clips = torch.randn(2, 5, 4)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    other = torch.where(mask[..., None], clips, torch.full_like(clips, 7.0))
    assert torch.equal(network(clips, mask), network(other, mask))


def test_only_the_lstm_knows_the_order_of_clips(data):
    part = data.roles["test"]
    turned = replace(part, clips=[c[::-1] for c in part.clips])
    for name in BASELINES:
        fitted = fit(name, data.roles["train"], data.roles["val"], recipe=QUICK)
        same = np.allclose(fitted.predict(part), fitted.predict(turned), atol=1e-5)
        assert same == (name != "lstm")


@pytest.mark.parametrize("name", BASELINES)
def test_the_same_seed_gives_the_same_scores(name, data):
    test = data.roles["test"]
    one, two = (fit(name, data.roles["train"], data.roles["val"], seed=3, recipe=QUICK) for _ in range(2))
    assert np.array_equal(one.predict(test), two.predict(test)) and one.chosen == two.chosen


@pytest.mark.parametrize("name", BASELINES)
def test_what_is_best_on_val_is_kept(name, monkeypatch, data):
    """Val judged at random: the baseline that is kept is the one that was judged best, not the last or the first."""
    marks = [0.1, 0.2, 0.9, 0.3] + [0.0] * 100
    judged = iter(marks)
    monkeypatch.setattr(baselines, "judge", lambda *_: {"srcc": next(judged), "mse": 0.0})
    monkeypatch.setattr(baselines, "SMOOTHING", 1)
    fitted = fit(name, data.roles["train"], data.roles["val"], recipe=QUICK)
    third = {"epoch": 3} if name in SEEDED else baselines._grid(name)[2]
    assert fitted.chosen == third and fitted.val["srcc"] == 0.9


def test_an_epoch_is_judged_with_those_before_it(monkeypatch, data):
    judged = iter([0.9, 0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.4])
    monkeypatch.setattr(baselines, "judge", lambda *_: {"srcc": next(judged), "mse": 0.0})
    monkeypatch.setattr(baselines, "SMOOTHING", 2)
    assert fit("mean_mlp", data.roles["train"], data.roles["val"], recipe=QUICK).chosen == {"epoch": 6}


def test_among_equal_penalties_the_largest_is_chosen(monkeypatch, data):
    monkeypatch.setattr(baselines, "judge", lambda *_: {"srcc": 0.5, "mse": 0.1})
    assert fit("ridge", data.roles["train"], data.roles["val"]).chosen == {"alpha": max(baselines.PENALTIES)}


def test_features_that_never_change_and_equal_scores_do_no_harm():
    rng = np.random.default_rng(0)
    features = [np.concatenate([rng.normal(size=(3, 2)), np.ones((3, 1))], axis=1) for _ in range(12)]
    part = videos(*features, targets=np.full(12, 0.5))
    for name in BASELINES:
        assert np.isfinite(fit(name, part, part, recipe=QUICK).predict(part)).all()


def test_scores_of_all_test_videos_are_written_in_points(written, data):
    assert written["ids"] == data.roles["test"].ids and written["task"] == data.task.options
    assert set(written["baselines"][0]["val"]) == {"srcc", "mse"}
    assert [(row["name"], row["seed"]) for row in written["baselines"]] == [
        ("ridge", None), ("svr", None), ("mean_mlp", 0), ("mean_mlp", 1), ("lstm", 0), ("lstm", 1)
    ]  # fmt: skip
    true = data.task.points(data.roles["test"].targets)
    for row in written["baselines"]:
        assert len(row["test"]) == len(true) and row["doc"] and row["chosen"]
        assert spearmanr(row["test"], true).statistic > 0.3 and 5 < np.mean(row["test"]) < 20


def test_the_same_inputs_give_the_same_bytes(small, tmp_path):
    paths = [tmp_path / "one.json", tmp_path / "two.json"]
    for path in paths:
        aqa_baselines(**inputs(small), out=path, seeds=(0,), epochs=2, hidden=8)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_task_that_asks_for_an_unknown_score_is_said(small, tmp_path):
    with pytest.raises(ChoreoError, match="no score 'artistry'"):
        aqa_baselines(**inputs(small) | {"task": contest.TASK | {"score": "artistry"}}, out=tmp_path / "x.json")
