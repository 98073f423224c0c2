"""ProDA on pairs of persons: model, loss, training and the protocol of its figures."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from pipeline.artifacts import create
from pipeline.errors import ChoreoError
from pipeline.manifest import Manifest, Video
from pipeline.metrics import read_metrics
from pipeline.proda import pairs_evaluation as evaluation
from pipeline.proda import pairs_training as training
from pipeline.proda.pairs import GRID, Baseline, Keyframes, PairProda, Settings, Weights, cross_entropy, draw, loss

SMALL = Settings(features=6, actions=3, part=4, spatial=4, heads=2, feedforward=8, candidates=2, gate=4, dropout=0.0)


def keyframes(pairs=(2, 6), seed=0):
    """Some random keyframes, filled up to the largest."""
    rng = torch.Generator().manual_seed(seed)
    mask = torch.arange(max(pairs)) < torch.tensor(pairs)[:, None]
    low = torch.rand(*mask.shape, 2, 2, generator=rng) * 0.5
    box = torch.cat([low, low + 0.1 + 0.4 * torch.rand(*mask.shape, 2, 2, generator=rng)], dim=-1)
    return Keyframes(torch.randn(*mask.shape, 3, 6, generator=rng), box, mask)


def parameters(model):
    return sum(p.numel() for p in model.parameters())


# Model ------------------------------------------------------------------------------------------------------


def test_sizes_are_those_of_table_2():
    """111.18, 123.11 and 123.19 million parameters; the backbone, 86.2 million of them, is not ours."""
    published = Settings(features=768, actions=34)
    base = parameters(Baseline(published))
    assert published.dim == 1792
    assert parameters(Baseline(replace(published, feedforward=5376))) - base == pytest.approx(11.93e6, rel=0.001)
    assert parameters(PairProda(published)) - base == pytest.approx(12.01e6, rel=0.01)
    assert base + 86.2e6 == pytest.approx(111.18e6, rel=0.001)
    with_background = PairProda(replace(published, actions=35))  # the authors' prompts name the background, too
    added = parameters(with_background.prompt) + parameters(with_background.norm)
    assert added == pytest.approx(1.46e6, rel=0.03)


def test_the_picture_of_two_boxes_is_what_counting_points_gives():
    box = torch.tensor([[[0.1, 0.2, 0.5, 0.9], [0.4, 0.1, 0.7, 0.6]]])
    fine = 20  # points a cell and axis
    low, high = torch.tensor([0.1, 0.1]), torch.tensor([0.7, 0.9])
    steps = (torch.arange(GRID * fine) + 0.5) / (GRID * fine)
    x, y = (low[:, None] + (high - low)[:, None] * steps).unbind(0)
    for drawn, (x1, y1, x2, y2) in zip(draw(box)[0], box[0], strict=True):
        inside = ((y >= y1) & (y <= y2))[:, None] & ((x >= x1) & (x <= x2))
        share = functional.avg_pool2d(inside[None].float(), fine)[0]
        torch.testing.assert_close(drawn + 0.5, share, atol=0.05, rtol=0)


@pytest.mark.parametrize("kind", ["baseline", "proda"])
def test_what_fills_a_keyframe_up_changes_nothing(kind):
    torch.manual_seed(0)
    model = (Baseline(SMALL) if kind == "baseline" else PairProda(SMALL)).eval()
    both, asked = keyframes((2, 6)), torch.tensor([[True, False, True]] * 2)

    def tell(keys, asked):
        return model(keys) if kind == "baseline" else model(keys, asked).total

    alone = Keyframes(both.part[:1, :2], both.box[:1, :2], both.mask[:1, :2])
    torch.testing.assert_close(tell(both, asked)[:1, :2], tell(alone, asked[:1]))


def test_pairs_look_at_each_other_within_their_keyframe_only():
    torch.manual_seed(0)
    model, keys = Baseline(SMALL).eval(), keyframes((6, 6))
    before = model(keys)
    keys.part[0, 0, 0] += torch.arange(6.0)
    moved = (model(keys) - before).abs().amax(-1) > 1e-6
    assert moved[0].all() and not moved[1].any()


def test_the_prompt_decides_what_the_branches_tell_and_nothing_else():
    """Asked for everything, the other branch is asked for nothing; both go through one layer."""
    torch.manual_seed(0)
    model, keys = PairProda(SMALL).eval(), keyframes()
    one, other = torch.tensor([[True, False, False]] * 2), torch.tensor([[False, True, True]] * 2)
    first, second = model(keys, one), model(keys, other)
    torch.testing.assert_close(first.original, second.original)
    assert (first.specified - second.specified).abs().max() > 1e-4
    model.prompt["u"], model.norm["u"] = model.prompt["s"], model.norm["s"]
    first, second = model(keys, one), model(keys, other)
    torch.testing.assert_close(first.unspecified_feature, second.specified_feature)


def test_a_blind_model_hears_the_prompt_alone():
    torch.manual_seed(0)
    model, asked = PairProda(SMALL).eval(), torch.tensor([[True, False, False]] * 2)
    some, others = keyframes((3, 4), seed=1), keyframes((3, 4), seed=2)
    assert (model(some, asked).total - model(others, asked).total).abs().max() > 1e-4
    torch.testing.assert_close(model(some.blind(), asked).total, model(others.blind(), asked).total)


# Loss -------------------------------------------------------------------------------------------------------


def test_the_loss_is_eq_8_with_a_cross_entropy():
    """With loops, in float64: weights 1, 0.1, 1; margins 0.4 and 0.3; a correlation and an error a keyframe."""
    torch.manual_seed(0)
    model, keys = PairProda(SMALL).double().eval(), keyframes((2, 3))
    keys = Keyframes(keys.part.double(), keys.box.double(), keys.mask)
    answers = model(keys, torch.tensor([[True, False, True], [False, True, False]]))
    rng = np.random.default_rng(0)
    target = {n: np.eye(4, dtype=bool)[rng.integers(4, size=(2, 3))] for n in ("specified", "unspecified", "total")}
    target["total"][0, 0] = [True, True, False, False]  # a pair that does two things
    found = loss(answers, {n: torch.from_numpy(t) for n, t in target.items()}, keys.mask)

    expected = 0.0
    for name, weight in (("specified", 1), ("unspecified", 0.1), ("total", 1)):
        values = []
        for b, pairs in ((0, 2), (1, 3)):
            for p in range(pairs):
                logits = getattr(answers, name)[b, p].tolist()
                norm = np.log(np.exp(logits).sum())
                truths = np.flatnonzero(target[name][b, p])
                values.append(np.mean([norm - logits[c] for c in truths]))
        expected += weight * np.mean(values)
    apart, whole = [], []
    for b, pairs in ((0, 2), (1, 3)):
        u, s, o, r = (
            getattr(answers, n)[b, :pairs].detach().numpy().ravel()
            for n in ("unspecified_feature", "specified_feature", "original", "reconstructed")
        )
        apart.append(max(abs(np.corrcoef(u, s)[0, 1]) - 0.4, 0))
        whole.append(max(((o - r) ** 2).mean() - 0.3, 0))
    assert found.item() == pytest.approx(expected + np.mean(apart) + np.mean(whole))


def test_only_pairs_that_count_are_learned_from():
    logits = torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(0))
    target = torch.eye(4, dtype=torch.bool)[torch.tensor([[0, 1, 3]])]
    counted = torch.tensor([[True, False, False]])
    assert float(cross_entropy(logits, target, counted)) == pytest.approx(
        float(functional.cross_entropy(logits[0, :1], torch.tensor([0])))
    )
    assert float(cross_entropy(logits, target, torch.zeros_like(counted))) == 0.0


def test_the_learning_rate_warms_up_and_falls_to_nothing():
    shares = [training.rate(epoch, 5, 20) for epoch in (0, 2.5, 5, 12.5, 20)]
    np.testing.assert_allclose(shares, [0.1, 0.55, 1, 0.5, 0], atol=1e-12)


# Figures ----------------------------------------------------------------------------------------------------


def test_average_precision_is_the_area_under_the_best_precision_at_each_recall():
    rng = np.random.default_rng(0)
    score, true = rng.random(40), rng.random(40) < 0.3
    order = sorted(range(40), key=lambda i: -score[i])
    hits = [bool(true[i]) for i in order]
    precision = [sum(hits[: n + 1]) / (n + 1) for n in range(40)]
    expected = sum(max(precision[n:]) for n in range(40) if hits[n]) / sum(hits)
    assert evaluation.average_precision(score, true) == pytest.approx(expected)


def test_recall_ranks_pairs_and_interactions_of_a_keyframe_together():
    """Keyframe 1: the best two of four candidates hold one of two; keyframe 2: one of one."""
    score = np.array([[0.9, 0.1], [0.8, 0.7], [0.2, 0.6]])
    label = np.array([[1, 0], [0, 1], [0, 1]], bool)
    assert evaluation.recall_at(2, score, label, np.array([0, 2, 3])) == pytest.approx(2 / 3)
    assert evaluation.recall_at(9, score, label, np.array([0, 2, 3])) == 1


def test_interactions_that_never_occur_have_no_average_precision():
    score, label = np.array([[0.9, 0.5], [0.1, 0.5]]), np.array([[1, 0], [0, 0]], bool)
    assert evaluation.mean_average_precision(score, label) == 1


# Stages -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two shards: in every keyframe three persons, one of whom does to the second what the third one's crop tells."""
    folder, rng = tmp_path_factory.mktemp("pairs"), np.random.default_rng(0)
    ids = [f"v{n:02d}" for n in range(24)]
    splits = ["train"] * 14 + ["val"] * 4 + ["test"] * 6
    videos = [Video(i, folder / f"{i}.mp4", s, labels=("a",), frames=20) for i, s in zip(ids, splits, strict=True)]
    Manifest(videos).write(folder / "manifest.csv")
    shards = []
    for number, part in enumerate((ids[:13], ids[13:])):
        path = folder / f"{number}.h5"
        with create(path, "pairs", ids=part) as artifact:
            artifact.share(action_name=["a", "b", "c"], origin=["dense"])
            for video in part:
                artifact.add(video, **example(rng, nothing=video == "v03"))
        shards.append(path)
    return shards, folder / "manifest.csv", folder


