"""Act three: who does what to whom, and its files in the publisher's format."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from pipeline.datasets import sportshhi
from pipeline.theatre import court
from pipeline.theatre.puppet import POINT
from pipeline.theatre.stage import FPS
from pipeline.video import probe


@pytest.fixture(scope="module")
def scenes():
    """What happens in many videos, without a pixel."""
    scripts = court.cast(seed=0, videos=80)
    return [court.stage(script, np.random.default_rng(script.seed % 2**32)) for script in scripts]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("court")
    court.write(out, videos=16, seed=0)
    return out


def test_every_interaction_occurs_and_most_pairs_do_nothing(scenes):
    shown = {name for scene in scenes for *_, name, _ in scene.doing}
    assert shown == set(court.CLASSES)
    pairs = [len(scene.people) * (len(scene.people) - 1) for scene in scenes]
    assert {len(scene.people) for scene in scenes} == {2, 3, 4}
    assert sum(len(scene.doing) for scene in scenes) < 0.3 * sum(pairs)
    assert any(len({a for a, b, *_ in scene.doing} | {b for a, b, *_ in scene.doing}) == 4 for scene in scenes)


def test_who_acts_does_not_tell_what_it_is():
    """The same throw is a pass or an attack by what the other does; runners move alike."""
    assert court.PLAYS["pass"].acts == court.PLAYS["attack"].acts
    assert court.PLAYS["pass"].answers != court.PLAYS["attack"].answers
    assert court.PLAYS["chase"].acts == court.PLAYS["chase"].answers


def play(name, seed):
    from pipeline.theatre.performers import performer

    company = [performer("test", 0, n) for n in (0, 1)]
    return court._play(court.PLAYS[name], company, 0.0, 40, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(6))
def test_the_chaser_runs_behind(seed):
    (one, two), active, _ = play("chase", seed)
    behind, ahead = (person.points[:, POINT["pelvis"], 0] for person in (one, two))
    way = np.sign(ahead[-1] - ahead[0])
    assert active.all() and (way * (ahead - behind) > 0.3).all()


@pytest.mark.parametrize("seed", range(6))
def test_those_who_wave_bow_or_throw_face_whom_they_do_it_to(seed):
    for name in ("wave", "bow", "pass", "attack", "push"):
        (one, two), _, _ = play(name, seed)
        face = one.points[0, POINT["nose"]] - one.points[0, POINT["head"]]
        towards = two.points[0, POINT["pelvis"]] - one.points[0, POINT["pelvis"]]
        assert face[0] * towards[0] > 0, name


@pytest.mark.parametrize("seed", range(6))
def test_a_pass_ends_in_the_hands_and_an_attack_above_the_one_who_ducks(seed):
    (_, two), _, ball = play("pass", seed)
    hands = two.points[-1, [POINT["left_hand"], POINT["right_hand"]]].mean(0)
    np.testing.assert_allclose(ball[0].points[-1, 0], hands, atol=0.02)
    (_, two), _, ball = play("attack", seed)
    nearest = np.linalg.norm(ball[0].points[:, 0] - two.points[:, POINT["head"]], axis=-1).min()
    assert nearest > 0.074 + 0.05  # the radii of a head and of most of a ball


@pytest.mark.parametrize("seed", range(3))
def test_balls_do_not_jump(seed):
    for name in ("pass", "attack"):
        way = play(name, seed)[2][0].points[:, 0]
        assert max(np.linalg.norm(b - a) for a, b in pairwise(way)) < 0.4


def test_boxes_are_round_the_people():
    """Nothing changes outside of the boxes when the people are taken away, but for shadows and balls."""
    script = next(s for s in court.cast(0, 20) if not _thrown(s))
    performance = court.perform(script)
    frame, boxes = performance.frames[10].astype(int), performance.box[10] * 128
    inside = np.zeros((128, 128), bool)
    for x1, y1, x2, y2 in boxes:
        inside[int(y1) : int(np.ceil(y2)) + 4, max(int(x1) - 4, 0) : int(np.ceil(x2)) + 5] = True
    others = np.concatenate([performance.frames[0][None], performance.frames[-1:]]).astype(int)
    changed = np.abs(frame - others).max((0, -1)) > 60
    assert changed.any() and not (changed & ~inside).any()
    x1, y1, x2, y2 = boxes.T
    assert ((x2 - x1) > 5).all() and ((y2 - y1) > 20).all() and (boxes >= 0).all() and (boxes <= 128).all()


def _thrown(script):
    rng = np.random.default_rng(court.entropy("stage", script.seed))
    scene = court.stage(script, rng)
    return bool(scene.balls) or any(name in ("chasing", "pushing") for *_, name, _ in scene.doing)


def test_the_adapter_reads_what_was_written(folder):
    rows = list(sportshhi.rows(str(folder), classes="all"))
    assert len(rows) == 16 and all(video.path.is_file() for video in rows)
    assert {video.split for video in rows} == {"train", "test"}
    by_split = {s: {v.group for v in rows if v.split == s} for s in ("train", "test")}
    assert not by_split["train"] & by_split["test"]  # nobody acts in both
    assert list(sportshhi.interactions(str(folder), "all").values()) == list(court.CLASSES)
    info = probe(rows[0].path)
    assert info.fps == pytest.approx(FPS) and (info.height, info.width) == (128, 128)


def test_keyframes_hold_everybody_and_the_labels_that_the_script_says(folder):
    known, origin = sportshhi.keyframes(str(folder), "all")
    assert origin == "dense"
    for script in court.cast(0, 16)[:6]:
        truth = court.perform(script)
        for keyframe in known[script.id]:
            np.testing.assert_allclose(keyframe.box, truth.box[keyframe.frame], atol=1e-4)
            said = {(a, b, court.CLASSES.index(n)) for a, b, n, active in truth.doing if active[keyframe.frame]}
            read = {(a, b, c) for (a, b), classes in keyframe.doing.items() for c in classes}
            assert read == said and keyframe.frame % court.EVERY == 0


def test_the_same_seed_gives_the_same_bytes(folder, tmp_path):
    cv2.setNumThreads(1)
    court.write(tmp_path, videos=16, seed=0)
    for path in sorted(folder.rglob("*.*")):
        assert (tmp_path / path.relative_to(folder)).read_bytes() == path.read_bytes(), path
    other = court.perform(court.cast(seed=1, videos=1)[0])
    assert (
        other.frames.shape != court.perform(court.cast(0, 1)[0]).frames.shape
        or (other.frames != court.perform(court.cast(0, 1)[0]).frames).any()
    )
