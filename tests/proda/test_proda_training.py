"""Training learns what can be learned, goes on where it was cut short, and keeps to its rules."""

import itertools
import logging
from dataclasses import fields

import numpy as np
import pytest
import torch

from pipeline import checkpoint
from pipeline.errors import ChoreoError
from pipeline.proda import data, steps, trained, training
from pipeline.proda.data import collate, sample
from pipeline.proda.ranking import mean_average_precision
from pipeline.proda.recipe import Recipe
from pipeline.proda.specifications import targets
from pipeline.proda.variants import TABLES, VARIANTS, overrides

TINY = {
    "dim": 16,
    "heads": 2,
    "feedforward": 24,
    "layers": 1,
    "edge_layers": 1,
    "candidates": 3,
    "frames": 6,
    "length": 2,
}
QUICK = TINY | {"per_video": 4, "epochs": 2, "batch": 16, "lr": 2e-3}
EPOCHS = (6, 3)  # of the model that is to learn something
POST = {"per_video": 4, "epochs": 2, "batch": 16, "lr": 2e-3}


@pytest.fixture
def pretrain(few, tmp_path):
    """Runs stage 1 on the small world."""

    def run(name: str = "pretrained.pt", **options):
        training.proda_pretrain(few.graphs, few.manifest, tmp_path / name, **QUICK | options)
        return tmp_path / name

    return run


@pytest.fixture
def posttrain(few, tmp_path):
    """Runs stage 2 on the small world."""

    def run(pretrained, name: str = "model.pt", **options):
        training.proda_posttrain(few.graphs, few.manifest, pretrained, tmp_path / name, **POST | options)
        return tmp_path / name

    return run


@pytest.fixture(scope="module")
def learned(simple, tmp_path_factory):
    """A model trained long enough to have learned something, and what it logged."""
    folder, lines = tmp_path_factory.mktemp("learned"), []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    training.log.addHandler(handler)
    training.log.setLevel(logging.INFO)
    paths = folder / "pretrained.pt", folder / "model.pt"
    longer = {"dim": 32, "dropout": 0.0, "batch": 2, "epochs": EPOCHS[0], "lr": 1e-3}
    training.proda_pretrain(simple.graphs, simple.manifest, paths[0], **QUICK | longer)
    training.proda_posttrain(simple.graphs, simple.manifest, *paths, **POST | {"epochs": EPOCHS[1], "batch": 4})
    training.log.removeHandler(handler)
    training.log.setLevel(logging.NOTSET)
    return paths, lines


class Enough(Exception):  # noqa: N818
    """The training went as far as the test looks at."""


def stop():
    raise Enough


def weights(path):
    """All weights of a checkpoint."""
    return checkpoint.load(path, "proda")["state"]


def equal(one, two) -> bool:
    """Whether two checkpoints have the same weights."""
    return all(torch.equal(a, b) for a, b in zip(weights(one).values(), weights(two).values(), strict=True))


def recipe(**options) -> Recipe:
    """A recipe for the parts of the training."""
    known = {f.name for f in fields(Recipe)}
    base = {"seed": 0, "window": "whole", "specifications": "queries", "redraw": True, "weight_decay": 0.0}
    base |= {"clip": 5.0, "warmup": 0.0, "schedule": "linear", "precision": "fp32"}
    return Recipe(**{k: v for k, v in (QUICK | base | options).items() if k in known})


# What is learned


def test_the_loss_falls_and_every_epoch_says_so_in_one_line(learned):
    _, lines = learned
    epochs = [line for line in lines if line.startswith("epoch ")]
    assert len(epochs) == sum(EPOCHS)
    first, last = (float(epochs[n].split("total ")[1].split(",")[0]) for n in (0, EPOCHS[0] - 1))
    assert last < 0.8 * first
    assert all("mAP on val" in line and "specified" in line for line in epochs)


