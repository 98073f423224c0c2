"""Training learns what can be learned and goes on where it was cut short; an answer hangs on its video alone."""

import itertools
import logging
from dataclasses import asdict, fields, replace

import contest
import numpy as np
import pytest
import torch

from pipeline import checkpoint
from pipeline.aqa import data, trained, training
from pipeline.aqa.measures import spearman
from pipeline.aqa.training import Recipe
from pipeline.aqa.variants import TABLES, VARIANTS, overrides
from pipeline.errors import ChoreoError

TINY = {"queries": 5, "dim": 8, "heads": 2, "feedforward": 8, "dropout": 0.1, "hidden": 8, "clips": 6}
QUICK = TINY | {"epochs": 2, "batch": 5, "lr": 1e-3}
WELL = {"queries": 12, "dim": 32, "feedforward": 32, "dropout": 0.1, "hidden": 32, "clips": 12, "standardise": True}
WELL |= {"epochs": 25, "batch": 16, "lr": 2e-3}


@pytest.fixture
def train(small, tmp_path):
    """Trains on the small contest."""

    def run(name: str = "model.pt", **options):
        options = {"task": contest.TASK} | QUICK | options
        training.aqa_train(small.features, small.scores, small.manifest, tmp_path / name, **options)
        return tmp_path / name

    return run


@pytest.fixture(scope="module")
def few(small):
    """The routines of the small contest."""
    return data.load(small.features, small.manifest, small.scores, task=contest.TASK)


@pytest.fixture(scope="module")
def learned(contested, tmp_path_factory):
    """A model trained long enough to have learned something, its data, and what it logged."""
    path, lines = tmp_path_factory.mktemp("learned") / "model.pt", []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    training.log.addHandler(handler)
    training.log.setLevel(logging.INFO)
    training.aqa_train(contested.features, contested.scores, contested.manifest, path, task=contest.TASK, **WELL)
    training.log.removeHandler(handler)
    training.log.setLevel(logging.NOTSET)
    loaded = data.load(contested.features, contested.manifest, contested.scores, task=contest.TASK)
    return trained.load(path, loaded), loaded, lines


def weights(path):
    """All weights of a checkpoint."""
    return checkpoint.load(path, "aqa")["state"]


def equal(one, two) -> bool:
    """Whether two checkpoints have the same weights."""
    return all(torch.equal(a, b) for a, b in zip(weights(one).values(), weights(two).values(), strict=True))


def same(one: trained.Answer, two: trained.Answer, within: float = 0.0) -> None:
    """Two answers are the same, or nearly."""
    for name, value in asdict(one).items():
        np.testing.assert_allclose(value, getattr(two, name), rtol=0, atol=within, err_msg=name)


def recipe(**options) -> Recipe:
    """A recipe for the parts of the training."""
    base = {"seed": 0, "crop": "train", "masked": True, "standardise": False, "weight_decay": 0.0, "smoothing": 1}
    base |= {"schedule": "cosine", "lambda_regression": 1.0, "lambda_attention": 1.0, "direction": "self_cross"}
    base |= {"scaled": False, "reduction": "mean", "noise": 0.0, "precision": "fp32"}
    known = {f.name for f in fields(Recipe)}
    return Recipe(**{k: v for k, v in (QUICK | base | options).items() if k in known})


def picked(videos: data.Videos, rows) -> data.Videos:
    """Some of the videos, in that order."""
    return data.Videos([videos.ids[r] for r in rows], [videos.clips[r] for r in rows], videos.targets[list(rows)])


# What is learned


def test_a_score_that_features_tell_is_learned_better_than_the_mean(learned):
    model, loaded, _ = learned
    test, task = loaded.roles["test"], loaded.task
    said = np.array([answer.score for answer in trained.answers(model, test)])
    truth, mean = task.points(test.targets), task.points(loaded.roles["train"].targets.mean())
    assert spearman(said, truth) > 0.7
    assert ((said - truth) ** 2).mean() < 0.5 * ((mean - truth) ** 2).mean()


