"""Training recovers planted concepts, prunes, keeps splits apart and writes what it learned."""

import numpy as np
import pytest
import torch

from pipeline.artifacts import Artifact
from pipeline.dance import training
from pipeline.dance.training import Options
from pipeline.errors import ChoreoError
from pipeline.manifest import Manifest

QUICK = {"steps": 400, "check_every": 20}


@pytest.fixture(scope="module")
def trained(world, tmp_path_factory):
    """A trained model and its predictions."""
    folder = tmp_path_factory.mktemp("dance")
    training.dance(**world.inputs, out=folder / "dance.h5", **QUICK)
    training.predict(folder / "dance.h5", world.features, folder / "predictions.h5")
    return Artifact(folder / "dance.h5", "dance"), Artifact(folder / "predictions.h5", "predictions")


def test_the_bottleneck_recovers_planted_concepts_and_classes(world, trained):
    _, predictions = trained
    test = Manifest.read(world.manifest).ids("test")
    activation = predictions.rows("activation", test)
    concept = predictions["concept"].tolist()
    for position, names in ((1, ("ball", "rope")), (2, ("gym", "park", "street"))):
        for value, name in enumerate(names):
            shown = np.array([world.truth[i][position] == value for i in test])
            column = activation[:, concept.index(name)]
            assert column[shown].min() > column[~shown].max() - 0.5
            assert np.corrcoef(column, shown)[0, 1] > 0.8
    told = predictions["class_name"][predictions.rows("score", test).argmax(axis=1)]
    by_id = Manifest.read(world.manifest).by_id
    assert np.mean([t == by_id[i].labels[0] for t, i in zip(told, test)]) > 0.9


def test_motion_layers_predict_the_motion_labels_of_test_videos(world, trained):
    _, predictions = trained
    labels = Artifact(world.labels, "motion_labels")
    test = Manifest.read(world.manifest).ids("test")
    motion = predictions.rows("activation", test)[:, predictions["kind"] == "motion"]
    assert (motion.argmax(axis=1) == labels.rows("label", test).argmax(axis=1)).mean() > 0.9


def test_concepts_that_are_noise_or_not_kept_are_not_in_the_model(trained):
    concepts = trained[0]["concept"].tolist()
    assert concepts == ["0", "1", "2", "ball", "rope", "gym", "park", "street"]


def test_activations_of_the_training_videos_have_mean_0_and_spread_1(world, trained):
    _, predictions = trained
    activation = predictions.rows("activation", Manifest.read(world.manifest).ids("train"))
    np.testing.assert_allclose(activation.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(activation.std(axis=0), 1, atol=1e-4)


def test_scores_are_the_bias_and_the_sum_of_contributions(trained):
    model, predictions = trained
    expected = predictions["activation"] @ model["weight"].T + model["bias"]
    np.testing.assert_allclose(predictions["score"], expected, atol=1e-4)


def test_training_twice_gives_the_same_model_and_another_seed_another(world):
    data = training.load(**world.inputs)
    one, two, other = (training.fit(data, Options(seed=s, steps=50)) for s in (0, 0, 1))
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])
    assert not np.array_equal(one["concept_weight"], other["concept_weight"])


def test_training_leaves_the_global_random_state_alone(world):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    training.fit(training.load(**world.inputs), Options(steps=5))
    torch.testing.assert_close(torch.rand(3), expected)


def test_test_videos_do_not_change_the_model_under_the_strict_protocol(world):
    data = training.load(**world.inputs)
    before = training.fit(data, Options(steps=50))
    test = data.roles["test"]
    test.feature[:], test.label[:] = 1e3, "another class"
    after = training.fit(data, Options(steps=50))
    np.testing.assert_array_equal(before["weight"], after["weight"])


def test_the_published_protocol_trains_on_train_and_val_and_chooses_on_test(world):
    videos = Manifest.read(world.manifest)
    data = training.load(**world.inputs, protocol="published")
    assert set(data.roles["train"].ids) == set(videos.ids("train") + videos.ids("val"))
    assert data.roles["val"].ids == data.roles["test"].ids == videos.ids("test")


def test_kinds_can_be_left_out(world, tmp_path):
    training.dance(**world.inputs, out=tmp_path / "dance.h5", kinds="object,scene", **QUICK)
    assert set(Artifact(tmp_path / "dance.h5", "dance")["kind"]) == {"object", "scene"}
    with pytest.raises(ChoreoError, match="motion"):
        training.dance(**world.inputs, out=tmp_path / "dance.h5", kinds="smell")


def test_each_kind_keeps_the_weights_of_its_lowest_validation_loss(world):
    """Trained on noise, the losses on val rise again: the weights kept are those of an early step."""
    data = training.load(**world.inputs)
    train, val = data.roles["train"], data.roles["val"]
    rng = np.random.default_rng(0)
    for role in (train, val):
        for target in role.targets.values():
            rng.shuffle(target)
    x, x_val = torch.as_tensor(train.feature), torch.as_tensor(val.feature)
    options = Options(lr=0.01, steps=400, check_every=10)
    best = training.fit_concepts((x, train), (x_val, val), options)
    losses = training._losses(x_val, val, "samples")
    for steps in (50, 200, 400):
        last = training.fit_concepts((x, train), (x_val, val), Options(lr=0.01, steps=steps, check_every=steps))
        for kind in ("object", "scene"):
            assert losses[kind](best[kind], 0) <= losses[kind](last[kind], 0) + 1e-6


def test_raw_features_without_a_bias_can_be_trained_on(world):
    model = training.fit(training.load(**world.inputs), Options(steps=200, standardise=False))
    assert not model["feature_mean"].any() and (model["feature_scale"] == 1).all()


def test_a_cutoff_that_leaves_nothing_is_an_error_that_names_it(world):
    data = training.load(**world.inputs, kinds=["object"])
    with pytest.raises(ChoreoError, match="cutoff"):
        training.fit(data, Options(steps=5, cutoff=1.1))
