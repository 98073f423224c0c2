"""Routines: programmes, executions that show, and what the judges give."""

import csv
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from pipeline.artifacts import Artifact, validate
from pipeline.theatre import elements, render, routines
from pipeline.theatre.elements import DIFFICULTY, ELEMENTS, FPS, Turn
from pipeline.theatre.paper import SIZE
from pipeline.video import probe, stream

VIDEOS = 3


@pytest.fixture(scope="module")
def scripts() -> list[routines.Script]:
    return routines.cast(0, 320)


@pytest.fixture(scope="module")
def performed(scripts) -> np.ndarray:
    """(element, frames, execution) of every performance of an element, (N,3)."""
    return np.array([(t.element, t.frames, t.execution) for s in scripts for t in s.elements])


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    out = tmp_path_factory.mktemp("routines")
    render.theatre(out, act="routines", videos=VIDEOS)
    return out


def contents(folder) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def alone(script: routines.Script, element: int, execution: float) -> routines.Script:
    """A script of one element and nothing else; all else is as in `script`."""
    turns = Turn(-1, 0, 8, 1.0), Turn(element, 8, 40, execution), Turn(-1, 40, 48, 1.0)
    return replace(script, turns=turns)


def test_every_programme_keeps_the_rules(scripts):
    for script in scripts:
        chosen = [turn.element for turn in script.elements]
        assert 8 <= len(chosen) <= 14
        assert sum(ELEMENTS[index].difficulty for index in chosen) == pytest.approx(routines.BASE)
        assert max(chosen.count(index) for index in chosen) <= routines.TWICE


def test_turns_fill_a_minute_and_more_without_a_gap_and_never_two_elements_in_a_row(scripts):
    for script in scripts:
        assert script.turns[0].start == 0 and script.turns[-1].end >= 60 * FPS
        for one, two in zip(script.turns, script.turns[1:], strict=False):
            assert one.end == two.start and (one.element < 0) != (two.element < 0)
        assert all(turn.frames >= 5 and 0 <= turn.execution <= 1 for turn in script.turns)


def test_the_total_is_difficulty_times_execution_and_a_little_noise(scripts):
    literal = [sum(ELEMENTS[t.element].difficulty * t.execution for t in s.elements) for s in scripts]
    noise = np.array([script.total for script in scripts]) - literal
    assert abs(noise.mean()) < 0.02
    assert noise.std() == pytest.approx(routines.DOUBT / np.sqrt(routines.JUDGES), rel=0.15)
    assert np.std(literal) > 5 * noise.std()


def test_difficulties_are_clearly_different_and_kinds_are_eight_or_more():
    assert len(ELEMENTS) >= 8 and DIFFICULTY.min() <= 0.2 and DIFFICULTY.max() == 1.0
    assert len(set(DIFFICULTY)) >= 6 and len({element.name for element in ELEMENTS}) == len(ELEMENTS)


def test_execution_length_and_place_say_nothing_of_difficulty_or_the_score(scripts, performed):
    difficulty = DIFFICULTY[performed[:, 0].astype(int)]
    place = np.concatenate([np.linspace(0, 1, len(s.elements)) for s in scripts])
    bound = 4 / np.sqrt(len(performed))
    assert abs(np.corrcoef(difficulty, performed[:, 2])[0, 1]) < bound
    assert abs(np.corrcoef(difficulty, performed[:, 1])[0, 1]) < bound
    assert abs(np.corrcoef(performed[:, 1], performed[:, 2])[0, 1]) < bound
    assert abs(np.corrcoef(place, difficulty)[0, 1]) < bound
    assert abs(np.corrcoef(place, performed[:, 2])[0, 1]) < bound
    counts = [len(script.elements) for script in scripts]
    assert abs(np.corrcoef(counts, [script.total for script in scripts])[0, 1]) < 4 / np.sqrt(len(scripts))


def test_performers_are_never_in_two_splits_nor_in_the_corpus(scripts):
    by_split = {name: {s.group for s in scripts if s.split == name} for name in ("train", "val", "test")}
    assert not by_split["train"] & by_split["val"] | by_split["train"] & by_split["test"]
    assert not by_split["val"] & by_split["test"]
    shares = [sum(s.split == name for s in scripts) / len(scripts) for name in by_split]
    np.testing.assert_allclose(shares, [0.60, 0.15, 0.25], atol=0.02)
    assert not {s.group for s in routines.corpus(0, 40)} & {s.group for s in scripts}


