"""Explanations: what is written of a video is what the model says of it, and the sum is its score."""

import json

import contest
import juries
import numpy as np
import pytest
from scipy.stats import rankdata

from pipeline.aqa.data import load
from pipeline.aqa.explanations import aqa_explain, choose, top
from pipeline.aqa.trained import answers
from pipeline.errors import ChoreoError


def explain(world, folder, models, tasks, **options):
    """What is written."""
    paths = {"features": world.features, "scores": world.scores, "manifest": world.manifest}
    out = folder / "explanations.json"
    aqa_explain(models, **paths | {"out": out, "tasks": tasks} | options)
    return json.loads(out.read_text())


@pytest.fixture(scope="module")
def explained(contested, tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained")
    models = [juries.write(folder / f"{name}.pt", task) for name, task in juries.TASKS.items()]
    return explain(contested, folder, models, juries.TASKS, elements=contested.elements, videos=4)


def told(explained, contested):
    """Every explained video beside what the model says of it."""
    for task in explained["tasks"]:
        options = juries.TASKS[task["name"]]
        data = load(contested.features, contested.manifest, contested.scores, task=options)
        test = data.roles["test"]
        said = dict(zip(test.ids, answers(juries.jury(options), test), strict=True))
        for video in task["videos"]:
            yield video, said[video["id"]], 25 * test.targets[test.ids.index(video["id"])]


def test_every_task_is_explained_by_its_own_model(explained):
    assert [(t["name"], t["label"], t["variant"], t["seed"]) for t in explained["tasks"]] == [
        ("ball", "Ball", "full", 0), ("ribbon", "Ribbon", "full", 0),
    ]  # fmt: skip
    assert all(len(task["videos"]) == 4 for task in explained["tasks"])


def test_scores_and_weights_are_the_models_own(explained, contested):
    for video, answer, true in told(explained, contested):
        assert video["true"] == pytest.approx(true, abs=1e-3)
        assert video["predicted"] == pytest.approx(answer.score, abs=1e-3)
        assert np.allclose(video["queries"]["weight"], answer.weight, atol=1e-4)
        assert np.allclose(video["queries"]["score"], answer.quality, atol=1e-4)
        for name in ("self_attention", "cross_attention"):
            for layer, found in enumerate(video[name]):
                mine = found["largest"] * np.array(found["percent"]) / 100
                assert np.allclose(mine, getattr(answer, name)[layer], atol=0.006)


def test_the_sum_is_the_score_by_queries_by_clips_and_by_moments(explained, contested):
    for video, answer, _ in told(explained, contested):
        for part in ("queries", "clips"):
            total = np.dot(video[part]["weight"], video[part]["score"])
            assert total == pytest.approx(answer.score, abs=0.02)  # products of rounded numbers
        moments = sum(moment["contribution"] for moment in video["moments"])
        assert moments + video["rest"]["contribution"] == pytest.approx(answer.score, abs=2e-3)
        weights = sum(moment["weight"] for moment in video["moments"]) + video["rest"]["weight"]
        assert weights == pytest.approx(1, abs=2e-3)


def test_moments_lie_in_the_order_of_time_and_do_not_overlap(explained, contested):
    for video, answer, _ in told(explained, contested):
        edges = [t for moment in video["moments"] for t in (moment["start"], moment["end"])]
        assert edges == sorted(edges) and edges[0] >= 0 and edges[-1] <= answer.end[-1] and len(edges) <= 10


def test_the_truth_stands_beside_the_curves(explained, contested):
    for video, _, _ in told(explained, contested):
        time, clips = np.array(video["time"]), contested.difficulty[video["id"]]
        clip = np.minimum(time // contest.SECONDS, len(clips) - 1).astype(int)
        assert np.allclose(video["difficulty"], clips[clip], atol=1e-3)
        assert np.allclose(video["execution"], contested.execution[video["id"]][clip], atol=1e-3)
        assert len(video["weight"]) == len(video["score"]) == len(time)
        weight = np.corrcoef(video["weight"], video["difficulty"])[0, 1]
        score = np.corrcoef(video["score"], video["execution"])[0, 1]
        assert video["correlation"]["weight"] == pytest.approx(weight, abs=0.05)  # of rounded numbers
        assert video["correlation"]["score"] == pytest.approx(score, abs=0.05)
        for element in video["elements"]:
            here = (time >= element["start"]) & (time < element["end"])
            weight, score = np.array(video["weight"])[here], np.array(video["score"])[here]
            assert element["weight"] == pytest.approx(weight.sum() * explained["step"], abs=1e-3)
            assert element["score"] == pytest.approx(np.average(score, weights=weight), abs=0.02)


def test_without_elements_the_truth_is_null(contested, tmp_path):
    (task,) = explain(contested, tmp_path, [juries.write(tmp_path / "m.pt")], {"all": contest.TASK})["tasks"]
    for video in task["videos"]:
        assert video["difficulty"] is video["execution"] is video["elements"] is None
        assert video["correlation"] == {"weight": None, "score": None}
        assert video["weight"]


def test_videos_are_spread_over_the_scores_and_the_worst_is_among_them(explained, contested):
    for task in explained["tasks"]:
        scores = [video["true"] for video in task["videos"]]
        assert scores == sorted(scores, reverse=True) and [v["worst"] for v in task["videos"]].count(True) == 1
        data = load(contested.features, contested.manifest, contested.scores, task=juries.TASKS[task["name"]])
        every = 25 * data.roles["test"].targets
        ranks = rankdata(-every)[[int(np.argmin(np.abs(every - score))) for score in scores]]
        assert ranks[0] <= 2 and ranks[-1] >= len(every) - 1


def test_few_videos_are_chosen_once_each():
    true, predicted = np.array([3.0, 1.0, 2.0]), np.array([3.0, 1.0, 5.0])
    assert choose(true, predicted, 9) == [0, 2, 1]
    assert choose(true, predicted, 2) == [0, 2]
    assert choose(true, predicted, 1) == [2]  # the most missed
    assert choose(true[:1], predicted[:1], 4) == [0]


def test_moments_are_runs_of_clips_that_earn_half_of_the_most():
    weight, score = np.array([0.1, 0.3, 0.2, 0.1, 0.3]), np.array([1.0, 10.0, 10.0, 5.0, 8.0])
    start = np.arange(5) * 2.0
    moments, rest = top(weight, score, start, start + 2)
    assert [(m["start"], m["end"]) for m in moments] == [(2, 6), (8, 10)]
    assert moments[0]["weight"] == pytest.approx(0.5) and moments[0]["score"] == pytest.approx(10)
    assert moments[0]["contribution"] == pytest.approx(5) and moments[1]["contribution"] == pytest.approx(2.4)
    assert rest == {"weight": pytest.approx(0.2), "contribution": pytest.approx(0.6)}


def test_a_video_that_earns_nothing_has_no_moments():
    moments, rest = top(np.full(2, 0.5), np.full(2, -1.0), np.arange(2.0), np.arange(2.0) + 1)
    assert moments == [] and rest == {"weight": 1.0, "contribution": -1.0}


def test_the_same_inputs_give_the_same_bytes(contested, tmp_path):
    models = [juries.write(tmp_path / "m.pt")]
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        explain(contested, tmp_path / name, models, {"all": contest.TASK}, elements=contested.elements)
    one, two = (tmp_path / name / "explanations.json" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_a_single_score_is_spread_evenly(contested, tmp_path):
    model = juries.write(tmp_path / "m.pt", variant="single_score", head="single")
    (task,) = explain(contested, tmp_path, [model], {"all": contest.TASK})["tasks"]
    for video in task["videos"]:
        assert np.allclose(video["queries"]["weight"], 1 / juries.QUERIES, atol=1e-4)
        assert np.allclose(video["score"], video["predicted"], atol=1e-3)


def test_no_videos_cannot_be_explained(contested, tmp_path):
    with pytest.raises(ChoreoError, match="0 videos"):
        explain(contested, tmp_path, [], {"all": contest.TASK}, videos=0)
