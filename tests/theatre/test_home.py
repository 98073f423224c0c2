"""The second act: its design, its performances and their truth, and what the stage writes."""

import csv
from collections import Counter, defaultdict
from itertools import pairwise

import av
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from pipeline.artifacts import Artifact, validate
from pipeline.scene_graphs import geometry
from pipeline.theatre import actions, corpus, graphs, home, props, render, stage
from pipeline.theatre.gestures import HANDLING, LONGEST, MOVING, SHORTEST, action, schedule
from pipeline.theatre.puppet import POINT
from pipeline.theatre.scenery import SCENES as OLD_SCENES

WHERE = {name: index for index, name in enumerate(graphs.RELATIONS)}


@pytest.fixture(scope="module")
def cast() -> list[home.Script]:
    return home.cast(0)


@pytest.fixture(scope="module")
def sets(cast) -> list[tuple[home.Script, home.Set]]:
    """Thirty scripts before a pixel is painted."""
    return [(script, home.Set(script)) for script in cast[:30]]


@pytest.fixture(scope="module")
def plays(cast) -> list[home.Performance]:
    return [home.perform(script) for script in cast[:6]]


# The design


def test_actions_are_the_full_product_of_verbs_and_things_and_what_the_body_does():
    assert len(home.ACTIONS) == len(set(home.ACTIONS)) == len(HANDLING) * len(home.HANDLED) + len(MOVING) == 20
    assert {"taking a cup", "throwing a ball", "walking"} <= set(home.ACTIONS)


def test_every_thing_is_used_with_every_verb_equally_often(cast):
    counts = Counter(label for script in cast for label in script.labels)
    product = [counts[action(verb, thing)] for verb in HANDLING for thing in home.HANDLED]
    moves = [counts[verb] for verb in MOVING]
    assert min(product) > 0.85 * max(product) and max(moves) - min(moves) <= 2


def test_every_verb_is_in_as_many_programs_as_every_other():
    assert {sum(verb in program for program in home.PROGRAMS) for verb in HANDLING} == {6}


def test_videos_have_one_to_six_labels_and_some_have_no_thing_in_use_or_none_at_all(cast):
    labels = [len(script.labels) for script in cast]
    assert (min(labels), max(labels)) == (1, 6) and 3.4 < np.mean(labels) < 4.1
    bodily = [script for script in cast if not script.left.object and not script.right.object]
    assert 0.05 < len(bodily) / len(cast) < 0.15
    assert 0 < sum(not script.objects for script in bodily) < len(bodily)
    assert all(1 <= len(script.lying) <= 3 for script in cast if script not in bodily)


def test_the_same_action_may_occur_twice(cast):
    assert any(len(home.events(script)) > len(script.labels) for script in cast)


def presence(scripts: list[home.Script]) -> np.ndarray:
    return np.array([[name in script.objects for name in home.OBJECTS] for script in scripts], float)


def targets(scripts: list[home.Script]) -> np.ndarray:
    return np.array([[label in script.labels for label in home.ACTIONS] for script in scripts])


def test_what_is_there_does_not_tell_what_is_done():
    """A classifier that knows which things are in the video ranks hardly better than chance does."""
    scripts = home.corpus(7, 3000)
    x, y, half = presence(scripts), targets(scripts), 1500
    found = []
    for column in y.T:
        model = LogisticRegression().fit(x[:half], column[:half])
        found.append(average_precision_score(column[half:], model.predict_proba(x[half:])[:, 1]))
    assert max(found) < 0.35, dict(zip(home.ACTIONS, found, strict=True))


def test_among_the_things_in_a_video_every_verb_is_equally_likely():
    scripts = home.corpus(8, 2000)
    for thing in home.HANDLED:
        with_it = [script for script in scripts if thing in script.objects]
        share = [np.mean([action(verb, thing) in script.labels for script in with_it]) for verb in HANDLING]
        assert max(share) - min(share) < 0.06 and max(share) < 0.3


def test_a_verb_does_not_tell_the_thing():
    scripts = home.corpus(9, 2000)
    for verb in HANDLING:
        counts = [sum(action(verb, thing) in script.labels for script in scripts) for thing in home.HANDLED]
        assert max(counts) < 1.15 * min(counts)


