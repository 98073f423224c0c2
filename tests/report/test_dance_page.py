"""DANCE's page as a whole: what it says, what it loads, how it holds with less to show."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from dance_run import ACTIVATION, BIAS, CLASSES, NASTY, WEIGHT, explanations, table
from reading import Reader, section

from pipeline.artifacts import create
from pipeline.errors import ChoreoError
from pipeline.metrics import write_metrics


def numbers(html: str) -> list[int]:
    """Signed numbers of two digits after the point, in hundredths."""
    return [int(n.replace("−", "-").replace("+", "").replace(".", "")) for n in re.findall(r">([+−]\d+\.\d\d)<", html)]


def test_the_page_loads_nothing(run):
    page = run.page()
    loads = [
        v for _, name, v in Reader(page).attributes if name in ("src", "href", "srcset", "data", "action", "poster")
    ]
    assert any(v.startswith("data:image/jpeg") for v in loads)
    assert all(v.startswith(("data:image/jpeg;base64,", "#")) for v in loads)
    assert "http:" not in page and "https:" not in page and "url(" not in page and "@import" not in page
    assert "default-src 'none'" in page


def test_every_tag_is_closed_and_every_link_leads_somewhere(run):
    reader = Reader(run.page())
    assert reader.open == []
    ids = [v for _, name, v in reader.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {v[1:] for _, name, v in reader.attributes if name == "href"} <= set(ids)


def test_contributions_as_shown_add_up_to_the_logit_as_shown(run):
    tables = re.findall(r'<table class="bars contributions">.*?</table>', run.page(), re.DOTALL)
    assert len(tables) == len(ACTIVATION)
    for (_, z), html in zip(ACTIVATION.items(), tables, strict=True):
        parts = numbers(" ".join(re.findall(r'<td class="num part">.*?</td>', html)))
        (logit,) = numbers(" ".join(re.findall(r'<td class="num logit">.*?</td>', html)))
        assert sum(parts) == logit == round(100 * (WEIGHT @ z + BIAS).max())
        assert len(parts) >= 3


def test_a_concept_that_is_less_active_than_usual_is_marked_not(run):
    html = re.findall(r'<table class="bars contributions">.*?</table>', run.page(), re.DOTALL)
    assert '<span class="not">NOT</span>gym' in html[2]  # v2: activation -1.3 x weight -0.25
    assert "NOT" not in html[1].split("sum of")[0]  # v1: its two bars are active


def test_names_are_text_and_never_markup(run):
    page = run.page()
    assert NASTY not in page and "<i>rope</i>" not in page and "bad<1>" not in page
    text = Reader(page).text
    assert NASTY in text and "<i>rope</i>" in text and "bad<1>" in text


def test_failures_are_listed_with_stage_and_reason(run):
    words = Reader(section(run.page(), "failures")).text
    assert "1 of 4 videos" in words and "bad<1> pose it breaks off" in words


def test_without_failures_the_page_says_so(run):
    table(run.inputs["failures"], ("id", "stage", "reason"), [], "\t")
    words = Reader(section(run.page(), "failures")).text
    assert "None" in words and "<table" not in words


def test_the_same_inputs_give_the_same_bytes(run):
    assert run.page() == run.page()


def test_the_published_protocol_says_that_it_leaks(run):
    words = Reader(run.page()).text
    assert "published : as the authors' code does" in words and "leak" in words


def test_figures_stand_with_their_spread_and_the_papers(run):
    words = Reader(section(run.page(), "figures")).text.replace("\u00a0", " ")
    assert "92.0 ± 2.8 %" in words and "95.0 %" in words and "20.0 %" in words
    assert "odd/one 3 apples" in words  # a figure that has no words of its own yet
    assert 'title="paper: 87.5' in run.page()


def test_every_listed_concept_has_a_fate_and_a_reason(run):
    words = Reader(section(run.page(), "concepts")).text
    assert f"<i>rope</i> object in the model listed for {NASTY}" in words
    assert "glitter object dropped no training video shows it clearly (first cut-off)" in words
    assert "unicorn object dropped the features do not tell it on val (second cut-off)" in words
    assert "ropes object dropped the same as 'rope'" in words


def test_motion_concepts_say_where_their_clips_come_from(run):
    words = Reader(section(run.page(), "concepts")).text.replace("\u00a0", " ")
    assert f"motion 0 5 clips: 100 % {NASTY}" in words and "motion 1 4 clips: 100 % lifting" in words


def test_a_video_is_shown_with_film_truth_and_its_own_pose(run):
    page = run.page(frames=5)
    first, _, third = section(page, "videos").split("<article")[1:]
    assert first.count("<img") == 5 and 'class="verdict right"' in first
    assert 'class="skeleton own"' in first and "frames 0 to 5 of this video" in first
    assert "wrong: it is waving" in third and "Without motion 0 it would say “waving”" in third


def test_a_video_that_is_gone_is_explained_without_its_frames(run):
    third = section(run.page(), "videos").split("<article")[3]
    assert "<img" not in third and "there is no video" in third and "contributions" in third


def test_a_page_needs_neither_figures_nor_artifacts_nor_videos(run):
    empty = explanations() | {"videos": [], "edits": [], "pairs": [], "confusion": [[0] * 3] * 3}
    run.inputs["explanations"].write_text(json.dumps(empty))
    table(run.inputs["dropped"], ("kind", "concept", "reason"), [])
    told = {"run": "small", "model": "dance", "protocol": "strict", "seeds": []}
    write_metrics(run.inputs["metrics"], figures={}, **told)
    reader = Reader(run.page(artifacts=[]))
    assert reader.open == []
    assert "Nothing has been evaluated" in reader.text and "No video was explained" in reader.text


def test_a_model_without_motion_concepts_is_reported(run):
    bare = explanations() | {"videos": [], "edits": [], "motion": []}
    bare["concepts"] = [{"name": n, "kind": "object"} for n in "abcd"]
    run.inputs["explanations"].write_text(json.dumps(bare))
    assert "The model has no motion concepts" in Reader(run.page()).text


def test_a_hundred_classes_are_folded(run):
    many = explanations()
    extra = 98
    many["classes"] = [*CLASSES, *(f"class {n}" for n in range(extra))]
    many["weights"] += [[[0, 0.5]]] * extra
    many["confusion"] = np.eye(len(many["classes"]), dtype=int).tolist()
    for video in many["videos"]:
        video["scores"] += [-5.0] * extra
    run.inputs["explanations"].write_text(json.dumps(many))
    page = run.page()
    assert section(page, "classes").count("<details>") == 101
    assert len(page) < 2e6


def test_provenance_names_every_input_and_the_encoder(run):
    page = run.page()
    words = Reader(section(page, "provenance")).text
    for name in ("pose", "motion_concepts", "pseudo_labels", "manifest.csv", "metrics.json", "failures.tsv"):
        assert f"{name} 1 " in words
    assert "onnx:pose@0123456789ab" in words


def test_the_provenance_changes_with_an_artifact(run):
    before = section(run.page(), "provenance")
    with create(run.inputs["artifacts"][0], "pose", ids=[], model="another") as _:
        pass
    assert section(run.page(), "provenance") != before


def test_a_missing_input_is_an_error_that_helps(run):
    with pytest.raises(ChoreoError, match=r"none.json(?s:.*)has not run"):
        run.page(explanations=run.folder / "none.json")


@pytest.mark.parametrize("content", ["{}", "[]", "{", '{"classes": []}'])
def test_a_file_that_is_no_explanation_is_an_error_that_helps(run, content):
    run.inputs["explanations"].write_text(content)
    with pytest.raises(ChoreoError, match=r"lacks (?s:.*)delete it"):
        run.page()


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node to read JavaScript")
def test_the_script_is_sound_javascript(run):
    script = re.search(r"<script>(.*)</script>", run.page(), re.DOTALL).group(1)
    subprocess.run(["node", "--check", "-"], input=script, text=True, check=True)