def test_actions_of_new_videos_are_found_without_a_prompt(simple, learned):
    loaded = data.load(simple.graphs, simple.manifest)
    model, test = trained.load(learned[0][1], loaded), loaded.roles["test"]
    graphs = collate(test.graphs, [sample(len(graph), model.settings.frames) for graph in test.graphs])
    with torch.inference_mode():
        encoded = model.network.encode(graphs)
        every = model.network.ask(encoded, torch.ones(test.labels.shape, dtype=torch.bool)).total
        for score in (model.network.middle(encoded), every):
            assert mean_average_precision(score, test.labels) > 2 * test.labels.mean()


def test_the_best_epoch_on_val_is_kept_with_its_figures(simple, learned):
    loaded = data.load(simple.graphs, simple.manifest)
    model = trained.load(learned[0][0], loaded)
    kept = Recipe(**model.recipe)
    asked = list(steps.steps(loaded.roles["val"], steps.val_items(loaded.roles["val"], kept), kept, None))
    figures = training.judge(model.network, asked)
    assert {k: v for k, v in model.figures.items() if k != "epoch"} == pytest.approx(figures, abs=1e-6)
    said = [line.split("mAP on val")[1] for line in learned[1] if line.startswith("epoch ")][: EPOCHS[0]]
    means = [np.mean([float(line.split(f"{name} ")[1][:5]) for name in (" specified", "unspecified")]) for line in said]
    assert means[model.figures["epoch"] - 1] == pytest.approx(max(means), abs=1e-3)


# Same seed, resumed runs


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(pretrain):
    one, two, other = pretrain("1.pt"), pretrain("2.pt"), pretrain("3.pt", seed=1)
    assert equal(one, two) and not equal(one, other)
    assert one.read_bytes() == two.read_bytes()


def test_training_leaves_random_state_and_threads_of_the_process_alone(pretrain):
    before = torch.get_num_threads()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    torch.set_num_threads(before + 1)
    try:
        pretrain(epochs=1, threads=1)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(torch.rand(3), expected)


@pytest.mark.parametrize("stage", ["pretrain", "posttrain"])
def test_a_run_that_was_cut_short_ends_with_the_weights_of_one_that_was_not(stage, pretrain, posttrain, monkeypatch):
    base = pretrain("base.pt", epochs=1)

    def run(name):
        return pretrain(name, epochs=3) if stage == "pretrain" else posttrain(base, name, epochs=3)

    whole = run("whole.pt")
    judge, calls = training.judge, []

    def killed(network, asked):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return judge(network, asked)

    monkeypatch.setattr(training, "judge", killed)
    with pytest.raises(KeyboardInterrupt):
        run("cut.pt")
    assert not whole.with_name("cut.pt").exists() and whole.with_name("cut.part").exists()
    cut = run("cut.pt")
    assert len(calls) == 4, "two epochs before the cut, the cut, and one after it"
    assert equal(whole, cut) and not cut.with_suffix(".part").exists()


def test_a_run_under_other_options_does_not_go_on_from_the_rest_of_another(pretrain, monkeypatch, caplog):
    whole, save = pretrain("whole.pt", lr=1e-3), checkpoint.save

    def save_and_die(path, **content):
        save(path, **content)
        monkeypatch.setattr(checkpoint, "save", save)
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        pretrain("model.pt", lr=2e-3)
    assert equal(whole, pretrain("model.pt", lr=1e-3))
    assert "`lr` is 0.002 there and 0.001 here" in caplog.text


# Stages and variants


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_goes_through_both_stages_and_can_be_read(variant, few, pretrain, posttrain):
    model = trained.load(posttrain(pretrain(variant=variant, epochs=1), epochs=1), data.load(few.graphs, few.manifest))
    assert model.variant == variant and model.video is (variant != "blind")
    asked = overrides(variant)
    for option in ("prompt", "norm"):
        assert getattr(model.settings, option) == asked.get(option, getattr(model.settings, option))
    for option in ("lambda_disentanglement", "lambda_reconstruction", "margin", "margin_end"):
        assert model.recipe[option] == asked.get(option, model.recipe[option])


def test_the_tables_name_known_variants_and_an_unknown_one_is_an_error():
    assert {name for rows in TABLES.values() for name in rows} == set(VARIANTS)
    with pytest.raises(ChoreoError, match="no variant 'ful'"):
        overrides("ful")