def test_scenes_are_dealt_independently_of_actions():
    """Every pair of scene and action occurs about as often as chance has it."""
    scripts = home.corpus(10, 3000)
    counts = Counter((script.scene, label) for script in scripts for label in script.labels)
    totals = Counter(label for script in scripts for label in script.labels)
    expected = {(scene, label): totals[label] / len(home.SCENES) for scene in home.SCENES for label in home.ACTIONS}
    chi2 = sum((counts[pair] - chance) ** 2 / chance for pair, chance in expected.items())
    degrees = (len(home.SCENES) - 1) * len(home.ACTIONS)
    assert chi2 < degrees + 5 * np.sqrt(2 * degrees)
    assert len(home.SCENES) >= 4


def test_performers_are_in_one_split_each_in_the_stated_shares(cast):
    splits = defaultdict(set)
    for script in cast:
        splits[script.group].add(script.split)
    assert all(len(found) == 1 for found in splits.values())
    share = Counter(script.split for script in cast)
    for split, expected in (("train", 0.60), ("val", 0.15), ("test", 0.25)):
        assert share[split] / len(cast) == pytest.approx(expected, abs=0.04)


def test_the_corpus_shares_neither_performers_nor_seeds_nor_ids_with_any_cast(cast):
    others = [*home.corpus(0, 300), *actions.cast(0), *corpus.scripts(0, 100)]
    for one in (lambda s: s.seed, lambda s: s.id, lambda s: s.group, lambda s: s.performer.body):
        assert not {one(script) for script in cast} & {one(script) for script in others}


def test_a_seed_is_a_cast(cast):
    assert cast == home.cast(0) and cast[:48] != home.cast(1, 48)
    assert len({script.id for script in cast}) == len(cast) == 240


@pytest.mark.parametrize("n", [1, 8, 20])
def test_a_small_cast_has_its_size(n):
    assert len(home.cast(0, n)) == n


def test_things_and_scenes_of_the_home_are_not_among_those_that_act_one_draws_from():
    assert set(home.SCENES) & set(OLD_SCENES) == {"kitchen"}
    assert not {"cup", "book", "pillow"} & set(props.OBJECTS)


# When and where


def test_events_of_a_track_follow_each_other_and_fit_the_video(cast):
    starts, lengths = [], []
    for script in cast[:80]:
        for track in ("left", "right", "body"):
            mine = [event for event in home.events(script) if event.track == track]
            for event in mine:
                assert 0 <= event.start < event.moment < event.end <= script.frames
                assert SHORTEST <= event.end - event.start <= LONGEST
                starts.append(event.start)
                lengths.append((event.end - event.start) / stage.FPS)
            assert all(one.end <= two.start for one, two in pairwise(mine))
    assert np.std(starts) > 15, "frames"
    assert min(lengths) >= 1.5 and max(lengths) <= 3.5, "seconds"


def test_events_of_a_video_are_those_of_its_programs_in_order(cast):
    for script in cast[:40]:
        for side, part in script.hands.items():
            assert tuple(e.verb for e in home.events(script) if e.track == side) == part.verbs
        assert {event.action for event in home.events(script)} == set(script.labels)


def test_actions_overlap(cast):
    busy = [script for script in cast if len(script.labels) > 2]
    overlapping = 0
    for script in busy:
        events = home.events(script)
        overlapping += any(a.start < b.start < a.end for a in events for b in events)
    assert overlapping > 0.9 * len(busy)


def test_a_schedule_avoids_reaching_in_mid_jump_where_it_can():
    tracks = {"left": [("taking", "cup")], "body": [("jumping", "")]}
    for seed in range(20):
        taking, jumping = schedule(tracks, 96, np.random.default_rng(seed))
        assert not jumping.start <= taking.moment < jumping.end


def test_hands_take_what_rests_and_put_down_and_throw_what_they_hold(sets):
    checked = Counter()
    for _, play in sets:
        things = {thing.name: thing for thing in play.things}
        for event in play.events:
            if not event.object:
                continue
            thing = things[event.object]
            before, after = thing.held[event.start], thing.held[event.end - 1]
            expected = {
                "taking": (False, True), "putting down": (True, False), "lifting": (True, True),
                "throwing": (True, False),
            }  # fmt: skip
            assert (before, after) == expected[event.verb], (event, before, after)
            checked[event.verb] += 1
            if event.verb == "lifting":
                assert thing.held[event.start : event.end].all()
    assert set(checked) == set(HANDLING)


