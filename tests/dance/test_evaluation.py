"""Figures of DANCE, its baselines and ablations on a world whose truth is known."""

import numpy as np
import pytest

from pipeline.artifacts import Artifact
from pipeline.dance import baselines, evaluation, training
from pipeline.metrics import read_metrics


@pytest.fixture(scope="module")
def models(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    paths = [folder / f"dance{seed}.h5" for seed in (3, 4)]
    for seed, path in zip((3, 4), paths):
        training.dance(**world.inputs, out=path, seed=seed, steps=400, check_every=20)
    return paths


@pytest.fixture(scope="module")
def evaluated(world, models, tmp_path_factory):
    out = tmp_path_factory.mktemp("metrics") / "metrics.json"
    evaluation.dance_evaluate(
        models, poses=world.poses, **world.inputs, out=out, run="small", annotations=world.annotations,
        paper={"accuracy": 0.875},
    )  # fmt: skip
    return read_metrics(out)


def value(evaluated, name):
    return evaluated["figures"][name]["mean"]


def test_figures_name_the_run_the_protocol_and_the_seeds(evaluated):
    assert (evaluated["run"], evaluated["model"], evaluated["protocol"]) == ("small", "dance", "strict")
    assert evaluated["seeds"] == [3, 4] and evaluated["figures"]["accuracy"]["n"] == 2
    assert evaluated["figures"]["accuracy/probe"]["n"] == 1 and evaluated["paper"] == {"accuracy": 0.875}


def test_classes_that_differ_by_motion_or_object_need_both(evaluated):
    """Without motion only two of six classes can be told apart (1/3), without context three (1/2)."""
    assert value(evaluated, "accuracy") > 0.9 and value(evaluated, "accuracy/probe") > 0.9
    assert value(evaluated, "accuracy/without_motion") < 0.6
    assert value(evaluated, "accuracy/without_context") < 0.8
    assert value(evaluated, "accuracy/retrained_without_motion") < 0.6
    assert value(evaluated, "accuracy/labels") > 0.9  # the labels tell all, and without one kind as much as they can
    assert 0.2 < value(evaluated, "accuracy/labels_without_motion") < 0.5
    assert 0.35 < value(evaluated, "accuracy/labels_without_context") < 0.65
    assert 0.35 < value(evaluated, "accuracy/pose_only") < 0.7  # poses tell the motion and nothing of the object


def test_planted_concepts_score_as_they_were_planted(evaluated):
    assert value(evaluated, "motion/purity") == value(evaluated, "motion/nmi") == value(evaluated, "motion/clips") == 1
    assert value(evaluated, "motion/test_accuracy") == 1
    for name in ("objects/ap", "scenes/ap", "objects/predicted_ap", "scenes/predicted_ap"):
        assert value(evaluated, name) > 0.95


def test_poses_that_are_five_pixels_off_are_so_in_torso_lengths(world, evaluated):
    truth = Artifact(world.annotations, "annotations")
    torsos = []
    for i in truth.ids:
        joints = truth.video(i)["joints"].astype(float)
        torsos.append(np.median([np.hypot(*((f[5] + f[6]) / 2 - (f[11] + f[12]) / 2)) for f in joints]))
    assert value(evaluated, "pose/torso_distance") == pytest.approx(np.mean([5 / t for t in torsos]), rel=1e-4)
    assert value(evaluated, "pose/found") == 1


def test_sparsity_counts_the_weights(models, evaluated):
    shares, counts = [], []
    for path in models:
        weight = Artifact(path, "dance")["weight"]
        used = sum(abs(w) > 1e-5 for w in weight.ravel())
        shares.append(used / weight.size)
        counts.append(used / len(weight))
    assert value(evaluated, "sparsity") == pytest.approx(np.mean(shares))
    assert value(evaluated, "weights_per_class") == pytest.approx(np.mean(counts))


def test_evaluation_without_annotations_gives_accuracies_alone(world, models, tmp_path):
    evaluation.dance_evaluate(models[:1], poses=world.poses, **world.inputs, out=tmp_path / "metrics.json")
    figures = read_metrics(tmp_path / "metrics.json")["figures"]
    assert "accuracy/pose_only" in figures and not [f for f in figures if f.endswith("/ap") or f.startswith("pose/")]


def test_a_model_without_motion_concepts_can_be_evaluated(world, tmp_path):
    path = tmp_path / "dance.h5"
    training.dance(**world.inputs, out=path, steps=100, kinds="object,scene")
    figures = evaluation.of_model(path, training.load(**world.inputs))
    assert "accuracy" in figures and "accuracy/without_motion" not in figures


def test_average_precision_covers_the_names_both_vocabularies_know(world):
    truth = Artifact(world.annotations, "annotations")
    ids = truth.ids
    ball = truth.rows("objects", ids)[:, 0].astype(float)
    values = np.stack([ball, -ball, np.arange(len(ids))], axis=1)
    perfect = evaluation.mean_ap(values, ["The Ball", "laser", "volcano"], ["object", "object", "scene"], truth, ids)
    assert perfect == {"object": 1.0}
    assert evaluation.mean_ap(-values, ["ball", "x", "y"], ["object", "object", "scene"], truth, ids)["object"] < 0.6


def test_the_probe_chooses_inputs_and_strength_on_val():
    rng = np.random.default_rng(0)
    label = np.arange(200) % 2
    good, noise = label[:, None] + 0.1 * rng.normal(size=(200, 3)), rng.normal(size=(200, 50))
    inputs = {"noise": noise, "good": good}
    train, val, test = ({k: v[s] for k, v in inputs.items()} for s in (slice(0, 80), slice(80, 120), slice(120, 200)))
    found = baselines.probe(train, label[:80], val, label[80:120])
    assert found.inputs == "good" and found.val == 1 and found.score(test, label[120:]) == 1


def test_a_track_joins_overlapping_clips_in_time_and_bridges_gaps():
    """A joint that moves one pixel a frame does so in the resampled track, whatever the clips, and then rests."""
    time = np.array([[0, 1, 2, 3], [2, 3, 4, 5], [20, 21, 22, 23]])
    joints = np.broadcast_to(time[..., None, None], (3, 4, 17, 2)).astype(float).copy()
    joints[2, 1] = np.nan
    track = baselines._track({"start": np.array([0, 2, 20]), "joints": joints}, frames=31)
    np.testing.assert_allclose(track[:, 4, 0], np.minimum(np.linspace(0, 30, baselines.POINTS), 23))
    assert not baselines._track({"start": np.array([0]), "joints": np.full((1, 4, 17, 2), np.nan)}, frames=4).any()
