"""From answers to a vocabulary."""

import csv
import json

import pytest

from pipeline.concepts.answers import Answer, Question, write
from pipeline.concepts.vocabulary import vocabulary
from pipeline.errors import ChoreoError

LISTS = {
    "golf_swing": (
        ["A golf club", "golf ball", "Golf Balls", "towel", "A Golf Swing", "a small flag on a very long thin pole"],
        ["golf course", "driving range", "driving ranges", "The park"],
    ),
    "squat": (["a barbell", "barbells", "weight plate", "towel"], ["gym", "A gym", "park"]),
}


@pytest.fixture
def run(tmp_path, letters):
    """Runs the stage; returns vocabulary and dropped as {(kind, concept): row}."""
    raw = tmp_path / "raw.jsonl"
    write(
        raw,
        [
            Answer(
                Question(label, label.replace("_", " "), kind, "?", "m", 0, {"structured": True}),
                json.dumps({"concepts": lists[kind == "scene"]}),
            )
            for label, lists in LISTS.items()
            for kind in ("object", "scene")
        ],
    )

    def go(edits=None, **options):
        if edits is not None:
            (tmp_path / "edits.yaml").write_text(edits)
        out, dropped = tmp_path / "vocabulary.csv", tmp_path / "dropped.csv"
        options = {"sentence": "letters", "image_text": "letters", "cache": tmp_path / "cache"} | options
        vocabulary(raw, out, dropped, edits=tmp_path / "edits.yaml", **options)
        return table(out), table(dropped)

    return go


def table(path):
    with open(path, newline="") as file:
        return {(row["kind"], row["concept"]): row for row in csv.DictReader(file)}


def test_every_filter_drops_its_own_and_says_why(run):
    kept, dropped = run()
    assert [concept for _, concept in kept] == [
        *["barbell", "golf ball", "golf club", "towel", "weight plate"],
        *["driving range", "golf course", "gym", "park"],
    ]
    reasons = {concept: row["reason"] for (_, concept), row in dropped.items()}
    assert reasons == {
        "golf swing": "similar to the class 'golf swing' (1.00)",
        "golf balls": "the same as 'golf ball'",
        "barbells": "the same as 'barbell'",
        "driving ranges": "the same as 'driving range'",
        "small flag on a very long thin pole": "longer than 30 characters",
    }


def test_near_duplicates_go_by_the_cutoff(run):
    kept, dropped = run(duplicate_similarity=0.3)
    assert ("object", "golf ball") in kept
    assert dropped["object", "golf club"]["reason"].startswith("similar to 'golf ball' (0.")


def test_a_row_names_its_source_and_all_classes_that_named_it(run):
    kept, _ = run("object: {add: [caddie cart], rename: {golf club: iron}}")
    assert kept["object", "towel"]["classes"] == "golf_swing; squat"
    assert kept["scene", "park"]["source"] == "llm"
    assert (kept["object", "iron"]["source"], kept["object", "iron"]["classes"]) == ("edit", "golf_swing")
    assert (kept["object", "caddie cart"]["source"], kept["object", "caddie cart"]["classes"]) == ("edit", "")


def test_what_people_add_passes_by_the_filters_and_is_not_listed_as_dropped(run):
    added = "small flag on a very long thin pole"
    kept, dropped = run(f"object: {{add: [{added}], drop: [towel]}}")
    assert ("object", added) in kept and ("object", added) not in dropped
    assert dropped["object", "towel"]["reason"] == "the edits file drops it"


def test_a_comment_in_the_edits_file_changes_no_byte(run, tmp_path):
    run("object: {drop: [towel]}")
    before = (tmp_path / "vocabulary.csv").read_bytes(), (tmp_path / "dropped.csv").read_bytes()
    run("# towels are everywhere\nobject:\n  drop:\n    - Towel  # indeed\n")
    assert before == ((tmp_path / "vocabulary.csv").read_bytes(), (tmp_path / "dropped.csv").read_bytes())


def test_an_edit_loads_no_encoder_once_the_list_is_embedded(run, letters):
    run()
    letters.loaded.clear()
    run("object: {add: [caddie cart], drop: [towel]}")
    assert not letters.loaded


def test_a_bad_edit_leaves_the_tables_as_they_were(run, tmp_path):
    run()
    before = (tmp_path / "vocabulary.csv").read_bytes()
    with pytest.raises(ChoreoError, match="did you mean 'towel'"):
        run("object: {drop: [towl]}")
    assert (tmp_path / "vocabulary.csv").read_bytes() == before


def test_nothing_left_is_an_error(run):
    with pytest.raises(ChoreoError, match="no concept is left"):
        run(class_similarity=-1.0)
