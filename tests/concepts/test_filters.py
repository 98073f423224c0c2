"""The filters against what they say, with loops and in float64."""

import numpy as np
import pytest

from pipeline.concepts.filters import (
    Embedded,
    like_a_class,
    near_duplicates,
    normalise,
    plurals,
    similarity,
    too_long,
)


def units(rng, rows, columns):
    vectors = rng.normal(size=(rows, columns))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_similarity_is_the_weighted_mean_of_two_cosines():
    rng = np.random.default_rng(0)
    a, b = (Embedded(units(rng, n, 5), units(rng, n, 7)) for n in (3, 4))
    fast = similarity(a, b)
    for i in range(3):
        for j in range(4):
            cosines = [
                sum(x * y for x, y in zip(u[i], v[j], strict=True))
                / np.sqrt(sum(x * x for x in u[i]) * sum(y * y for y in v[j]))
                for u, v in zip(a, b, strict=True)
            ]
            assert fast[i, j] == pytest.approx((cosines[0] + 3 * cosines[1]) / 4, abs=1e-12)


@pytest.mark.parametrize(
    ("written", "concept"),
    [
        ("A towel", "towel"),
        ("towel", "towel"),
        ("  The  Golf   Course. ", "golf course"),
        ("an axe (sharp)", "axe"),
        ("another ball", "another ball"),
        ("Café", "café"),
        ("theatre", "theatre"),
        ("a", "a"),
    ],
)
def test_case_article_and_remarks_do_not_count(written, concept):
    assert normalise(written) == concept


def test_singular_and_plural_are_one_concept():
    pairs = {"towels": "towel", "boxes": "box", "berries": "berry", "benches": "bench", "golf clubs": "golf club"}
    alone = ["dress", "bus", "tennis", "tenni", "dishes", "scissors", "golf", "gas"]
    assert plurals([*pairs.values(), *alone, *pairs.keys()]) == pairs


def test_length_is_counted_in_characters_and_the_limit_is_inclusive():
    assert list(too_long(["ö" * 30, "ö" * 31])) == ["ö" * 31]


def slow_like_a_class(concepts, classes, similar, cutoff):
    gone = set()
    for i, concept in enumerate(concepts):
        for j, _ in enumerate(classes):
            if similar[i][j] >= cutoff:
                gone.add(concept)
    return gone


def test_a_concept_is_compared_with_every_class():
    """Also with the class of its own index, which the published code skips."""
    rng = np.random.default_rng(1)
    similar = rng.uniform(0.5, 1.0, (40, 6))
    concepts, classes = [f"c{i}" for i in range(40)], [f"k{i}" for i in range(6)]
    found = like_a_class(concepts, classes, similar, 0.84)
    assert set(found) == slow_like_a_class(concepts, classes, similar, 0.84)
    only_own = np.eye(3) * 0.9
    assert list(like_a_class(["a", "b", "c"], ["x", "y", "z"], only_own, 0.84)) == ["a", "b", "c"]
    assert like_a_class(["a"], ["x", "y"], np.array([[0.1, 0.85]]), 0.84) == {"a": "similar to the class 'y' (0.85)"}
    assert like_a_class([], ["x"], np.zeros((0, 1)), 0.84) == {}


def slow_near_duplicates(concepts, similar, cutoff):
    """Largest summed similarity first: it stays and sends away all that are near it; and so on with the rest."""
    sums = {c: sum(similar[i]) for i, c in enumerate(concepts)}
    rest, gone = list(concepts), set()
    while rest:
        best = sorted(rest, key=lambda c: (-sums[c], c))[0]
        rest.remove(best)
        for other in list(rest):
            if similar[concepts.index(best)][concepts.index(other)] >= cutoff:
                rest.remove(other)
                gone.add(other)
    return gone


def test_near_duplicates_match_the_slow_reference_in_any_order():
    rng = np.random.default_rng(2)
    vectors = units(rng, 60, 4)
    similar = vectors @ vectors.T
    concepts = [f"c{i:02d}" for i in range(60)]
    expected = slow_near_duplicates(concepts, similar.tolist(), 0.9)
    assert 5 < len(expected) < 55
    assert set(near_duplicates(concepts, similar, 0.9)) == expected
    order = rng.permutation(60)
    shuffled = near_duplicates([concepts[i] for i in order], similar[np.ix_(order, order)], 0.9)
    assert set(shuffled) == expected


def test_of_two_near_duplicates_the_more_general_one_stays():
    similar = np.array([[1.0, 0.95, 0.1], [0.95, 1.0, 0.6], [0.1, 0.6, 1.0]])
    found = near_duplicates(["golf iron", "golf club", "ball"], similar, 0.9)
    assert found == {"golf iron": "similar to 'golf club' (0.95), which stays"}


def test_a_concept_goes_only_for_one_that_stays():
    """In a chain a-b-c where b goes for a, c stays: nothing that is left is like it."""
    similar = np.array([[1.0, 0.95, 0.5], [0.95, 1.0, 0.92], [0.5, 0.92, 1.0]])
    sums = similar.sum(axis=1)
    assert sums[1] > max(sums[0], sums[2])  # b is the most general: both neighbours go
    assert set(near_duplicates(["a", "b", "c"], similar, 0.9)) == {"a", "c"}
    similar[0, 0] = 2.0  # now a comes first: b goes, and c stays
    assert set(near_duplicates(["a", "b", "c"], similar, 0.9)) == {"b"}
