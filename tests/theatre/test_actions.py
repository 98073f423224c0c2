"""The first act: its cast, the relations of its classes, and the corpus beside it."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from pipeline.theatre import actions, corpus, stage
from pipeline.theatre.motions import BACKWARDS, PRIMITIVES
from pipeline.theatre.props import OBJECTS
from pipeline.theatre.scenery import SCENES


@pytest.fixture(scope="module")
def cast() -> list[stage.Script]:
    return actions.cast(0)


def partners(*places: int) -> dict[tuple, list[str]]:
    """Classes that share the given ones of (motion, object, scene)."""
    shared = defaultdict(list)
    for label, recipe in actions.CLASSES.items():
        shared[tuple(recipe[place] for place in places)].append(label)
    return {key: labels for key, labels in shared.items() if len(labels) > 1}


def test_the_classes_stand_in_the_relations_that_the_docstring_states():
    recipes = actions.CLASSES
    assert len(set(recipes.values())) == len(recipes) >= 8
    assert {("barbell", "gym"), ("ball", "football field")} <= set(partners(1, 2)), (
        "same object and scene, other motion"
    )
    assert {("kick", "ball"), ("sweep", "broom")} <= set(partners(0, 1)), "same motion and object, other scene"
    assert ("raise", "gym") in partners(0, 2), "same motion and scene, other object"
    assert {("raise",), ("swing",)} <= set(partners(0)), "same motion, other object"
    for one, two in (("lifting a barbell", "lowering a barbell"), ("throwing a ball", "catching a ball")):
        assert BACKWARDS[recipes[two][0]] == recipes[one][0]
        assert recipes[one][1:] == recipes[two][1:]
    for label, recipe in recipes.items():
        row = next(line for line in actions.__doc__.splitlines() if line.startswith(f"| {label} "))
        assert [cell.strip() for cell in row.split("|")[2:5]] == list(recipe)


def test_without_motion_or_without_objects_and_scenes_a_third_of_the_test_videos_is_confusable(cast):
    test = Counter(script.label for script in cast if script.split == "test")
    without_motion = set().union(*partners(1, 2).values())
    without_surroundings = set().union(*partners(0).values())
    for confusable in (without_motion, without_surroundings):
        assert sum(test[label] for label in confusable) >= 0.33 * test.total()


def test_videos_of_classes_that_share_a_motion_show_the_same_primitive(cast):
    shown = defaultdict(set)
    for script in cast[:24]:
        shown[script.primitive].add(int(stage.truth(script).primitive.max()))
    assert all(found == {PRIMITIVES.index(name)} for name, found in shown.items())


def test_the_cast_is_the_same_for_the_same_seed_and_another_for_another(cast):
    assert cast == actions.cast(0)
    assert not {script.seed for script in cast} & {script.seed for script in actions.cast(1)}


def test_ids_are_unique_and_name_the_class(cast):
    assert len({script.id for script in cast}) == len(cast) == 432
    assert cast[12].id == "lifting_a_barbell_0001"


def test_classes_are_equally_frequent_in_every_split(cast):
    counts = Counter((script.split, script.label) for script in cast)
    for split in ("train", "val", "test"):
        assert len({counts[split, label] for label in actions.CLASSES}) == 1


def test_performers_are_in_one_split_each_in_the_stated_shares(cast):
    splits = defaultdict(set)
    for script in cast:
        splits[script.group].add(script.split)
    assert all(len(found) == 1 for found in splits.values())
    share = Counter(script.split for script in cast)
    for split, expected in (("train", 0.60), ("val", 0.15), ("test", 0.25)):
        assert share[split] / len(cast) == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("n", [1, 12, 30, 36])
def test_a_small_cast_has_its_size_and_only_known_splits(n):
    scripts = actions.cast(0, n)
    assert len(scripts) == n
    assert {script.split for script in scripts} <= {"train", "val", "test"}


def test_what_is_of_no_matter_is_drawn_alike_for_all_classes(cast):
    """Means of nuisance over the videos of a class differ by no more than chance (five standard errors)."""
    nuisance, labels = [], []
    for script in actions.cast(5, 600):
        view, camera = stage._view(script.rng("view")), stage._camera(script.rng("camera"), 40)
        hidden = float(stage.scenery.foreground(script.rng("foreground")) is not None)
        row = [
            view.height,
            view.yaw,
            *view.place,
            view.mirrored,
            camera[0, 0, 0],
            hidden,
            len(stage.truth(script).joints),
        ]
        nuisance.append(row)
        labels.append(script.label)
    nuisance, labels = np.array(nuisance, float), np.array(labels)
    for label in actions.CLASSES:
        own = nuisance[labels == label]
        error = nuisance.std(0) / np.sqrt(len(own))
        assert (np.abs(own.mean(0) - nuisance.mean(0)) < 5 * error).all(), label


def test_the_corpus_shares_neither_performers_nor_seeds_nor_ids_with_the_cast(cast):
    for seed in (0, 1):
        extras = corpus.scripts(seed, 500)
        for one in (lambda s: s.seed, lambda s: s.id, lambda s: s.group, lambda s: s.performer.body):
            assert not {one(script) for script in cast} & {one(script) for script in extras}
        assert {script.label for script in extras} == {""}


def test_the_corpus_draws_motion_object_and_scene_independently():
    """Every pair of values occurs about as often as chance has it."""
    extras = corpus.scripts(0, 4000)
    values = {"primitive": PRIMITIVES, "object": ("", *OBJECTS), "scene": SCENES}
    for one, two in (("primitive", "object"), ("primitive", "scene"), ("object", "scene")):
        counts = Counter((getattr(script, one), getattr(script, two)) for script in extras)
        expected = len(extras) / (len(values[one]) * len(values[two]))
        chi2 = sum((counts[a, b] - expected) ** 2 / expected for a in values[one] for b in values[two])
        degrees = len(values[one]) * len(values[two]) - 1
        assert chi2 < degrees + 5 * np.sqrt(2 * degrees)


def test_a_longer_corpus_begins_with_the_shorter_one():
    assert corpus.scripts(4, 50)[:20] == corpus.scripts(4, 20)


def test_captions_name_the_object_and_the_scene_in_known_words_and_never_the_motion():
    rng = np.random.default_rng(0)
    for script in corpus.scripts(2, 100):
        captions = corpus.captions(script, rng)
        whole = captions[3] if script.object else captions[1]
        if script.object:
            assert any(word in whole for word in corpus.SYNONYMS[script.object])
        assert any(word in whole for word in corpus.SYNONYMS[script.scene])
        words = " ".join(captions).replace("jump rope", "").split()
        assert not set(words) & set(PRIMITIVES)
        assert corpus.caption(script, rng)


@pytest.mark.parametrize("noun, phrase", [("axe", "an axe"), ("ball", "a ball"), ("weights", "weights")])
def test_articles_are_english(noun, phrase):
    assert corpus.article(noun) == phrase


def test_every_object_and_scene_has_its_own_name_among_its_synonyms():
    for name in (*OBJECTS, *SCENES):
        assert name in corpus.SYNONYMS[name]