def test_what_rests_does_not_move_and_what_is_held_is_at_a_hand(sets):
    for script, play in sets:
        hands = play.points[:, [POINT["left_hand"], POINT["right_hand"]]]
        thrown = {event.object: event.moment for event in play.events if event.verb == "throwing"}
        for thing in play.things:
            away = np.linalg.norm(thing.grip[:, None] - hands, axis=-1).min(1)
            assert (away[thing.held] < 0.25).all() and np.median(np.append(away[thing.held], 0)) < 0.01
            moved = np.linalg.norm(np.diff(thing.grip, axis=0), axis=-1)
            if thing.name not in thrown:
                resting = ~thing.held[1:] & ~thing.held[:-1]
                np.testing.assert_allclose(moved[resting], 0, atol=1e-9, err_msg=f"{script.id} {thing.name}")
            assert moved[: thrown.get(thing.name, script.frames) + 8].max() < 0.3, "body heights a frame: nothing jumps"


def test_nothing_sinks_into_the_floor(sets):
    for _, play in sets:
        thrown = {event.object for event in play.events if event.verb == "throwing"}
        for thing in play.things:
            for rest in thing.rests:
                assert rest[1] >= thing.below - 1e-9
            if thing.name not in thrown:
                assert (thing.grip[:, 1] > 0).all()


def test_what_is_lifted_goes_overhead_and_what_is_thrown_leaves_the_performer(sets):
    for script, play in sets:
        things = {thing.name: thing for thing in play.things}
        for event in play.events:
            if event.verb == "lifting":
                body = play.points[event.start : event.end, POINT["pelvis"], 1]  # it may squat meanwhile
                high = things[event.object].grip[event.start : event.end, 1] - body
                assert high.max() > high[0] + 0.2, script.id
            if event.verb == "throwing" and event.end < script.frames - 4:
                grip = things[event.object].grip
                assert np.linalg.norm(grip[event.end] - grip[event.moment]) > 0.5


def test_the_body_does_what_the_script_says(sets):
    seen = Counter()
    for _, play in sets:
        pelvis = play.points[:, POINT["pelvis"], 1]
        for event in play.events:
            stretch = slice(event.start, event.end)
            way = np.linalg.norm(play.motion.place[event.end] - play.motion.place[event.start])
            turned = abs(play.motion.heading[event.end] - play.motion.heading[event.start])
            match event.verb:
                case "squatting":
                    assert pelvis[stretch].min() < pelvis[event.start] - 0.10
                case "jumping":
                    assert play.points[stretch, POINT["left_ankle"], 1].max() > 0.08
                case "walking":
                    assert way > 0.3
                case "turning around":
                    assert turned == pytest.approx(np.pi, abs=0.1)
            seen[event.verb] += 1
        if not any(event.verb in MOVING for event in play.events):
            assert np.ptp(play.motion.place, axis=0).max() == np.ptp(play.motion.heading) == 0
    assert set(MOVING) <= set(seen)


# Truth


def test_the_same_script_gives_the_same_bytes(cast, plays):
    again = home.perform(cast[0])
    assert again.frames.tobytes() == plays[0].frames.tobytes() and again.boxes.tobytes() == plays[0].boxes.tobytes()


def test_truth_has_one_row_a_frame_and_agrees_with_the_rendering(cast, plays):
    for script, play in zip(cast, plays, strict=False):
        truth = home.truth(script)
        frames = script.frames
        assert home.FEWEST <= frames <= home.MOST and play.frames.shape == (frames, 128, 128, 3)
        assert play.boxes.shape == (frames, home.SLOTS, 4)
        assert play.relations.shape == (frames, home.SLOTS, len(graphs.RELATIONS))
        assert truth.events == play.events and truth.labels == script.labels
        np.testing.assert_array_equal(truth.boxes, play.boxes)
        np.testing.assert_array_equal(truth.relations, play.relations)


