"""From checkpoints and baselines to `metrics.json` and the report's tables."""

import json

import contest
import juries
import numpy as np
import pytest
from scipy.stats import spearmanr

from pipeline.aqa.baselines import aqa_baselines
from pipeline.aqa.data import load
from pipeline.aqa.evaluation import aqa_evaluate, correlation, drawn, interval
from pipeline.aqa.measures import bootstrap, spearman
from pipeline.aqa.trained import answers
from pipeline.errors import ChoreoError
from pipeline.metrics import read_metrics

VARIANTS = {  # and what else makes them differ, as they are not trained
    "full": {}, "no_attention_loss": {"query_position": False}, "single_score": {"head": "single"},
    "published": {"redraw": True},
}  # fmt: skip


def inputs(world: contest.Contest) -> dict[str, object]:
    """What every stage reads."""
    return {"features": world.features, "scores": world.scores, "manifest": world.manifest}


@pytest.fixture(scope="module")
def made(contested, tmp_path_factory):
    """Checkpoints of two tasks, four variants and two seeds, and the baselines of both tasks."""
    folder = tmp_path_factory.mktemp("made")
    models, baselines = [], []
    for name, task in juries.TASKS.items():
        for variant in VARIANTS:
            for seed in (0, 1):
                path = folder / name / variant / f"model-{seed}.pt"
                models.append(juries.write(path, task, variant, seed, **VARIANTS[variant]))
        baselines.append(folder / name / "baselines.json")
        aqa_baselines(**inputs(contested), out=baselines[-1], task=task, seeds=(0, 1), epochs=6, hidden=8)
    return {"models": models, "baselines": baselines}


def evaluate(world, folder, made, **options):
    """`metrics.json` and the tables of an evaluation."""
    paths = {"out": folder / "metrics.json", "analysis": folder / "analysis.json"}
    aqa_evaluate(**inputs(world) | made | paths | {"tasks": juries.TASKS, "samples": 200} | options)
    return read_metrics(paths["out"]), json.loads(paths["analysis"].read_text())


@pytest.fixture(scope="module")
def evaluated(contested, made, tmp_path_factory):
    paper = {"srcc": 0.842, "srcc/ball": 0.823, "srcc/hoop": 0.837}
    folder = tmp_path_factory.mktemp("evaluated")
    return evaluate(contested, folder, made, elements=contested.elements, run="small", paper=paper)


def test_every_figure_of_the_contract_is_there(evaluated):
    metrics, _ = evaluated
    assert (metrics["run"], metrics["model"], metrics["seeds"]) == ("small", "aqa", [0, 1])
    for name in (
        "srcc", "srcc/ball", "srcc/ribbon", "srcc/ridge", "srcc/svr", "srcc/mean_mlp", "srcc/lstm",
        "srcc/single_score", "srcc/no_attention_loss", "rl2", "rl2/ball", "rl2/lstm", "skipping_index",
        "skipping_index/layer1", "skipping_index/layer2", "skipping_index/without_attention_loss", "alignment",
        "effective_rank/layer1", "truth/weight_correlation", "truth/weight_correlation/chance",
        "truth/score_correlation", "truth/score_correlation/pooled", "truth/element_contribution_correlation",
    ):  # fmt: skip
        assert name in metrics["figures"], name
    assert metrics["figures"]["srcc"]["n"] == metrics["figures"]["srcc/lstm"]["n"] == 2
    assert metrics["figures"]["srcc/ridge"]["n"] == 1  # one for all seeds


def test_a_seeds_correlation_is_the_mean_over_tasks_of_what_its_models_say(evaluated, contested, made):
    values = []
    for seed in (0, 1):
        found = []
        for task in juries.TASKS.values():
            data = load(contested.features, contested.manifest, contested.scores, task=task)
            said = [answer.score for answer in answers(juries.jury(task, seed=seed), data.roles["test"])]
            found.append(spearmanr(said, data.roles["test"].targets).statistic)
        values.append(np.mean(found))
    assert evaluated[0]["figures"]["srcc"] == {
        "mean": pytest.approx(np.mean(values)), "std": pytest.approx(np.std(values, ddof=1)), "n": 2,
        "unit": "correlation",
    }  # fmt: skip