def example(rng, nothing):
    moments = 0 if nothing else 4
    kind = rng.integers(3, size=moments)
    feature = 0.3 * rng.standard_normal((moments, 3, 6))
    feature[np.arange(moments), 2, kind] += 3
    ends = np.array([(a, b) for a in range(3) for b in range(3) if a != b])
    rows = (3 * np.arange(moments)[:, None, None] + ends).reshape(-1, 2)
    label = np.zeros((moments, 6, 3), bool)
    label[np.arange(moments), 0, kind] = True
    low = np.tile([[0.1, 0.2], [0.4, 0.2], [0.7, 0.2]], (moments, 1))
    return {
        "frame": np.repeat(5 * np.arange(moments), 3),
        "box": np.concatenate([low, low + 0.2], axis=1).reshape(-1, 4),
        "feature": feature.reshape(-1, 6),
        "subject": rows[:, 0],
        "object": rows[:, 1],
        "union": np.zeros((len(rows), 6)),
        "label": label.reshape(-1, 3),
    }


def test_keyframes_are_read_with_their_pairs(files):
    shards, manifest, _ = files
    data, names = training.load(shards, manifest, "train")
    assert names == ["a", "b", "c"] and len(data) == 13 * 4  # one video shows nothing
    keys, labels = data.batch([5, 0])
    assert keys.part.shape == (2, 6, 3, 6) and labels.shape == (2, 6, 3) and keys.mask.all()
    video = 1  # keyframe 5 is the second of the second video
    row = data.edge[5]
    torch.testing.assert_close(keys.part[0, 0, 0], data.person[data.subject[row]].float())
    assert data.subject[row] == 3 * (4 * video + 1) and data.other[row] == data.subject[row] + 1
    np.testing.assert_array_equal(labels[0].any(0), data.interactions(5))


