"""The file that people edit."""

import pytest

from pipeline.concepts.edits import Edits, apply, read_edits
from pipeline.errors import ChoreoError


def test_no_file_an_empty_file_and_empty_sections_are_no_edits(tmp_path):
    none = {"object": Edits(), "scene": Edits()}
    assert read_edits(None) == none
    assert read_edits(tmp_path / "absent.yaml") == none
    for text in ("", "# nothing yet\n", "object:\nscene:\n", "object: {add: [], drop:, rename: {}}"):
        path = tmp_path / "edits.yaml"
        path.write_text(text)
        assert read_edits(path) == none


def test_words_are_read_like_the_language_models(tmp_path):
    path = tmp_path / "edits.yaml"
    path.write_text("object: {add: [A Yoga Mat, café], drop: [The floor], rename: {A Ball: tennis ball}}")
    assert read_edits(path)["object"] == Edits(["yoga mat", "café"], ["floor"], {"ball": "tennis ball"})


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("objects: {add: [mat]}", "did you mean 'object'"),
        ("object: {ad: [mat]}", "did you mean 'add'"),
        ("add: [mat]", "known here: object, scene"),
        ("object: [mat]", "is missing above it"),
        ("object: {add: mat}", "not a list"),
        ("object: {add: [12]}", "put it in quotes"),
        ("object: {add: ['']}", "no text"),
        ("object: {rename: [a, b]}", "no `old: new` pair"),
        ("object: {rename: {a: }}", "holds None"),
        ("object: {add: [a], add: [b]}", "'add' stands twice"),
        ("object: {add: [a]}\nobject: {drop: [b]}", "'object' stands twice"),
        ("object: {add: [a}", "cannot be read"),
        ("just words", "not `name: value` lines"),
    ],
)
def test_a_slip_in_the_file_is_explained(tmp_path, text, part):
    path = tmp_path / "edits.yaml"
    path.write_text(text)
    with pytest.raises(ChoreoError, match=part):
        read_edits(path)


def test_drop_rename_and_add():
    final, dropped = apply(Edits(["mat"], ["floor"], {"ball": "tennis ball"}), "object", {"ball", "floor", "net"}, {})
    assert final == {"net": "net", "tennis ball": "ball", "mat": ""}
    assert dropped == {"floor": "the edits file drops it"}


def test_a_name_that_was_dropped_is_free_again():
    final, _ = apply(
        Edits(drop=["racket"], rename={"tennis racket": "racket"}), "object", {"racket", "tennis racket"}, {}
    )
    assert final == {"racket": "tennis racket"}


@pytest.mark.parametrize(
    ("edits", "part"),
    [
        (Edits(drop=["tennis bal"]), "drop the object 'tennis bal', which is not in .* did you mean 'tennis ball'"),
        (Edits(rename={"bat": "club"}), "rename the object 'bat'"),
        (Edits(drop=["balls"]), "the filters dropped it already: the same as 'ball'"),
        (Edits(drop=["net", "net"]), "drop the object 'net'"),
        (Edits(rename={"net": "tennis ball"}), "which is there already"),
    ],
)
def test_edits_of_what_is_not_there_are_errors(edits, part):
    with pytest.raises(ChoreoError, match=part):
        apply(edits, "object", {"net", "tennis ball"}, {"balls": "the same as 'ball'"})


def test_adding_what_is_there_is_said_and_harmless(caplog):
    final, _ = apply(Edits(add=["net"]), "object", {"net"}, {})
    assert final == {"net": "net"}
    assert "adds the object 'net', which is there already" in caplog.text