def test_the_papers_figures_stand_beside_ours_where_there_are_some(evaluated):
    assert evaluated[0]["paper"] == {"srcc": 0.842, "srcc/ball": 0.823}


def test_models_are_compared_on_the_same_draws(evaluated):
    rows = {row["name"]: row for row in evaluated[1]["compared"]}
    assert list(rows) == [*VARIANTS, "ridge", "svr", "mean_mlp", "lstm"]
    assert [row["kind"] for row in rows.values()] == ["model"] + ["variant"] * 3 + ["baseline"] * 4
    assert [name for name, row in rows.items() if row["random"]] == ["published"]
    assert "behind" not in rows["full"]
    for name, row in rows.items():
        low, high = row["interval"]
        assert low < row["srcc"]["mean"] < high and row["doc"]
        if name != "full":
            assert row["behind"] == pytest.approx(rows["full"]["srcc"]["mean"] - row["srcc"]["mean"], abs=2e-4)
            assert row["behind_interval"][0] < row["behind"] < row["behind_interval"][1]
        assert set(row["tasks"]) == {"ball", "ribbon"}
        means = [of["srcc"]["mean"] for of in row["tasks"].values()]
        assert np.mean(means) == pytest.approx(row["srcc"]["mean"], abs=2e-4)


def test_tasks_tell_what_was_said_of_every_test_video(evaluated, contested):
    for row in evaluated[1]["tasks"]:
        data = load(contested.features, contested.manifest, contested.scores, task=juries.TASKS[row["name"]])
        test = data.roles["test"]
        assert row["ids"] == test.ids and row["undefined"] is None and row["videos"]["test"] == len(test)
        assert np.allclose(row["true"], 25 * test.targets, atol=1e-3)
        said = [
            [answer.score for answer in answers(juries.jury(juries.TASKS[row["name"]], seed=seed), test)]
            for seed in (0, 1)
        ]
        assert np.allclose(row["predicted"]["full"], np.mean(said, axis=0), atol=1e-3)


def test_comparisons_keep_the_papers_order_as_far_as_variants_were_trained(evaluated):
    comparisons = evaluated[1]["comparisons"]
    assert {title: [row["variant"] for row in rows] for title, rows in comparisons.items()} == {
        "attention loss": ["no_attention_loss", "full"], "head": ["single_score", "full"],
        "published": ["published", "full"],
    }  # fmt: skip
    figures = comparisons["attention loss"][0]["figures"]
    assert figures["skipping_index"]["mean"] == pytest.approx(
        evaluated[0]["figures"]["skipping_index/without_attention_loss"]["mean"], abs=1e-4
    )


def test_one_task_has_no_figures_of_its_own(contested, tmp_path):
    made = {"models": [juries.write(tmp_path / "m.pt")], "baselines": []}
    metrics, tables = evaluate(contested, tmp_path, made, tasks={"all": contest.TASK})
    assert "srcc/all" not in metrics["figures"] and not any("truth" in name for name in metrics["figures"])
    assert tables["compared"][0]["tasks"] == {} and tables["comparisons"] == {}


