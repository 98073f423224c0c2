"""ConSE against its equation, and the contract of an image-text encoder."""

import numpy as np
import pytest

from pipeline import encoders
from pipeline.encoders.image_text.conse import Conse, combine
from pipeline.encoders.sentence import Sentence
from pipeline.errors import ChoreoError
from tests.encoders.tiny import picture_graph

LABELS = ["background", "tench, Tinca tinca", "racket, racquet", "swimming trunks", "bow", "dumbbell", "horse"]


@pytest.fixture(scope="module")
def spec(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("conse")
    (folder / "labels.txt").write_text("\n".join(LABELS) + "\n")
    graph = picture_graph(folder / "classifier.onnx", classes=len(LABELS))
    return {"name": "conse", "classifier": str(graph), "labels": str(folder / "labels.txt"), "top": 3, "batch": 2}


@pytest.fixture(scope="module")
def conse(spec) -> Conse:
    return encoders.load("image_text", spec)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 20, 30, 3), dtype=np.uint8)


def literal(probs: np.ndarray, classes: np.ndarray, top: int) -> np.ndarray:
    """Norouzi et al., Eq. 2, with loops in float64, then L2-normalised."""
    rows = []
    for p in probs.astype(np.float64):
        chosen = sorted(range(len(p)), key=lambda c: p[c], reverse=True)[:top]
        z = sum(p[c] for c in chosen)
        f = np.zeros(classes.shape[1])
        for c in chosen:
            f += p[c] / z * classes[c].astype(np.float64)
        rows.append(f / np.sqrt((f**2).sum()))
    return np.array(rows)


@pytest.mark.parametrize("top", [1, 3, 50])
def test_the_combination_is_that_of_the_paper(top):
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.full(20, 0.2), size=6).astype(np.float32)
    classes = rng.normal(size=(20, 8)).astype(np.float32)
    np.testing.assert_allclose(combine(probs, classes, top), literal(probs, classes, top), atol=1e-6)


def test_a_frame_is_the_combination_of_its_likely_classes_but_never_of_the_background(conse, frames):
    probs = conse.classifier.pictures(frames)
    expected = literal(probs[:, 1:], conse.classes[1:], top=3)
    np.testing.assert_allclose(conse.images(frames), expected, atol=1e-6)
    assert (probs.argsort(1)[:, -3:] == 0).any(), "the background is among the likely classes of some frame"


def test_a_class_goes_by_the_first_of_its_synonyms(conse):
    np.testing.assert_allclose(conse.classes[1:3], Sentence("minilm").texts(["tench", "racket"]), atol=1e-6)


def test_texts_are_sentence_embeddings(conse):
    np.testing.assert_allclose(conse.texts(["a cat"]), Sentence("minilm").texts(["a cat"]), atol=1e-6)


def test_embeddings_are_unit_float32_vectors_whatever_else_is_in_the_call(conse, frames):
    rows = conse.images(frames)
    assert rows.shape == (5, conse.dim) and rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(rows, np.concatenate([conse.images(f[None]) for f in frames]), atol=1e-6)
    assert conse.images(frames[:0]).shape == (0, conse.dim)


def test_a_second_load_gives_the_same_identity_and_embeddings_to_the_bit(spec, conse, frames):
    again = encoders.load("image_text", spec)
    assert again.identity == conse.identity
    np.testing.assert_array_equal(again.images(frames), conse.images(frames))


def test_other_labels_are_another_encoder(spec, conse, tmp_path):
    (tmp_path / "labels.txt").write_text("\n".join(reversed(LABELS)))
    assert encoders.load("image_text", spec | {"labels": str(tmp_path / "labels.txt")}).identity != conse.identity


def test_labels_of_another_classifier_are_refused(spec, tmp_path):
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    with pytest.raises(ChoreoError, match=r"names 2 classes, .* tells 7 apart"):
        encoders.load("image_text", spec | {"labels": str(tmp_path / "labels.txt")})