def test_every_epoch_says_its_losses_and_its_figures_on_val_in_one_line(learned):
    epochs = [line for line in learned[2] if line.startswith("epoch ")]
    assert len(epochs) == WELL["epochs"]
    assert all("regression" in line and "attention" in line and "on val srcc" in line for line in epochs)


def test_the_weights_that_are_kept_have_the_figures_that_are_kept(learned):
    model, loaded, _ = learned
    kept = Recipe(**model.recipe)
    val = loaded.roles["val"]
    figures = training.judge(model.network, list(training.steps(val, range(len(val)), model, kept, None)), kept)
    assert {name: model.figures[name] for name in figures} == pytest.approx(figures, abs=1e-6)


# The choice of the epoch


def test_the_epoch_is_chosen_by_the_mean_correlation_over_the_last_epochs(train, monkeypatch):
    said = [0.1, 0.2, 0.9, 0.1, 0.6, 0.6, 0.5, 0.3]  # a lucky epoch, and three good ones
    for smoothing, best in ((1, 3), (3, 7), (20, 8)):
        scores = iter(said)
        monkeypatch.setattr(training, "judge", lambda *_, scores=scores: {"srcc": next(scores), "mse": 1.0})
        figures = trained.load(train(epochs=len(said), smoothing=smoothing)).figures
        assert figures["epoch"] == best and figures["srcc"] == said[best - 1]
        assert figures["srcc_smoothed"] == pytest.approx(np.mean(said[max(0, best - smoothing) : best]))


def test_of_equal_or_undefined_correlations_the_least_error_decides(train, monkeypatch):
    figures = [(0.5, 3.0), (float("nan"), 0.1), (0.5, 1.0), (0.5, 2.0)]
    for rows, best in ((figures, 3), ([(float("nan"), mse) for _, mse in figures], 2)):
        said = iter(rows)
        monkeypatch.setattr(
            training, "judge", lambda *_, said=said: dict(zip(("srcc", "mse"), next(said), strict=True))
        )
        assert trained.load(train(epochs=4, smoothing=1)).figures["epoch"] == best
    nan, negative = {"srcc": float("nan"), "mse": 1.0}, {"srcc": -0.1, "mse": 0.5}
    assert training.standing([nan]) > training.standing([negative]), "saying nothing is better than the contrary"


# Same seed, resumed runs


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_weights(train):
    one, two, other = train("1.pt"), train("2.pt"), train("3.pt", seed=1)
    assert one.read_bytes() == two.read_bytes() and not equal(one, other)


def test_training_leaves_random_state_and_threads_of_the_process_alone(train):
    before = torch.get_num_threads()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    torch.set_num_threads(before + 1)
    try:
        train(epochs=1, threads=1)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(torch.rand(3), expected)


