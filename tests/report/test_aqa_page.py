"""AQA's page: figures with intervals, comparisons as they came out, videos whose seconds add up to their score."""

import json
import re
from dataclasses import replace

import pytest
from aqa_run import AqaRun, build, metrics
from dance_run import NASTY
from reading import Reader, section

from pipeline.errors import ChoreoError
from pipeline.manifest import Manifest


@pytest.fixture
def run(tmp_path) -> AqaRun:
    """The inputs of a report; tests may change them."""
    return build(tmp_path)


def words(page: str, name: str) -> str:
    """What a section says."""
    return Reader(section(page, name)).text.replace("\u00a0", " ")


def test_the_page_loads_nothing_and_closes_every_tag(run):
    page = run.page()
    reader = Reader(page)
    loads = [v for _, name, v in reader.attributes if name in ("src", "href", "srcset", "data", "action", "poster")]
    assert any(v.startswith("data:image/jpeg") for v in loads) and any(v.startswith("data:image/png") for v in loads)
    assert all(v.startswith(("data:image/jpeg;base64,", "data:image/png;base64,", "#")) for v in loads)
    assert "http:" not in page and "https:" not in page and "url(" not in page and "@import" not in page
    assert reader.open == []
    ids = [v for _, name, v in reader.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {v[1:] for _, name, v in reader.attributes if name == "href"} <= set(ids)


def test_names_are_text_and_never_markup(run):
    page = run.page()
    assert NASTY not in page and "<i>leap</i>" not in page and "bad<1>" not in page
    text = Reader(page).text
    assert NASTY in text and "<i>leap</i>" in text and "bad<1>" in text


def test_videos_without_classes_are_counted_and_no_class_is_spoken_of(run):
    assert "3 in 1 classes" in Reader(run.page()).text
    manifest = run.inputs["manifest"]
    Manifest([replace(video, labels=()) for video in Manifest.read(manifest).videos]).write(manifest)
    text = Reader(run.page()).text
    assert "Videos 3: 3 test" in text and "by class" not in text


def test_the_same_inputs_give_the_same_bytes(run):
    assert run.page() == run.page()


def test_correlations_stand_with_their_intervals_beside_the_baselines(run):
    page = run.page()
    said = words(page, "figures")
    assert "Weights and scores 0.850 ± 0.014 0.750 to 0.900" in said
    assert re.search(r"Ridge 0.800 ± 0.014 0.700 to 0.850 1.20 0.050 0.020 to 0.090 behind by more", said)
    assert re.search(r"LSTM .*? −0.050 to 0.080 which of both is better, so few test videos cannot tell", said)
    assert 'title="paper: 0.842"' in section(page, "figures")
    assert "no_attention_loss" not in said  # it has its place in the comparisons


def test_whiskers_are_the_interval_over_test_videos(run):
    bar = section(run.page(), "figures").split("Ridge<span>")[1]
    left, width = map(float, re.search(r'<u style="left:([\d.]+)%;width:([\d.]+)%"', bar).groups())
    assert (left, width) == (pytest.approx(70), pytest.approx(15))


def test_every_task_stands_beside_the_papers_figure(run):
    said = words(run.page(), "figures")
    assert re.search(r"Ball 0.850 ± 0.014 0.750 to 0.900 .*? 0.823 Ribbon 0.850", said)


def test_figures_without_a_place_of_their_own_are_listed(run):
    assert re.search(r"1 more figures .*odd/one 3.000", words(run.page(), "figures"))


def test_a_correlation_that_is_undefined_is_said_so(run):
    analysis = json.loads(run.inputs["analysis"].read_text())
    analysis["tasks"][0]["undefined"] = "all 3 test scores are equal (12): Spearman's correlation is undefined"
    for row in analysis["compared"]:
        row["srcc"], row["interval"] = None, None
        row.pop("behind", None)
        row.pop("behind_interval", None)
    run.inputs["analysis"].write_text(json.dumps(analysis))
    run.figures({"rl2": metrics()["rl2"]}, {})
    said = words(run.page(), "figures")
    assert "all 3 test scores are equal (12)" in said and "No correlation could be evaluated" in said


def test_comparisons_say_whether_the_order_is_the_papers(run):
    said = words(run.page(), "comparisons")
    assert "The order is the paper's: + variance of queries > + attention loss > decoder alone." in said
    assert "2 of 2 steps between neighbours exceed the spread" in said
    assert "Here 0.5 > 5; in the paper 5 > 0.5." in said and "Table 3 of the paper" in said
    assert "decoder alone doc of plain 0.610 ± 0.014 0.500 0.628" in said


def test_a_variant_that_answers_at_random_is_marked(run):
    page = section(run.page(), "comparisons")
    assert page.count('<b class="random">') == 1 and "answers at random" in page.split("Published")[1]


def test_skipping_is_told_as_it_came_out(run):
    assert "goes from 0.510 to 0.910: it gets worse, as the paper says" in words(run.page(), "attention")
    found = metrics()
    one, other = found["skipping_index"], found["skipping_index/without_attention_loss"]
    found |= {"skipping_index": other, "skipping_index/without_attention_loss": one}
    run.figures(found, {})
    assert "it gets better, unlike what the paper says" in words(run.page(), "attention")
    run.figures(found | {"skipping_index/without_attention_loss": other}, {})
    assert "no more than the spread over seeds" in words(run.page(), "attention")


def test_truth_stands_beside_its_controls(run):
    page = section(run.page(), "truth")
    assert re.search(r'class="ours">\s*<th scope="row">Weight and difficulty', page)
    assert re.search(r"<tr>\s*<th scope=\"row\">Another video's truth", page.replace("&#39;", "'"))
    run.figures({"srcc": metrics()["srcc"]}, {})
    assert "No elements are known" in words(run.page(), "truth")


def test_every_test_video_is_a_dot(run):
    page = section(run.page(), "scores")
    assert page.count("<circle") == 6 and "v0: 19.00, true 20.00" in page


def test_what_is_shown_of_a_video_adds_up_to_its_score(run):
    for article in section(run.page(), "videos").split("<article")[1:]:
        said = Reader(re.search(r'<p class="sum">.*?</p>', article).group()).text
        *parts, total = re.findall(r"[−\d.]+", said)
        assert total == "15.50" and sum(map(float, parts)) == pytest.approx(15.5, abs=1e-9)


def test_a_videos_score_and_the_truth_are_told(run):
    first, second, third = section(run.page(), "videos").split("<article")[1:]
    assert "It gives 15.50 of 25 points; the judges gave 20.00." in first and "missed by more" not in first
    assert "weight 0.61, score 0.50" in first and "No other test video is missed by more" in second
    assert "Correlation" not in third  # nothing is known of it
    for name in ("true difficulty", "true execution", "elements"):
        assert name in first and name not in third


def test_moments_have_a_frame_from_their_middle_and_what_was_performed(run):
    first = section(run.page(), "videos").split("<article")[1]
    moments = re.search(r'<ol class="moments">.*?</ol>', first, re.DOTALL).group()
    assert [int(n) for n in re.findall(r'alt="Frame (\d+)"', moments)] == [37, 62]
    assert "&lt;i&gt;leap&lt;/i&gt;" in moments and "weight 40.0\u00a0% × score 20.00" in moments


def test_the_film_and_the_curves_share_their_time(run):
    first = section(run.page(), "videos").split("<article")[1]
    frames = [int(n) for n in re.findall(r'alt="Frame (\d+)"', first.split("</ol>")[0])]
    assert len(frames) == 12 and frames == [int(25 * 4 * (n + 0.5) / 12) for n in range(12)]
    span = re.search(r'<i style="left:([\d.]+)%;width:([\d.]+)%[^>]*title="&lt;i&gt;leap', first)
    assert (float(span.group(1)), float(span.group(2))) == (25, 25)
    assert '<i style="left:50.0%">2</i>' in first


def test_a_video_that_is_gone_is_explained_without_its_frames(run):
    second = section(run.page(), "videos").split("<article")[2]
    assert "data:image/jpeg" not in second and "there is no video" in second and 'class="curve weight"' in second


def test_imported_features_are_explained_without_frames(run):
    manifest = run.inputs["manifest"]
    manifest.write_text(manifest.read_text().replace("25.000000", "0.000000"))
    page = section(run.page(), "videos")
    assert "data:image/jpeg" not in page and "its features were imported" in page


def test_the_published_protocol_says_what_leaks(run):
    run.figures(metrics(), {}, protocol="published")
    said = Reader(run.page()).text
    assert "Test videos leak into training choices" in said and "on the test videos themselves" in said
    run.figures(metrics(), {})
    assert "leak" not in Reader(run.page()).text


def test_a_page_needs_neither_variants_nor_truth_nor_videos(run):
    run.rewrite("analysis", tasks=[], compared=[], comparisons={})
    run.rewrite("explanations", tasks=[])
    run.figures({}, {})
    reader = Reader(run.page(artifacts=[]))
    assert reader.open == []
    for said in (
        "No correlation could be evaluated", "No variant beside", "Nothing was measured", "No elements are known",
        "No video was explained",
    ):  # fmt: skip
        assert said in reader.text


def test_provenance_tells_clips_and_checkpoints(run):
    page = run.page()
    said = words(page, "provenance")
    assert "clip_features 1 " in said and "model-0.pt 1 " in said
    assert page.count("torchvision:swin3d_b@0123456789ab") == 2  # in the head too
    run.inputs["artifacts"][-1].write_bytes(b"another")
    assert words(run.page(), "provenance") != said


@pytest.mark.parametrize("name, stage", [("explanations", "aqa_explain"), ("analysis", "aqa_evaluate")])
@pytest.mark.parametrize("content", ["{}", "[]", "{", '{"tasks": []}'])
def test_a_file_of_another_form_is_an_error_that_helps(run, name, stage, content):
    run.inputs[name].write_text(content)
    with pytest.raises(ChoreoError, match=rf"lacks (?s:.*){stage}(?s:.*)delete it"):
        run.page()
