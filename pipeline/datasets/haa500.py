"""HAA500 (Chung et al., ICCV 2021): 500 atomic actions, 20 clips each; and HAA-100, DANCE's hundred of them.

    ROOT/video/arm_wave/arm_wave_000.mp4 to arm_wave_019.mp4     a folder a class, as the publisher's archive has it

There is no list: the first 16 clips of a class are train, as published. Of the last four the publisher makes one val
and three test; DANCE tests on all four.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

from pipeline.datasets import inside
from pipeline.datasets.files import need
from pipeline.errors import ChoreoError
from pipeline.manifest import Video

CLASSES, CLIPS, TRAIN = 500, 20, 16
EXPECTED = {"train": 8000, "test": 2000, "classes": 500}
MEND = "unpack haa500_v1_1.zip from www.cse.ust.hk/haa there; it holds the folder `video` with a folder a class"

# DANCE's classes: a person's whole body makes them.
HAA100 = """
    arm_wave, atlatl_throw, axe_throwing, backflip, badminton_overswing, badminton_serve, badminton_underswing,
    baseball_bunt, baseball_catch_groundball, baseball_pitch, baseball_swing, basketball_dribble, basketball_dunk,
    basketball_hookshot, basketball_jabstep, basketball_layup, basketball_pass, basketball_shoot,
    battle-rope_jumping-jack, battle-rope_power-slam, battle-rope_rainbow, bench_dip, bowing_fullbody, bowling,
    bowls_throw, burpee, canoeing_sprint, cast_net, climb_ladder, CPR, dips, floss_dance, football_throw, frisbee_throw,
    gangnam_style_dance, golf_part, golf_swing, gym_lift, gym_lunges, gym_plank, gym_pull, gym_push, gym_ride, gym_run,
    gym_squat, hammer_throw, handstand, high_knees, hurdle_jump, javelin_run, javelin_throw, jump rope, jumping_jack,
    leg_hold_back, leg_hold_front, leg_split, moonwalk, neck_side_pull_stretch, one_arm_push_up, pirouette, pull_ups,
    punching_sandbag, pushup, quadruped_hip-extension, roller-skating_forward, rowing_boat, salute, shuffle_dance,
    side_lunge, situp, soccer_throw, soccer_shoot, split_leap, sprint_start, taekwondo_low_block,
    taekwondo_middle_block, tennis_backhand, tennis_forehand, tennis_serve, volleyball_underhand, volleyball_set,
    volleyball_pass, volleyball_overhand, weightlifting_stand, weightlifting_overhead, weightlifting_hang,
    workout_chest-pull, workout_crunch, yoga_bridge, yoga_cat, yoga_dancer, yoga_firefly, yoga_fish, yoga_gate,
    yoga_locust, yoga_lotus, yoga_pigeon, yoga_tree, yoga_triangle, yoga_updog
"""


def rows(root: str, classes: str | Sequence[str] = "all", published_val: bool = False) -> Iterator[Video]:
    """Clips of all or some classes, 16 to train on and 4 to test on; one that is not there keeps its row.

    Args:
        root: folder with the folder `video`.
        classes: `all`, `haa100` (DANCE's hundred), or names of classes.
        published_val: the first of the last four clips of each class is val, as published; else val is drawn of train.

    Raises:
        ChoreoError: there is no folder `video`, or a class has none in it.
    """
    folder = Path(root) / "video"
    need(Path(root), ["video"], MEND)
    for name in _classes(folder, classes):
        for number in range(CLIPS):
            clip = f"{name}_{number:03d}"
            val = published_val and number == TRAIN
            split = "train" if number < TRAIN else "val" if val else "test"
            yield Video(clip, inside(folder, f"{name}/{clip}.mp4"), split, (name,))


def _classes(folder: Path, classes: str | Sequence[str]) -> list[str]:
    """Names of the classes that are asked for; all of them have a folder."""
    there = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if classes == "all":
        if len(there) != CLASSES:
            raise ChoreoError(f"{folder} holds {len(there)} classes, not {CLASSES}", "it was not unpacked whole", MEND)
        return there
    if isinstance(classes, str) and classes != "haa100":
        raise ChoreoError(f"there are no classes '{classes}'", mend="`all`, `haa100` or a list of names")
    names = [" ".join(n.split()) for n in HAA100.split(",")] if classes == "haa100" else list(classes)
    for name in names:
        if name not in there:
            near = get_close_matches(name, there, 1)
            raise ChoreoError(f"{folder} lacks the class '{name}'", f"did you mean '{near[0]}'?" if near else "", MEND)
    return names