def test_a_role_without_pairs_is_named(files, tmp_path):
    shards, _, folder = files
    Manifest([Video("v03", folder / "v03.mp4", "train", ("a",))]).write(tmp_path / "manifest.csv")
    with pytest.raises(ChoreoError, match="'train' has two persons"):
        training.load(shards, tmp_path / "manifest.csv", "train")


@pytest.fixture(scope="module")
def run(files):
    shards, manifest, folder = files
    sizes = {"part": 16, "spatial": 8, "heads": 2, "feedforward": 64, "larger": 128, "candidates": 2, "gate": 8}
    for seed in (0, 1):
        training.pairs_train(
            shards,
            manifest,
            folder / f"{seed}.pt",
            seed=seed,
            **sizes,
            epochs=25,
            warmup=2,
            lr=3e-3,
            length=2,
            dropout=0.0,
        )
    models = [folder / "0.pt", folder / "1.pt"]
    evaluation.pairs_evaluate(models, shards, manifest, folder / "metrics.json", run="small", at="1,18")
    return models, read_metrics(folder / "metrics.json")["figures"]


def test_what_a_third_person_tells_is_learned_and_cannot_be_without_looking(run):
    """18 candidates a keyframe, one of them true; the prompt alone knows which interactions, but not who."""
    figures = run[1]
    for name in ("map", "map/baseline", "map/larger", "map/oracle", "map/queried"):
        assert figures[name]["mean"] > 0.8, name
    assert figures["map/prompt_only"]["mean"] < 0.5
    assert figures["recall@1"]["mean"] > 0.8
    assert figures["recall@18"]["mean"] == 1 and figures["recall@18"]["n"] == 2
    assert figures["parameters/baseline"]["mean"] < figures["parameters"]["mean"]