def test_the_second_stage_changes_the_classifiers_and_nothing_else(pretrain, posttrain):
    before = weights(first := pretrain())
    for which, prefixes in training.CLASSIFIERS.items():
        after = weights(posttrain(first, f"{which}.pt", classifiers=which))
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        assert changed and all(name.startswith(prefixes) for name in changed)
        assert {name.split(".")[0] for name in changed} == set(prefixes)


def test_classifiers_can_start_anew(pretrain, posttrain):
    first = pretrain()
    kept, anew = (posttrain(first, f"{flag}.pt", reinitialise=flag, epochs=1, lr=1e-9) for flag in (False, True))
    name = "total_head.2.weight"
    torch.testing.assert_close(weights(kept)[name], weights(first)[name], atol=1e-6, rtol=0)
    assert (weights(anew)[name] - weights(first)[name]).abs().max() > 1e-2


def test_the_head_of_a_m_learns_in_stage_one_where_it_is_asked_to(pretrain):
    for weight, learns in ((0.0, False), (1.0, True)):
        bias = weights(pretrain(epochs=1, lambda_middle=weight))["middle_head.2.bias"]  # 0 at first
        assert bool(bias.any()) == learns


def test_a_blind_model_gives_every_video_one_answer(few, pretrain, posttrain):
    loaded = data.load(few.graphs, few.manifest)
    model = trained.load(posttrain(pretrain(variant="blind", epochs=1), epochs=1), loaded)
    test = loaded.roles["test"]
    assert model.settings.frames == 1  # frames of nothing are all alike
    graphs = model.see(collate(test.graphs[:3], [sample(len(graph), 1) for graph in test.graphs[:3]]))
    with torch.inference_mode():
        answers = model.network(graphs, torch.ones(3, len(loaded.actions), dtype=torch.bool))
    torch.testing.assert_close(answers.total, answers.total[:1].expand(3, -1))


def test_the_encoder_alone_takes_as_many_steps_as_proda(pretrain, monkeypatch):
    taken = {}
    for variant in ("full", "encoder"):
        taken[variant], adam = [], torch.optim.AdamW.step
        monkeypatch.setattr(
            torch.optim.AdamW, "step", lambda self, *a, v=variant, step=adam: (taken[v].append(1), step(self, *a))
        )
        pretrain(variant=variant, epochs=1)
        monkeypatch.undo()
    assert len(taken["full"]) == len(taken["encoder"]) > 1


# Parts


def test_an_epoch_asks_every_prompt_of_every_video_once(few):
    train = data.load(few.graphs, few.manifest).roles["train"]
    for per_video in (1, 3):
        options = recipe(per_video=per_video)
        items = steps.epoch_items(train, options, 1)
        asked = {row: np.concatenate([s for r, s in items if r == row]) for row in range(len(train))}
        for row, drawn in enumerate(steps._specifications(train, options, 1)):
            assert sorted(map(tuple, asked[row])) == sorted(map(tuple, drawn))
        assert max(len(specified) for _, specified in items) <= per_video


def test_an_epoch_can_ask_some_of_the_prompts_of_every_video(few):
    videos = few.data.roles["train"] if hasattr(few, "data") else data.load(few.graphs, few.manifest).roles["train"]
    asked = steps.epoch_items(videos, recipe(prompts=3, per_video=2), 1)
    assert sorted(row for row, _ in asked) == sorted([*range(len(videos))] * 2)  # 2 prompts, then 1
    assert sum(len(specified) for _, specified in asked) == 3 * len(videos)


def test_variants_start_from_the_encoder_that_was_trained_alone(pretrain, posttrain, monkeypatch):
    alone = pretrain("encoder.pt", variant="encoder", encoder_epochs=3)
    given = {}
    monkeypatch.setattr(training, "fit", lambda course, *_: given.update(course.network.state_dict()) or stop())
    with pytest.raises(Enough):
        pretrain("full.pt", encoder=alone, encoder_epochs=3)
    theirs = weights(alone)
    for mine, other in (("encoder.", "encoder."), ("middle_readout.", "readout."), ("middle_head.", "head.")):
        names = [name for name in theirs if name.startswith(other)]
        assert names and all(torch.equal(given[mine + n.removeprefix(other)], theirs[n]) for n in names)