@pytest.mark.parametrize("variant", ["full", "published"])
def test_a_run_that_was_cut_short_ends_with_the_bytes_of_one_that_was_not(variant, train, monkeypatch):
    whole = train("whole.pt", epochs=5, variant=variant, smoothing=2)
    judge, calls = training.judge, []

    def killed(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return judge(*arguments)

    monkeypatch.setattr(training, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(training, "judge", killed)
    with pytest.raises(KeyboardInterrupt):
        train("cut.pt", epochs=5, variant=variant, smoothing=2)
    assert not whole.with_name("cut.pt").exists() and whole.with_name("cut.part").exists()
    cut = train("cut.pt", epochs=5, variant=variant, smoothing=2)
    assert len(calls) == 6, "three epochs before the cut, the cut, and two after it"
    assert whole.read_bytes() == cut.read_bytes() and not cut.with_suffix(".part").exists()


def test_the_best_epoch_of_before_the_cut_is_remembered(train, monkeypatch):
    scores = iter([0.2, 0.9, 0.1, None, 0.3, 0.4])  # the best, then the cut, then what comes after it

    def judge(*_):
        if (score := next(scores)) is None:
            raise KeyboardInterrupt
        return {"srcc": score, "mse": 1.0}

    monkeypatch.setattr(training, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(training, "judge", judge)
    with pytest.raises(KeyboardInterrupt):
        train(epochs=5, smoothing=1)
    assert trained.load(train(epochs=5, smoothing=1)).figures["epoch"] == 2


def test_every_epoch_has_an_order_of_its_own(train, few, monkeypatch):
    steps, orders = training.steps, []

    def record(videos, order, model, recipe, rng):
        orders.append(list(order))
        return steps(videos, order, model, recipe, rng)

    monkeypatch.setattr(training, "steps", record)
    train(epochs=2)
    one, _, two, _ = orders  # after every epoch val is seen
    assert sorted(one) == sorted(two) == list(range(len(few.roles["train"]))) and one != two


def test_a_run_under_other_options_does_not_go_on_from_the_rest_of_another(train, monkeypatch, caplog):
    whole, save = train("whole.pt", lr=1e-3), checkpoint.save

    def save_and_die(path, **content):
        save(path, **content)
        monkeypatch.setattr(checkpoint, "save", save)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(checkpoint, "save", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        train(lr=2e-3)
    assert equal(whole, train(lr=1e-3))
    assert "`lr` is 0.002 there and 0.001 here" in caplog.text


# What is said of a video


@pytest.fixture(scope="module")
def nine(learned):
    """Nine routines of test."""
    return picked(learned[1].roles["test"], range(9))


@pytest.mark.parametrize("batch, within", [(1, 0.0), (3, 2e-5), (9, 2e-5)])
def test_an_answer_hangs_neither_on_the_batch_nor_on_the_order(learned, nine, batch, within):
    alone = trained.answers(learned[0], nine)
    order = [4, 0, 8, 2, 6, 1, 3, 7, 5]
    for row, answer in zip(order, trained.answers(learned[0], picked(nine, order), batch=batch), strict=True):
        same(answer, alone[row], within)


def test_padding_changes_nothing_and_is_not_in_the_answer(learned, nine):
    model, settings = learned[0], learned[0].settings
    shortest = min(range(9), key=lambda row: len(nine.clips[row]))
    clips, mask = data.collate([model.see(nine.clips[shortest].feature)])
    with torch.inference_mode():
        plain = model.network(clips, mask)
        rubbish = torch.cat([clips, torch.full((1, 30, settings.features), 1e3)], dim=1)
        padded = model.network(rubbish, torch.cat([mask, torch.zeros(1, 30, dtype=torch.bool)], dim=1))
    torch.testing.assert_close(plain.score, padded.score, rtol=0, atol=1e-5)
    for answer, clips in zip(trained.answers(model, nine, batch=9), nine.clips, strict=True):
        T, Q, L = len(clips), settings.queries, settings.layers
        assert answer.start.tolist() == clips.start.tolist() and answer.end.tolist() == clips.end.tolist()
        assert answer.cross_attention.shape == (L, Q, T) and answer.self_attention.shape == (L, Q, Q)
        assert answer.queries.shape == (L, Q, settings.width)
        for attention in (answer.cross_attention, answer.self_attention):
            np.testing.assert_allclose(attention.sum(axis=-1), 1, atol=1e-5)


def test_weights_and_qualities_add_up_to_the_score_in_points(learned, nine):
    for answer in trained.answers(learned[0], nine):
        assert answer.weight.sum() == pytest.approx(1, abs=1e-5)
        assert float(answer.weight @ answer.quality) == pytest.approx(answer.score, abs=1e-4)


def test_targets_are_not_looked_at(learned, nine):
    hidden = replace(nine, targets=np.full(9, np.nan))
    for one, two in zip(trained.answers(learned[0], nine), trained.answers(learned[0], hidden), strict=True):
        same(one, two)


def test_published_answers_are_drawn_at_random_of_the_seed_and_the_video(train, few):
    model = trained.load(train(variant="published", clips=4))
    every, test = trained.answers(model, few.roles["test"], batch=4), few.roles["test"]
    assert model.random and VARIANTS["published"].published
    for row in reversed(range(len(test))):  # whatever else was asked before
        same(trained.answers(model, picked(test, [row]))[0], every[row])
        assert every[row].cross_attention.shape[-1] == len(every[row].start) == min(4, len(test.clips[row]))
    other = trained.answers(replace(model, recipe=model.recipe | {"seed": 1}), test)
    assert all(one.score != two.score for one, two in zip(every, other, strict=True))


def test_without_a_mask_rows_of_zeros_are_seen(train, few):
    model = trained.load(train(masked=False, clips=9))
    videos = few.roles["test"]
    shortest = min(range(len(videos)), key=lambda row: len(videos.clips[row]))
    answer = trained.answers(model, picked(videos, [shortest]))[0]
    assert len(answer.start) < 9 and answer.cross_attention.sum(axis=-1).max() < 0.999


# Options and variants


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_trained_as_it_says_and_can_be_read(variant, train, few):
    model = trained.load(train(variant=variant, epochs=1), few)
    assert model.variant == variant and model.task == few.task
    for option, value in overrides(variant).items():
        assert (asdict(model.settings) | model.recipe)[option] == value
    assert all(np.isfinite(answer.score) for answer in trained.answers(model, few.roles["test"]))
    assert model.random == VARIANTS[variant].published


def test_the_tables_name_known_variants_and_an_unknown_one_is_an_error():
    assert {name for rows in TABLES.values() for name in rows} == set(VARIANTS)
    with pytest.raises(ChoreoError, match="no variant 'ful'"):
        overrides("ful")


def test_features_are_standardised_by_those_of_train_where_that_is_asked_for(train, few):
    plain, standard = (trained.load(train(standardise=flag)) for flag in (False, True))
    feature = few.roles["test"].clips[0].feature
    np.testing.assert_array_equal(plain.see(feature), feature)
    every = np.concatenate([standard.see(clips.feature) for clips in few.roles["train"].clips])
    np.testing.assert_allclose(every.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(every.std(axis=0), 1, atol=1e-5)


def test_long_videos_are_cut_in_training_only(train, few, monkeypatch):
    seen, forward = [], training.Aqa.forward

    def record(self, clips, mask):
        seen.append((self.training, clips.shape[1]))
        return forward(self, clips, mask)

    monkeypatch.setattr(training.Aqa, "forward", record)
    model = trained.load(train(clips=4, batch=100, epochs=1, smoothing=1))
    assert seen == [(True, 4), (False, max(len(clips) for clips in few.roles["val"].clips))]
    longest = max(few.roles["test"].clips, key=len)
    assert len(longest) > 4 and model.recipe["clips"] == 4
    assert max(len(answer.start) for answer in trained.answers(model, few.roles["test"])) == len(longest)


def test_a_step_lines_up_clips_and_targets_and_an_epoch_sees_every_video_once(few):
    videos, options = few.roles["train"], recipe(clips=4)
    model = trained.Trained(None, None, "full", few.task, np.zeros(8, "f4"), np.ones(8, "f4"), {}, {})
    order = np.random.default_rng(0).permutation(len(videos))
    at = 0
    for step in training.steps(videos, order, model, options, np.random.default_rng(1)):
        assert len(step.targets) <= options.batch
        for n in range(len(step.targets)):
            clips, shown = videos.clips[order[at]], step.clips[n][step.mask[n]].numpy()
            places = range(len(clips) - len(shown) + 1)
            assert any(np.array_equal(clips.feature[p : p + len(shown)], shown) for p in places)
            assert len(shown) == min(4, len(clips))
            assert step.targets[n].item() == pytest.approx(videos.targets[order[at]])
            at += 1
    assert at == len(videos)


def test_the_losses_are_weighted_and_noise_is_added_in_training_only(train, few):
    network = trained.load(train()).network
    videos = few.roles["train"]
    model = trained.Trained(network, None, "full", few.task, np.zeros(8, "f4"), np.ones(8, "f4"), {}, {})

    def parts(**options):
        step = next(training.steps(videos, range(5), model, recipe(**options), None))
        torch.manual_seed(0)
        return {name: value.item() for name, value in training.objective(network, recipe(**options), step).items()}

    once = parts()
    assert set(once) == {"regression", "attention"} and once["attention"] > 0
    assert parts(lambda_attention=3.0)["attention"] == pytest.approx(3 * once["attention"])
    assert parts(lambda_regression=2.0)["regression"] == pytest.approx(2 * once["regression"])
    assert set(parts(lambda_attention=0.0)) == {"regression"}
    assert parts(reduction="sum")["attention"] == pytest.approx(5 * 5 * once["attention"], rel=1e-4)
    assert parts(noise=0.5)["regression"] != once["regression"]
    shown = list(training.steps(few.roles["val"], range(4), model, recipe(), None))
    assert training.judge(network, shown, recipe(noise=0.5)) == training.judge(network, shown, recipe())


def test_the_learning_rate_follows_its_schedule():
    cosine = [training.rate_at(step, 10, recipe(epochs=4)) for step in range(41)]
    assert cosine[0] == 1 and cosine[20] == pytest.approx(0.5) and cosine[40] == pytest.approx(0)
    assert all(a > b for a, b in itertools.pairwise(cosine))
    assert training.rate_at(39, 10, recipe(epochs=4, schedule="constant")) == 1
    step = recipe(epochs=200, schedule="step")
    rates = [training.rate_at(n, 5, step) for n in (0, 399, 400, 800)]
    assert rates == pytest.approx([1, 1, 0.1, 0.01])


# What goes wrong


@pytest.mark.parametrize(
    "options, said",
    [
        ({"schedule": "steep"}, "schedule 'steep'"),
        ({"crop": "never"}, "crop 'never'"),
        ({"direction": "both"}, "direction 'both'"),
        ({"reduction": "max"}, "reduction 'max'"),
        ({"precision": "fp8"}, "precision 'fp8'"),
        ({"variant": "fulll"}, "variant 'fulll'"),
        ({"batch": 0}, "`batch` is 0"),
        ({"heads": 3}, "heads"),
        ({"head": "double"}, "head is one of"),
        ({"dropout": 1.0}, "dropout"),
        ({"lr": 1e30}, "not finite"),
        ({"task": {"score": "total"}}, "lacks its `range`"),
    ],
)
def test_an_option_that_makes_no_sense_is_named(train, options, said):
    with pytest.raises(ChoreoError, match=said):
        train(**options)


def test_fewer_clips_than_queries_are_said(train, caplog):
    train(epochs=1)
    assert "videos have fewer clips than the 5 queries" in caplog.text
    caplog.clear()
    train(epochs=1, queries=2)
    assert "fewer clips" not in caplog.text


def test_val_scores_that_are_all_equal_are_said_and_the_least_error_is_kept(small, tmp_path, caplog):
    values = data.read_scores(small.scores)["total"]
    val = data.load(small.features, small.manifest, small.scores, task=contest.TASK).roles["val"].ids
    contest.write_scores(tmp_path / "scores.csv", total=values | dict.fromkeys(val, 12.5))
    out = tmp_path / "model.pt"
    training.aqa_train(
        small.features, tmp_path / "scores.csv", small.manifest, out, task=contest.TASK, **QUICK | {"epochs": 4}
    )
    assert "all scores of 'val' are equal (12.5): Spearman's correlation is undefined" in caplog.text
    figures = trained.load(out).figures
    assert np.isnan(figures["srcc"]) and figures["mse"] > 0


def test_a_checkpoint_of_other_data_names_what_differs(train, few):
    path = train(epochs=1)
    with pytest.raises(ChoreoError, match="`task` is"):
        trained.load(path, replace(few, task=replace(few.task, high=30.0)))
    wide = {
        role: replace(videos, clips=[replace(c, feature=c.feature[:, :5]) for c in videos.clips])
        for role, videos in few.roles.items()
    }
    with pytest.raises(ChoreoError, match="`features` is 8 there and 5 here"):
        trained.load(path, replace(few, roles=wide))
