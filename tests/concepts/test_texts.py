"""Text embeddings and their cache."""

import numpy as np
import pytest

from pipeline.artifacts import Artifact
from pipeline.concepts.texts import CachedTexts, texts
from pipeline.errors import ChoreoError


@pytest.fixture
def run(tmp_path, letters):
    """Runs the stage on concepts written as `kind:concept`; returns concept, kind, embedding and model."""

    def go(*concepts, **options):
        table, out = tmp_path / "vocabulary.csv", tmp_path / "texts.h5"
        table.write_text("kind,concept,source,classes\n" + "".join(c.replace(":", ",") + ",llm,\n" for c in concepts))
        texts(table, out, **({"image_text": "letters", "cache": tmp_path / "cache"} | options))
        with Artifact(out, "texts") as artifact:
            return artifact["concept"].tolist(), artifact["kind"].tolist(), artifact["embedding"], artifact.model

    return go


def test_every_concept_is_embedded_in_its_sentence(run, letters):
    concept, kind, embedding, model = run("object:golf club", "scene:gym")
    assert (concept, kind, model) == (["golf club", "gym"], ["object", "scene"], "letters@512")
    assert letters.seen == ["A video of golf club", "A video of gym"]
    assert np.array_equal(embedding, letters().texts(["A video of golf club", "A video of gym"]))


def test_one_new_concept_costs_one_embedding_and_the_rest_keep_theirs(run, letters):
    _, _, before, _ = run("object:ball", "object:club")
    letters.seen.clear()
    _, _, after, _ = run("object:ball", "object:bat", "object:club")
    assert letters.seen == ["A video of bat"]
    assert np.array_equal(after[[0, 2]], before)


def test_a_dropped_concept_loads_no_encoder_and_the_model_is_still_recorded(run, letters):
    *_, model = run("object:ball", "object:club")
    letters.loaded.clear()
    assert run("object:ball")[3] == model
    assert not letters.loaded


def test_an_embedding_does_not_depend_on_those_beside_it(tmp_path, letters):
    alone = CachedTexts("sentence", "letters", tmp_path / "a").texts(["ball"])
    beside = CachedTexts("sentence", "letters", tmp_path / "b").texts(["golf club", "ball", "ball"])
    assert np.array_equal(alone[0], beside[1]) and np.array_equal(alone[0], beside[2])
    assert "ball" in letters.seen


def test_another_option_another_file_or_another_kind_is_another_encoder(tmp_path, letters):
    weights = tmp_path / "weights.bin"
    weights.write_bytes(b"one")

    def folder(kind="sentence", **options):
        return CachedTexts(kind, {"name": "letters"} | options, tmp_path).folder

    first = folder(model=str(weights))
    others = {folder(), folder(dim=64), folder("image_text"), first}
    weights.write_bytes(b"two")
    assert len(others | {folder(model=str(weights))}) == 5
    weights.write_bytes(b"one")
    assert folder(model=str(weights)) == first
    assert not letters.loaded


def test_the_content_of_a_model_counts_and_not_where_it_lies(tmp_path, letters):
    folders = []
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights").write_bytes(b"same")
        folders.append(CachedTexts("sentence", f"letters:{tmp_path / name}", tmp_path).folder)
    assert folders[0] == folders[1]


def test_kinds_may_have_templates_of_their_own(run, letters):
    run("object:ball", "scene:gym", template={"object": "A photo of {}", "scene": "{}"})
    assert letters.seen == ["A photo of ball", "gym"]


@pytest.mark.parametrize("template", ["A video", "{} and {}", {"object": "{}"}])
def test_a_template_without_one_place_for_the_concept_is_an_error(run, template):
    with pytest.raises(ChoreoError, match="where the concept goes"):
        run("object:ball", template=template)


def test_an_empty_vocabulary_is_an_error(run):
    with pytest.raises(ChoreoError, match="holds no concepts"):
        run()