def test_nodes_are_the_person_and_then_the_things_in_an_order_that_tells_nothing(cast, plays):
    for script, play in zip(cast, plays, strict=False):
        used = play.nodes[play.nodes >= 0]
        assert used[0] == 0 and (np.diff(used) > 0).all()
        assert [home.NODES[index] for index in used[1:]] == list(script.objects)
        assert np.isnan(play.boxes[:, play.nodes < 0]).all()


def test_a_box_holds_the_pixels_that_change_when_its_thing_is_left_out(cast, plays):
    """And it is no larger: its sides touch them, but for a part that has the colour of what is behind."""
    distances = []
    for script, play in zip(cast[:4], plays[:4], strict=True):
        for slot, name in enumerate(home.NODES[index] for index in play.nodes if index > 0):
            without = home.perform(script, without=name).frames
            for t in range(0, script.frames, 9):
                changed = np.abs(play.frames[t].astype(int) - without[t]).max(-1) > 8
                box = play.boxes[t, slot + 1]
                if np.isnan(box).any():
                    assert changed.sum() < 4 * graphs.SEEN
                    continue
                y, x = np.nonzero(changed)
                inside = (x >= box[0] - 1) & (x <= box[2]) & (y >= box[1] - 1) & (y <= box[3])
                assert inside.all(), (script.id, name, t)
                around = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1])
                distances.append(np.abs(around - box).max())
    assert len(distances) > 50 and np.mean(np.array(distances) <= 1) > 0.9


def test_the_persons_box_holds_the_body(cast, plays):
    for script, play in zip(cast, plays, strict=False):
        t = script.frames // 2
        without = home.perform(script, without="person").frames[t]
        y, x = np.nonzero(np.abs(play.frames[t].astype(int) - without).max(-1) > 60)
        box = play.boxes[t, 0]
        assert not np.isnan(play.boxes[:, 0]).any()
        inside = (x >= box[0] - 1) & (x <= box[2]) & (y >= box[1] - 1) & (y <= box[3])
        assert inside.mean() > 0.97, "the rest is shadow"


def test_a_thing_that_was_thrown_out_of_the_picture_has_no_box_and_no_relations(cast):
    gone = 0
    for script in cast[:24]:
        thrown = [e for e in home.events(script) if e.verb == "throwing" and e.moment < script.frames - 25]
        if not thrown:
            continue
        play = home.truth(script)
        for event in thrown:
            slot = 1 + script.objects.index(event.object)
            gone += np.isnan(play.boxes[-1, slot]).all()
            assert not play.relations[np.isnan(play.boxes[:, slot, 0]), slot].any()
    assert gone >= 3


def test_things_seen_have_one_relation_of_attention_one_of_contact_and_one_or_two_of_space(plays):
    groups = {
        ("lookingat", "notlookingat", "unsure"): {1},
        ("holding", "touching", "notcontacting"): {1},
        ("infrontof", "behind", "onthesideof"): {1},
        ("above", "beneath"): {0, 1},
    }
    for play in plays:
        seen = ~np.isnan(play.boxes[..., 0])
        seen[:, 0] = False
        for names, allowed in groups.items():
            counts = play.relations[..., [WHERE[name] for name in names]].sum(-1)
            assert set(counts[seen].tolist()) <= allowed
        assert not play.relations[~seen].any()
        used = {name for names in groups for name in names}
        assert not play.relations[..., [WHERE[name] for name in graphs.RELATIONS if name not in used]].any()


def test_holding_is_said_exactly_while_the_thing_is_in_hand_and_seen(sets):
    for script, play in sets[:6]:
        truth = play.truth(script)
        for slot, thing in enumerate(play.things, start=1):
            seen = ~np.isnan(truth.boxes[:, slot, 0])
            np.testing.assert_array_equal(truth.relations[:, slot, WHERE["holding"]], thing.held & seen)


def test_relations_have_the_names_that_other_scene_graphs_use():
    assert graphs.RELATIONS == geometry.RELATIONS and len(graphs.RELATIONS) == 26