def test_the_same_seed_gives_the_same_bytes(run, files, tmp_path):
    shards, manifest, _ = files
    sizes = {"part": 4, "spatial": 4, "heads": 2, "feedforward": 8, "larger": 8, "candidates": 2, "gate": 4}
    for name in ("a", "b"):
        training.pairs_train(shards, manifest, tmp_path / name, **sizes, epochs=1, warmup=0)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_checkpoint_gives_back_what_was_trained(run):
    models, kept = training.trained(run[0][1])
    assert set(models) == set(training.MODELS) and kept["actions"] == ["a", "b", "c"]
    assert kept["settings"]["seed"] == 1 and kept["settings"]["larger"] == 128
    assert models["larger"].settings.feedforward == 128 and not models["proda"].training


def test_published_training_leaves_the_background_out(files):
    """Then no loss tells who interacts: the pairs that do nothing have no share in it."""
    shards, manifest, _ = files
    data, _ = training.load(shards, manifest, "train")
    recipe = training.Recipe(0, 1, 0, 1e-3, 0.0, 4, 1.0, 2, "paper", background=False)
    torch.manual_seed(0)
    model = Baseline(replace(SMALL, features=6))
    value = training._loss("baseline", model, data, np.arange(4), np.random.default_rng(0), recipe, Weights())
    keys, labels = data.batch(range(4))
    logits, told = model(keys)[torch.from_numpy(labels.any(-1))], labels[labels.any(-1)]
    expected = functional.cross_entropy(logits, torch.from_numpy(told.argmax(-1)))
    assert value.item() == pytest.approx(expected.item())


def test_oracle_prompts_hold_what_is_to_be_found(files):
    shards, manifest, _ = files
    data, _ = training.load(shards, manifest, "test")
    asked = evaluation.oracle(data, length=2, seed=0)
    shown = np.stack([data.interactions(k) for k in range(len(data))])
    assert asked.shape == shown.shape and 0 < (asked & shown).any(1).mean() < 1
    np.testing.assert_array_equal(asked, evaluation.oracle(data, length=2, seed=0))
