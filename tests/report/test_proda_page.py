"""ProDA's page: every prompted figure beside its control, comparisons as they came out, videos asked."""

import json
import re

import pytest
from dance_run import NASTY
from proda_run import ProdaRun, build
from reading import Reader, section

from pipeline.errors import ChoreoError
from pipeline.metrics import write_metrics


@pytest.fixture
def run(tmp_path) -> ProdaRun:
    """The inputs of a report; tests may change them."""
    return build(tmp_path)


def words(page: str, name: str) -> str:
    """What a section says."""
    return Reader(section(page, name)).text.replace("\u00a0", " ")


def test_the_page_loads_nothing_and_closes_every_tag(run):
    page = run.page()
    reader = Reader(page)
    loads = [v for _, name, v in reader.attributes if name in ("src", "href", "srcset", "data", "action", "poster")]
    assert any(v.startswith("data:image/jpeg") for v in loads)
    assert all(v.startswith(("data:image/jpeg;base64,", "#")) for v in loads)
    assert "http:" not in page and "https:" not in page and "url(" not in page and "@import" not in page
    assert reader.open == []
    ids = [v for _, name, v in reader.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {v[1:] for _, name, v in reader.attributes if name == "href"} <= set(ids)


def test_names_are_text_and_never_markup(run):
    page = run.page()
    assert NASTY not in page and "<i>box</i>" not in page and "bad<1>" not in page
    text = Reader(page).text
    assert NASTY in text and "<i>box</i>" in text and "bad<1>" in text


def test_the_same_inputs_give_the_same_bytes(run):
    assert run.page() == run.page()


def test_prompted_figures_stand_beside_what_the_prompt_alone_gives_away(run):
    said = words(run.page(), "figures")
    assert re.search(r"Queried .*? 79.0 ± 1.4 % prompt alone 30.0 ± 0.0 %", said)
    assert re.search(r"Oracle prompt .*? oracle graphs 91.0 ± 1.4 % prompt alone 61.0 ± 1.4 %", said)
    free = said.split("Prompt-free")[1].split("Encoder alone")[0]
    assert "81.0 ± 1.4 %" in free and "prompt alone" not in free


def test_a_prompted_figure_without_its_control_says_so(run):
    figures = json.loads(run.inputs["metrics"].read_text())["figures"]
    bare = {name: f for name, f in figures.items() if "control" not in name}
    write_metrics(run.inputs["metrics"], run="small", model="proda", protocol="strict", seeds=[0], figures=bare)
    assert words(run.page(), "figures").count("no control was run") == 3


def test_the_papers_figure_is_marked(run):
    assert 'title="paper: 71.1\u00a0%"' in section(run.page(), "figures")


def test_figures_without_a_place_of_their_own_are_listed(run):
    said = words(run.page(), "figures")
    assert "odd/one 12.5 %" in said and "Video zeroed in test alone 50.0 ± 0.0 %" in said


def test_actions_that_no_test_video_shows_have_no_average_precision(run):
    said = words(run.page(), "figures")
    assert f"{NASTY} 50.0 % 50.0 % 75.0 %" in said and "waving" not in said


def test_comparisons_say_whether_the_order_is_the_papers(run):
    said = words(run.page(), "comparisons")
    assert "The order is the paper's: DPM > SimplePrompt." in said
    assert "1 of 1 step between neighbours exceeds the spread" in said
    assert "Here BatchNorm > VGNorm > LayerNorm; in the paper VGNorm > LayerNorm > BatchNorm." in said
    assert "1 of 2 steps between neighbours exceeds the spread" in said
    assert "Losses" not in said  # none of its variants but the full model was trained


def test_robustness_stands_beside_the_papers_by_number_of_labels(run):
    assert "2 7 99.0 ± 1.0 % 100.0 ± 0.0 % 80.0 ± 5.0 % 90.5 ± 3.5 %" in words(run.page(), "prompts")


def test_localisation_stands_beside_guesses_and_the_papers_tables(run):
    said = words(run.page(), "time")
    assert re.search(r"By frame weights .*? 61.0 ± 1.4 %", said) and re.search(r"The middle half .*? 50.0 %", said)
    assert "0.5 60.0 % 74.4 % 50.0 % 43.4 % 40.0 % 27.8 %" in said  # Table 9, theta 0.5
    assert "0.5 60.0 % 64.2 % 50.0 % 33.7 % 40.0 % 20.8 %" in said  # Table 8


def test_points_are_coloured_by_their_action(run):
    hues = re.findall(r'<circle [^>]*style="--hue:(\d+)"', section(run.page(), "features"))
    assert len(hues) == 3 and hues[1] == hues[2] != hues[0]


def test_a_video_can_be_asked_about_each_action_without_a_script(run):
    page = run.page()
    assert "<script" in page  # tables are sorted by one
    first = section(page, "videos").split("<article")[1]
    assert first.count('type="radio"') == 2 and first.count("checked") == 1
    for k in range(2):
        assert f'[value="{k}"]:checked) [data-ask]:not([data-ask="{k}"])' in page
        assert f'<div class="answer" data-ask="{k}">' in first


def test_answers_are_told_as_right_or_wrong(run):
    first, second, third = section(run.page(), "videos").split("<article")[1:]
    assert "which is right" in first and "which is wrong" not in first
    assert "no 4\u00a0%, wrong" in second and "missed" in second  # it shows opening a box
    assert "yes 93\u00a0%, wrong" in third and "not shown" in third


def test_true_and_found_frames_lie_on_the_time_of_the_film(run):
    first = section(run.page(), "videos").split("<article")[1]
    assert first.count("<li>") == 4 and "It happens from 0.1 to 0.2 s" in first
    true, found = re.findall(r'<span class="spans[^"]*"[^>]*><i style="left:([\d.]+)%;width:([\d.]+)%"', first)[:2]
    assert float(true[0]) == pytest.approx(100 * (0.5 + 0.1 / 0.12) / 4, abs=0.1)
    assert found == ("25.0", "50.0")


def test_a_threshold_that_could_not_be_chosen_is_told(run):
    assert "a threshold chosen on val" in words(run.page(), "videos")
    run.rewrite("explanations", chosen=False)
    assert "val has no true intervals" in words(run.page(), "videos")


def test_weights_of_nodes_and_edges_are_means_over_the_frames_that_show_them(run):
    first = section(run.page(), "videos").split("<article")[1]
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', first, re.DOTALL)
    cells = {name: re.findall(r"<span>([\d.]+)</span>", row) for name, row in rows}
    assert cells["person"] == ["0.90", "0.90"]  # nodes of both branches; no edge with itself
    assert cells["&lt;i&gt;box&lt;/i&gt;"] == ["0.40", "0.15", "0.20", "0.20", "0.15", "0.20"]


def test_boxes_of_kept_nodes_are_drawn_on_the_frames_that_show_them(run):
    first = section(run.page(), "videos").split("<article")[1]
    film = first.split("</ol>")[0]
    assert film.count('<rect class="kept"') + film.count('<rect class="left"') == 2 * (4 + 3)  # two questions
    assert '<b class="tag"' in first.split("</ol>")[1] and "The person to the &lt;i&gt;box&lt;/i&gt;: holding." in first


def test_a_video_that_is_gone_is_explained_without_its_frames(run):
    third = section(run.page(), "videos").split("<article")[3]
    assert "<img" not in third and "there is no video" in third and 'class="heat' in third


def test_a_page_needs_neither_tables_nor_intervals_nor_videos(run):
    run.inputs["analysis"].write_text("{}")
    run.rewrite("explanations", videos=[])
    write_metrics(run.inputs["metrics"], run="small", model="proda", protocol="strict", seeds=[], figures={})
    reader = Reader(run.page(artifacts=[]))
    assert reader.open == []
    for said in ("Nothing has been evaluated", "No variant beside", "No true intervals", "No video was asked about"):
        assert said in reader.text


def test_provenance_tells_both_kinds_of_graphs_and_the_checkpoints(run):
    page = run.page()
    said = words(page, "provenance")
    assert "scene_graphs 1 " in said and "model.pt 2 " in said
    for origin in ("annotated", "predicted"):
        assert page.count(f"{origin}+open_clip:small@0123456789ab") == 2  # in the head too
    run.inputs["artifacts"][-1].write_bytes(b"another")
    assert words(run.page(), "provenance") != said


def test_predicted_graphs_alone_are_reported(run):
    tables = json.loads(run.inputs["analysis"].read_text())["annotated"]
    run.inputs["analysis"].write_text(json.dumps({"predicted": tables}))
    assert "DPM" in words(run.page(), "comparisons")


@pytest.mark.parametrize("content", ["{}", "[]", "{", '{"actions": []}'])
def test_a_file_that_is_no_explanation_is_an_error_that_helps(run, content):
    run.inputs["explanations"].write_text(content)
    with pytest.raises(ChoreoError, match=r"lacks (?s:.*)proda_explain(?s:.*)delete it"):
        run.page()