@pytest.mark.parametrize("element", range(len(ELEMENTS)), ids=[e.name for e in ELEMENTS])
def test_a_faulty_execution_is_seen_in_every_element(scripts, element):
    """The same performance, faulty: joints are elsewhere, and reach less far from standing."""
    moved = []
    for script in scripts[:40:4]:
        full, faulty = (routines.truth(alone(script, element, execution)).joints[10:38] for execution in (1.0, 0.0))
        moved.append(np.linalg.norm(full - faulty, axis=-1).mean() / routines.Set(script).view.height)

    def reach(execution: float) -> float:
        wrong = elements.faults(execution, np.random.default_rng(0))
        return max(np.abs(elements._faulty(key - elements.READY, wrong)).max() for _, key in ELEMENTS[element].keys)

    assert np.mean(moved) > 0.05, "body heights, mean over joints and frames"
    assert reach(0.0) < 0.7 * reach(1.0)


def test_faults_grow_as_the_execution_gets_worse_and_there_are_none_in_a_full_one():
    rng = np.random.default_rng(0)
    sizes = [np.mean([list(vars(elements.faults(e, rng)).values()) for _ in range(50)]) for e in (1.0, 0.6, 0.2)]
    assert sizes[0] == 0 and sizes[0] < sizes[1] < sizes[2]


def test_only_what_turns_turns(scripts):
    rng = np.random.default_rng(0)
    for index, element in enumerate(ELEMENTS):
        motion = elements.move(list(alone(scripts[0], index, 1.0).turns), rng)
        turned = np.abs(motion.heading[39] - motion.heading[8]) / (2 * np.pi)
        assert turned > 1 if element.turn[1] else turned == 0, element.name


def test_the_performer_stays_in_the_picture(scripts):
    for script in scripts[:30]:
        joints = routines.truth(script).joints
        inside = ((joints > 0) & (joints < SIZE)).all(-1)
        assert inside.mean() > 0.985


def test_frames_come_one_at_a_time_and_are_those_of_the_truth(scripts):
    script = scripts[0]
    performance, count = routines.perform(script), 0
    assert iter(performance.frames) is performance.frames
    tracemalloc.start()
    for frame in performance.frames:
        count += 1
        assert frame.shape == (SIZE, SIZE, 3) and frame.dtype == np.uint8
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == script.turns[-1].end == len(performance.joints)
    assert peak < count * SIZE**2 * 3 / 2, "bytes; a whole routine would be twice that"


def test_the_joints_lie_on_the_drawn_body(scripts):
    """A hand that is seen has the colour of skin near it."""
    script = scripts[4]
    performance = routines.perform(script)
    light = script.rng("light")
    skin = np.minimum(np.array(script.performer.palette.skin) * light.uniform(0.8, 1.1), 255)
    found = []
    for frame, joints in zip(performance.frames, performance.joints, strict=True):
        x, y = np.clip(np.rint(joints[0]).astype(int), 1, SIZE - 2)
        found.append(np.abs(frame[y - 1 : y + 2, x - 1 : x + 2] - skin).max(-1).min())
    assert np.mean(np.array(found) < 40) > 0.6, "the face is turned away at times"


def test_the_files_say_what_was_performed(out):
    scripts = routines.cast(0, VIDEOS)
    with open(out / "index.csv", newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"id": s.id, "path": f"videos/{s.id}.mp4", "split": s.split, "labels": "", "group": s.group}
            for s in scripts
        ]
    with open(out / "scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [s.id for s in scripts]
    np.testing.assert_allclose([float(row["total"]) for row in rows], [s.total for s in scripts], atol=1e-4)
    validate(out / "elements.h5")
    with Artifact(out / "elements.h5", "elements") as truth:
        for script in scripts:
            video = truth.video(script.id)
            names = [truth["element_name"][index] for index in video["element"]]
            assert names == [ELEMENTS[turn.element].name for turn in script.elements]
            np.testing.assert_allclose(video["difficulty"].sum(), routines.BASE, rtol=1e-6)
            np.testing.assert_allclose(video["execution"], [t.execution for t in script.elements], rtol=1e-6)
            np.testing.assert_allclose(video["start"] * FPS, [t.start for t in script.elements], rtol=1e-6)
            assert (video["start"] < video["end"]).all() and video["end"][-1] < script.turns[-1].end / FPS


def test_videos_hold_the_frames_that_were_performed(out):
    script = routines.cast(0, VIDEOS)[0]
    path = out / "videos" / f"{script.id}.mp4"
    info = probe(path)
    assert (info.frames, info.fps) == (script.turns[-1].end, FPS)
    pairs = zip(stream(path), routines.perform(script).frames, strict=True)
    assert max(np.abs(found.pixels.astype(int) - frame).mean() for found, frame in pairs) < 6, (
        "grey levels, after H.264"
    )


def test_the_same_seed_gives_the_same_files_with_any_number_of_workers(out, tmp_path):
    render.theatre(tmp_path, act="routines", videos=VIDEOS, workers=2)
    assert contents(tmp_path) == contents(out)


def test_another_seed_gives_other_programmes_and_performers(scripts):
    others = routines.cast(1, 20)
    assert not {s.group for s in others} & {s.group for s in scripts}
    assert all(one.turns != two.turns for one, two in zip(scripts, others, strict=False))