def test_the_same_inputs_give_the_same_bytes(contested, tmp_path):
    made = {"models": [juries.write(tmp_path / "m.pt")], "baselines": []}
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        evaluate(contested, tmp_path / name, made, tasks={"all": contest.TASK}, elements=contested.elements)
    for file in ("metrics.json", "analysis.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_equal_test_scores_leave_the_correlation_undefined_and_say_so(contested, tmp_path, caplog):
    data = load(contested.features, contested.manifest, contested.scores, task=contest.TASK)
    known = {i: 25 * t for videos in data.roles.values() for i, t in zip(videos.ids, videos.targets, strict=True)}
    scores = tmp_path / "equal.csv"
    contest.write_scores(scores, total=known | dict.fromkeys(data.roles["test"].ids, 12.5))
    made = {"models": [juries.write(tmp_path / "m.pt")], "baselines": [], "scores": scores}
    metrics, tables = evaluate(contested, tmp_path, made, tasks={"all": contest.TASK}, paper={"srcc": 0.8})
    assert not {"srcc", "rl2"} & metrics["figures"].keys() and metrics["paper"] == {}
    assert "all 40 test scores are equal (12.5)" in tables["tasks"][0]["undefined"]
    assert tables["compared"][0]["srcc"] is None and tables["compared"][0]["interval"] is None
    assert "Spearman's correlation is undefined" in caplog.text


def test_one_score_for_all_videos_counts_as_no_correlation():
    assert correlation(np.full(5, 3.0), np.arange(5)) == 0
    assert np.isnan(correlation(np.arange(5), np.full(5, 3.0)))
    assert correlation(np.arange(5), np.array([0, 1, 2, 4, 3])) == pytest.approx(0.9)


def test_draws_are_the_bootstraps_and_give_its_interval():
    rng = np.random.default_rng(0)
    true, scores = rng.normal(size=25).round(1), rng.normal(size=(3, 25)).round(1)  # with ties
    draws = drawn(scores, true, 300, seed=4)

    def mean(true, *each):
        return float(np.mean([spearman(one, true) for one in each]))

    assert interval(draws) == pytest.approx(bootstrap(mean, true, *scores, samples=300, seed=4), abs=1e-12)


def test_draws_without_two_true_scores_are_left_out():
    draws = drawn(np.array([[1.0, 2.0]]), np.array([0.0, 1.0]), 50)
    assert np.isnan(draws).any() and interval(draws) == pytest.approx([1, 1])
    assert interval(np.full(3, np.nan)) is None


def test_a_model_of_another_task_is_named(contested, tmp_path):
    other = juries.write(tmp_path / "m.pt", contest.TASK | {"range": [0, 43]})
    with pytest.raises(ChoreoError, match=r"m\.pt is of the task .*43"):
        evaluate(contested, tmp_path, {"models": [other], "baselines": []}, tasks={"all": contest.TASK})


def test_tasks_without_some_models_are_named(contested, made, tmp_path):
    some = made | {"models": [path for path in made["models"] if path.parts[-3:-1] != ("ribbon", "published")]}
    with pytest.raises(ChoreoError, match=r"'published' was not trained alike .*'ribbon': none"):
        evaluate(contested, tmp_path, some)
    with pytest.raises(ChoreoError, match="'full' was not trained alike"):
        evaluate(contested, tmp_path, {"models": [], "baselines": []})
    with pytest.raises(ChoreoError, match="'full' was named twice"):
        evaluate(contested, tmp_path, made | {"models": 2 * made["models"]})


def test_baselines_of_other_videos_do_not_mix(contested, made, tmp_path):
    content = json.loads(made["baselines"][0].read_text())
    path = tmp_path / "baselines.json"
    for change, said in (
        ({"ids": content["ids"][1:]}, "other test videos"), ({"protocol": "published"}, "another protocol"),
    ):  # fmt: skip
        path.write_text(json.dumps(content | change))
        with pytest.raises(ChoreoError, match=said):
            evaluate(contested, tmp_path, made | {"baselines": [path, made["baselines"][1]]})


@pytest.mark.parametrize("text", ["", "[]", '{"task": {}}', '{"task": 3, "ids": [], "baselines": []}'])
def test_a_file_that_is_no_baseline_is_named(text, contested, made, tmp_path):
    path = tmp_path / "odd.json"
    path.write_text(text)
    with pytest.raises(ChoreoError, match=r"odd\.json|a task lacks"):
        evaluate(contested, tmp_path, made | {"baselines": [path]})


def test_a_task_called_as_a_variant_is_refused(contested, tmp_path):
    made = {"models": [juries.write(tmp_path / "m.pt")], "baselines": []}
    with pytest.raises(ChoreoError, match="a task is called 'full'"):
        evaluate(contested, tmp_path, made, tasks={"full": contest.TASK})


def test_a_model_of_other_features_is_named(contested, tmp_path):
    other = juries.write(tmp_path / "m.pt", features=10)
    with pytest.raises(ChoreoError, match=r"m\.pt reads 10 features, and the clips have 12"):
        evaluate(contested, tmp_path, {"models": [other], "baselines": []}, tasks={"all": contest.TASK})
