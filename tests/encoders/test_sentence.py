"""Sentence embeddings of the packaged all-MiniLM-L6-v2."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline import encoders
from pipeline.encoders.sentence import Sentence, model_folder
from pipeline.errors import ChoreoError

TEXTS = ["a tennis racket", "tennis racquet", "swimming pool", "a man who " + "runs and " * 40 + "stops"]


@pytest.fixture(scope="module")
def minilm() -> Sentence:
    return encoders.load("sentence", {"name": "minilm", "batch": 3})


def test_embeddings_are_unit_float32_vectors_and_synonyms_are_nearest(minilm):
    rows = minilm.texts(TEXTS)
    assert rows.shape == (4, 384) and rows.dtype == np.float32 and minilm.dim == 384
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    cosine = rows @ rows.T
    assert cosine[0, 1] > 0.8 > 0.5 > cosine[0, 2]


def test_the_embedding_is_the_literal_mean_of_a_texts_tokens(minilm):
    """One text at a time, no padding, float64, summed in a loop."""
    model = minilm.model.double()
    try:
        expected = []
        for text in TEXTS:
            with torch.inference_mode():
                states = model(**minilm.tokenizer(text, return_tensors="pt")).last_hidden_state[0].numpy()
            total = np.zeros(states.shape[1])
            for token in states:
                total += token
            expected.append(total / np.sqrt((total**2).sum()))
    finally:
        minilm.model.float()
    np.testing.assert_allclose(minilm.texts(TEXTS), expected, atol=1e-5)


def test_a_text_has_the_same_embedding_alone_as_in_a_batch(minilm):
    alone = np.concatenate([minilm.texts([text]) for text in TEXTS])
    np.testing.assert_allclose(minilm.texts(TEXTS), alone, atol=1e-6)


def test_a_second_load_gives_the_same_identity_and_embeddings_to_the_bit(minilm):
    again = Sentence(batch=3)
    assert again.identity == minilm.identity and again.identity.startswith("sentence:minilm@")
    np.testing.assert_array_equal(again.texts(TEXTS), minilm.texts(TEXTS))


def test_no_texts_give_no_rows(minilm):
    assert minilm.texts([]).shape == (0, 384)


def test_it_agrees_with_sentence_transformers_where_that_is_installed(minilm):
    library = pytest.importorskip("sentence_transformers")
    reference = library.SentenceTransformer(model_folder("minilm"), device="cpu")
    np.testing.assert_allclose(minilm.texts(TEXTS), reference.encode(TEXTS, normalize_embeddings=True), atol=1e-6)


def test_a_text_beyond_the_models_limit_is_cut_where_the_model_says(minilm):
    long = "word " * 400
    assert minilm.length == 256
    np.testing.assert_allclose(minilm.texts([long]), minilm.texts(["word " * 254]), atol=1e-6)


def test_a_model_that_pools_otherwise_is_refused(tmp_path):
    folder = Path(shutil.copytree(model_folder("minilm"), tmp_path / "cls"))
    pooling = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    with pytest.raises(ChoreoError, match="pools its tokens by pooling_mode_cls_token"):
        Sentence(str(folder))


def test_out_of_reach_of_the_hub_the_error_says_which_files_and_where_they_go(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ChoreoError, match="models--sentence-transformers--all-mpnet-base-v2 into"):
        Sentence("all-mpnet-base-v2")