def test_what_is_no_encoder_or_of_other_sizes_is_nothing_to_start_from(pretrain):
    with pytest.raises(ChoreoError, match="nothing to start from"):
        pretrain("again.pt", encoder=pretrain("full.pt"))
    with pytest.raises(ChoreoError, match="does not fit"):
        pretrain("again.pt", encoder=pretrain("wide.pt", variant="encoder", dim=32))


def test_the_encoder_alone_goes_on_for_as_many_passes_as_the_others(pretrain, posttrain, caplog):
    caplog.set_level(logging.INFO, logger="pipeline")
    alone = pretrain("encoder.pt", variant="encoder", encoder_epochs=3, epochs=2)
    posttrain(alone, epochs=1)
    assert [line.split(",")[0] for line in caplog.messages if line.startswith("epoch")] == [
        "epoch 1/3", "epoch 2/3", "epoch 3/3", "epoch 1/3", "epoch 2/3", "epoch 3/3",
    ]  # fmt: skip


def test_prompts_are_drawn_anew_every_epoch_or_once(few):
    train = data.load(few.graphs, few.manifest).roles["train"]
    for redraw in (True, False):
        one, two = (np.concatenate(steps._specifications(train, recipe(redraw=redraw), e)) for e in (1, 2))
        assert np.array_equal(one, two) is not redraw


def test_a_step_lines_up_videos_prompts_and_targets(few):
    train, options = data.load(few.graphs, few.manifest).roles["train"], recipe(per_video=3)
    items = steps.epoch_items(train, options, 1)[:20]
    at = 0
    for step in steps.steps(train, items, options, None):
        for n in range(len(step.labels)):
            row, specified = items[at + n]
            mine = step.rows == n
            np.testing.assert_array_equal(step.labels[n].bool(), train.labels[row])
            np.testing.assert_array_equal(step.specified[mine], specified)
            wanted, rest = targets(train.labels[[row] * len(specified)], specified)
            np.testing.assert_array_equal(step.wanted[mine], wanted)
            np.testing.assert_array_equal(step.rest[mine], rest)
            np.testing.assert_array_equal(step.graphs.kind[n], train.graphs[row].kind)
        at += len(step.labels)
    assert at == len(items)


def test_the_learning_rate_rises_then_falls_to_nothing():
    linear = recipe(epochs=4, warmup=0.5, lr=1.0)
    rates = [training.rate_at(step, 10, linear) for step in range(40)]
    assert rates[0] == pytest.approx(0.2) and max(rates) == rates[4] == 1.0
    assert all(a > b for a, b in itertools.pairwise(rates[5:])) and rates[-1] == pytest.approx(1 / 35)
    assert training.rate_at(39, 10, recipe(epochs=4, schedule="cosine")) < 0.01
    assert training.rate_at(39, 10, recipe(epochs=4, schedule="constant")) == 1


# What goes wrong


@pytest.mark.parametrize(
    "options, said",
    [
        ({"schedule": "steep"}, "schedule 'steep'"),
        ({"norm": "none"}, "norm is one of"),
        ({"variant": "fulll"}, "variant 'fulll'"),
        ({"batch": 0}, "`batch` is 0"),
        ({"specifications": "all"}, "specifications 'all'"),
        ({"lr": 1e30}, "not finite"),
    ],
)
def test_an_option_that_makes_no_sense_is_named(pretrain, options, said):
    with pytest.raises(ChoreoError, match=said):
        pretrain(**options)


def test_a_checkpoint_of_other_data_names_what_differs(few, pretrain, tmp_path):
    loaded = data.load(few.graphs, few.manifest)
    path = pretrain(epochs=1)
    other = data.Data(loaded.roles, loaded.actions[:-1], loaded.objects, loaded.relations)
    with pytest.raises(ChoreoError, match="`action_names` is"):
        trained.load(path, other)
    with pytest.raises(ChoreoError, match="classifiers 'some'"):
        training.proda_posttrain(few.graphs, few.manifest, path, tmp_path / "m.pt", classifiers="some")
