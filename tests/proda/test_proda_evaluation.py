"""From checkpoints to `metrics.json` and the report's tables."""

import json

import numpy as np
import pytest
import untrained

from pipeline.errors import ChoreoError
from pipeline.metrics import read_metrics
from pipeline.proda.evaluation import over_seeds, proda_evaluate
from pipeline.proda.measuring import proda_measure


@pytest.fixture(scope="module")
def measured(world, tmp_path_factory):
    """What was measured of six networks on annotated graphs, and the same called predicted."""
    folder = tmp_path_factory.mktemp("measured")
    finals = [("full", 0), ("full", 1), ("encoder", 0), ("blind", 0), ("layernorm", 0)]
    models = [untrained.write(folder / f"{v}{s}.pt", world, v, s) for v, s in finals]
    early = [untrained.write(folder / "early.pt", world, "full", 0)]
    intervals = untrained.write_intervals(folder / "intervals.csv", world)
    paths = folder / "annotated.json", folder / "predicted.json"
    proda_measure(models, world.graphs, world.manifest, paths[0], pretrained=early, intervals=intervals)
    part = json.loads(paths[0].read_text())
    paths[1].write_text(json.dumps(part | {"graphs": "predicted"}))
    return paths


@pytest.fixture(scope="module")
def evaluated(measured, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluated")
    proda_evaluate(
        list(measured), folder / "metrics.json", folder / "analysis.json", run="small", paper={"map/prompt_free": 0.59}
    )
    return read_metrics(folder / "metrics.json"), json.loads((folder / "analysis.json").read_text())


def test_every_figure_of_the_contract_is_there_on_both_kinds_of_graphs(evaluated):
    figures = evaluated[0]["figures"]
    for name in (
        "map/prompt_free", "map/encoder_alone", "map/queried", "map/oracle_prompt", "map/prompt_only_control",
        "localisation/recall@0.5", "localisation/paper_map", "distance/intra", "distance/inter",
        "ablation/layernorm/map/oracle_prompt", "ablation/full/pretrained/map/oracle_prompt",
    ):  # fmt: skip
        assert name in figures and figures[f"predicted_graphs/{name}"] == figures[name]


def test_figures_name_the_run_and_are_means_over_seeds(evaluated, measured):
    metrics, _ = evaluated
    assert (metrics["run"], metrics["model"], metrics["seeds"]) == ("small", "proda", [0, 1])
    assert metrics["paper"] == {"map/prompt_free": 0.59}
    rows = json.loads(measured[0].read_text())["models"]
    values = [row["figures"]["map/queried"][0] for row in rows if row["variant"] == "full" and not row["pretrained"]]
    found = metrics["figures"]["map/queried"]
    assert found == {
        "mean": pytest.approx(np.mean(values)), "std": pytest.approx(np.std(values, ddof=1)), "n": 2, "unit": "share",
    }  # fmt: skip
    assert metrics["figures"]["map/encoder_alone"]["n"] == 1


def test_tables_hold_what_the_paper_tabulates(evaluated):
    tables = evaluated[1]["annotated"]
    assert evaluated[1]["predicted"] == tables
    assert np.shape(tables["paper_map"]["clean"]) == np.shape(tables["paper_map"]["distractor"]) == (3, 3)
    assert {row["kind"] for row in tables["robustness"]} == {"clean", "distractor"}
    assert len(tables["localisation"]["theta"]["weight"]) == 2  # one a seed
    assert len(tables["localisation"]["recall_by_theta"]["occlusion"]) == len(tables["localisation"]["grid"])
    shown = sum(labels > 0 for labels in tables["average_precision"]["queried"] if labels is not None)
    assert len(tables["actions"]) >= shown > 0
    assert all(len(point) == 3 for point in tables["separation"])


def test_comparisons_keep_the_papers_order_and_the_full_models_figures(evaluated):
    metrics, tables = evaluated
    norms = tables["annotated"]["comparisons"]["normalisation (Tables 4 and 12)"]
    assert [row["variant"] for row in norms] == ["layernorm", "full"]  # as far as they were measured
    mean = metrics["figures"]["map/oracle_prompt"]["mean"]
    assert norms[-1]["figures"]["map/oracle_prompt"]["mean"] == pytest.approx(mean, abs=1e-4)
    losses = tables["annotated"]["comparisons"]["losses (Tables 5 and 13)"]
    assert [row["variant"] for row in losses] == ["full", "encoder"]
    assert "pretrained/map/oracle_prompt" in losses[0]["figures"] and "map/prompt_free" in losses[1]["figures"]


def test_figures_over_seeds_are_taken_over_the_networks_that_have_them():
    rows = [{"figures": {"a": [0.2, "share"], "b": [3, "length"]}}, {"figures": {"a": [0.4, "share"]}}]
    found = over_seeds(rows)
    assert found["a"]["mean"] == pytest.approx(0.3) and found["a"]["n"] == 2
    assert found["b"] == {"mean": 3.0, "std": 0.0, "n": 1, "unit": "length"}


def test_the_same_measurements_give_the_same_bytes(measured, tmp_path):
    for name in ("one", "two"):
        proda_evaluate(list(measured), tmp_path / f"{name}.json", tmp_path / f"{name}-tables.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert (tmp_path / "one-tables.json").read_bytes() == (tmp_path / "two-tables.json").read_bytes()


def test_a_figure_without_its_control_is_said_so(measured, tmp_path, caplog):
    part = json.loads(measured[0].read_text())
    part["models"] = [row for row in part["models"] if row["variant"] != "blind"]
    path = tmp_path / "part.json"
    path.write_text(json.dumps(part))
    proda_evaluate([path], tmp_path / "metrics.json", tmp_path / "analysis.json")
    assert "map/oracle_prompt stands without its control" in caplog.text


def test_measurements_of_other_videos_do_not_mix(measured, tmp_path):
    part = json.loads(measured[0].read_text())
    path = tmp_path / "other.json"
    path.write_text(json.dumps(part | {"videos": part["videos"] | {"test": 1}}))
    with pytest.raises(ChoreoError, match="other videos"):
        proda_evaluate([measured[0], path], tmp_path / "metrics.json", tmp_path / "analysis.json")


@pytest.mark.parametrize(
    "text", ["", "[]", '{"graphs": "annotated"}', '{"graphs": "drawn", "models": [], "actions": [], "videos": {}}']
)
def test_a_file_that_was_not_measured_is_named(text, tmp_path):
    path = tmp_path / "part.json"
    path.write_text(text)
    with pytest.raises(ChoreoError, match=r"part\.json"):
        proda_evaluate([path], tmp_path / "metrics.json", tmp_path / "analysis.json")


def test_networks_of_two_prompt_lengths_are_not_compared(world, tmp_path):
    one, two = untrained.network(world), untrained.network(world)
    two.recipe["length"] = 7
    paths = []
    for name, it in (("one", one), ("two", two)):
        paths.append(tmp_path / f"{name}.pt")
        untrained.trained.save(paths[-1], it, it.network.state_dict())
    with pytest.raises(ChoreoError, match=r"lengths \[4, 7\]"):
        proda_measure(paths, world.graphs, world.manifest, tmp_path / "part.json")


def test_without_intervals_there_is_no_localisation(world, tmp_path):
    out = tmp_path / "part.json"
    proda_measure([untrained.write(tmp_path / "m.pt", world)], world.graphs, world.manifest, out)
    (row,) = json.loads(out.read_text())["models"]
    assert "map/queried" in row["figures"] and not any("localisation" in name for name in row["figures"])
    proda_evaluate([out], tmp_path / "metrics.json", tmp_path / "analysis.json")
    assert "paper_map" not in json.loads((tmp_path / "analysis.json").read_text())["annotated"]
