"""The form of metrics.json, and the table made from it."""

import json

import pytest

from pipeline.errors import ChoreoError
from pipeline.metrics import check, figure, read_metrics, table, write_metrics


def write(path, **changes):
    fields = {"run": "demo", "model": "dance", "protocol": "strict", "seeds": [0, 1]}
    fields |= {"figures": {"accuracy": figure([0.8, 0.9])}, "paper": {"accuracy": 0.875}}
    write_metrics(path, **(fields | changes))
    return path


def test_a_figure_is_mean_sample_deviation_and_number_of_its_seeds():
    assert figure([0.8, 0.9, 1.0]) == {"mean": pytest.approx(0.9), "std": pytest.approx(0.1), "n": 3, "unit": "share"}
    assert figure(2, "torso") == {"mean": 2.0, "std": 0.0, "n": 1, "unit": "torso"}


def test_what_is_written_is_read(tmp_path):
    path = write(tmp_path / "deep" / "metrics.json")
    assert read_metrics(path)["figures"]["accuracy"] == figure([0.8, 0.9])
    assert [p.name for p in path.parent.iterdir()] == ["metrics.json"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"figures": {"accuracy": {"mean": 1.0}}}, "figures/accuracy/std"),
        ({"figures": {"accuracy": figure(float("nan"))}}, "figures/accuracy/mean"),
        ({"protocol": "secret"}, "secret"),
        ({"paper": {"accuracy": "87.5"}}, "paper/accuracy"),
        ({"paper": {"speed": 1.0}}, "paper/speed"),
    ],
)
def test_figures_of_another_form_are_refused_and_named(tmp_path, change, named):
    with pytest.raises(ChoreoError, match=named):
        write(tmp_path / "metrics.json", **change)
    assert not (tmp_path / "metrics.json").exists()


def test_missing_and_unknown_fields_are_named(tmp_path):
    metrics = json.loads(write(tmp_path / "metrics.json").read_text())
    with pytest.raises(ChoreoError, match="seeds is missing"):
        check({k: v for k, v in metrics.items() if k != "seeds"})
    with pytest.raises(ChoreoError, match="mood is not known"):
        check(metrics | {"mood": "good"})
    (tmp_path / "metrics.json").write_text("{")
    with pytest.raises(ChoreoError, match=r"metrics\.json"):
        read_metrics(tmp_path / "metrics.json")


def test_the_table_puts_models_side_by_side_with_their_papers_and_says_what_leaks(tmp_path):
    one = write(tmp_path / "a.json")
    two = write(tmp_path / "b.json", model="proda", protocol="published", figures={"map": figure(0.5)}, paper={})
    lines = table([one, two]).splitlines()
    header = [cell.strip() for cell in lines[0].strip("|").split("|")]
    assert header == ["figure", "unit", "demo: dance (strict)", "paper", "demo: proda (published)"]
    cells = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert cells == ["accuracy", "share", "0.850 ± 0.071 (2)", "0.875", ""]
    assert any("published" in line and "optimistic" in line for line in lines)
    with pytest.raises(ChoreoError, match="no figures"):
        table([])


def test_runs_are_told_together_by_the_mean_of_their_means(tmp_path):
    paths = [write(tmp_path / f"{k}.json", figures={"accuracy": figure([k, k + 0.2])}, paper={}) for k in (0.2, 0.4)]
    text = table(paths, mean=True)
    assert "2 runs: dance (strict)" in text and "0.400 ± 0.141 (2)" in text
