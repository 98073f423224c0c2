"""The demo's answers and edits, which ship with the project."""

from pathlib import Path

from pipeline.concepts import answers as answer_files
from pipeline.concepts.edits import read_edits
from pipeline.concepts.filters import normalise
from pipeline.concepts.language import ask
from pipeline.concepts.vocabulary import listed
from pipeline.theatre.actions import CLASSES

CONCEPTS = Path(__file__).parents[2] / "concepts"


def test_the_demo_is_answered_without_a_key(manifest, tmp_path, monkeypatch):
    """For every class of the theatre and the very prompts in use: whoever changes a prompt records the answers anew."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    out = tmp_path / "raw.jsonl"
    ask(manifest(*CLASSES), out, answers=CONCEPTS / "theatre.answers.jsonl", model="choreo-demo")
    found = answer_files.read(out)
    assert len(found) == len(CLASSES) * 2 * 2
    assert {a.served_by for a in found} == {"written by hand for the demo"}


def test_the_demo_names_what_its_classes_show():
    named = {}
    for kind in ("object", "scene"):
        given = answer_files.read(CONCEPTS / "theatre.answers.jsonl")
        named[kind] = listed([a for a in given if a.question.kind == kind])
    for label, (_, thing, scene) in CLASSES.items():
        assert label in named["object"][thing]
        assert label in named["scene"][scene]


def test_the_demos_edits_can_be_read_and_name_listed_concepts():
    given = answer_files.read(CONCEPTS / "theatre.answers.jsonl")
    for kind, edits in read_edits(CONCEPTS / "theatre.edits.yaml").items():
        named = listed([a for a in given if a.question.kind == kind])
        for concept in [*edits.drop, *edits.rename]:
            assert normalise(concept) in named