def test_relations_of_space_are_as_the_performer_has_them():
    """Ahead is in front, whichever way the performer has turned."""
    points = np.zeros((2, len(POINT), 3))
    points[:, POINT["head"]], points[:, POINT["nose"]] = [0, 0.9, 0], [[0.1, 0.9, 0], [-0.1, 0.9, 0]]
    points[:, [POINT["left_knee"], POINT["right_knee"]], 1] = 0.3
    motion = home.move([], {"left": True, "right": True}, 2, np.random.default_rng(0))
    turned = type(motion)(motion.poses, motion.place, np.array([0.0, np.pi]))
    ahead, low, aside = (np.tile(place, (2, 1)) for place in ([0.5, 0.9, 0.0], [0.5, 0.1, 0], [0.0, 1.2, 0.5]))
    found = graphs.relations(points, turned, [ahead, low, aside], [np.zeros(2, bool)] * 3)

    def said(frame: int, node: int) -> set[str]:
        return {name for name, index in WHERE.items() if found[frame, node, index]}

    assert said(0, 1) == {"lookingat", "infrontof", "notcontacting"}
    assert said(1, 1) == {"notlookingat", "behind", "notcontacting"}
    assert "beneath" in said(0, 2) and {"above", "onthesideof"} <= said(0, 3)


# Pictures


@pytest.mark.parametrize("scene", home.SCENES)
def test_every_room_varies_and_is_unlike_the_others(scene):
    def painted(name: str, seed: int) -> np.ndarray:
        return stage.scenery.backdrop(name, np.random.default_rng(seed)).astype(int)

    assert np.abs(painted(scene, 1) - painted(scene, 2)).mean() > 3
    assert min(np.abs(painted(scene, 1) - painted(other, 1)).mean() for other in home.SCENES if other != scene) > 10


@pytest.mark.parametrize("thing", home.OBJECTS)
def test_every_thing_is_large_enough_to_be_recognised(cast, thing):
    sizes = []
    for script in [script for script in cast if thing in script.objects][:4]:
        boxes = home.truth(script).boxes[:, 1 + script.objects.index(thing)]
        sizes.append(np.nanmedian((boxes[:, 2:] - boxes[:, :2]).max(-1)))
    assert np.median(sizes) >= 9, "px"


# The stage


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    out = tmp_path_factory.mktemp("home")
    render.theatre(out, act="home", videos=5)
    return out


def test_the_stage_writes_sound_graphs_of_all_frames(out):
    validate(out / "graphs.h5")
    with Artifact(out / "graphs.h5", "graph_annotations") as artifact:
        assert tuple(artifact["class_name"]) == home.NODES and tuple(artifact["relation_name"]) == graphs.RELATIONS
        for script in home.cast(0, 5):
            video, truth = artifact.video(script.id), home.truth(script)
            np.testing.assert_array_equal(video["box"], truth.boxes)
            np.testing.assert_array_equal(video["relation"], truth.relations)
            np.testing.assert_array_equal(video["node_class"], truth.nodes)
            np.testing.assert_array_equal(video["frame"], np.arange(script.frames))


def test_the_list_names_every_video_with_its_labels_and_its_scene(out):
    with open(out / "index.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["id", "path", "split", "labels", "group", "scene"]
    for row, script in zip(rows, home.cast(0, 5), strict=True):
        assert row["labels"].split(";") == list(script.labels) and row["scene"] == script.scene
        with av.open(str(out / row["path"])) as container:
            assert sum(1 for _ in container.decode(video=0)) == script.frames


def test_intervals_are_in_seconds_within_the_video_and_name_its_labels(out):
    with open(out / "intervals.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for script in home.cast(0, 5):
        mine = [row for row in rows if row["id"] == script.id]
        assert {row["action"] for row in mine} == set(script.labels)
        assert all(0 <= float(row["start"]) < float(row["end"]) <= script.frames / stage.FPS for row in mine)


def test_the_same_seed_gives_the_same_files_when_a_run_is_taken_up_again(out, tmp_path):
    render.theatre(tmp_path, act="home", videos=3)
    (tmp_path / "videos" / "home_0001.mp4").unlink()
    render.theatre(tmp_path, act="home", videos=5)
    for path in sorted(out.rglob("*.*")):
        if path.is_file():
            assert (tmp_path / path.relative_to(out)).read_bytes() == path.read_bytes(), path.name
