"""A small world with a known truth: six classes, each one of three motions with one of two objects, in any scene.

Neither motion nor object alone tells the class; both are linear in the features, with noise.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pipeline.artifacts import create
from pipeline.concepts.motion import motion_concepts, motion_labels
from pipeline.manifest import Manifest, Video

MOTIONS, OBJECTS, SCENES = ("wave", "lift", "step"), ("ball", "rope"), ("gym", "park", "street")
FRAMES, DIM = 8, 24


@dataclass(frozen=True)
class World:
    """Paths of the artifacts of the small world, and its truth by video."""

    folder: Path
    manifest: Path
    features: list[Path]
    poses: list[Path]
    concepts: Path
    labels: Path
    pseudo: Path
    annotations: Path
    truth: dict[str, tuple[int, int, int]]

    @property
    def inputs(self) -> dict[str, object]:
        """The inputs of training."""
        return {"features": self.features, "motion": self.labels, "pseudo": self.pseudo, "manifest": self.manifest}


def moving(kind: int, rng: np.random.Generator) -> np.ndarray:
    """The poses of one of the three motions: (FRAMES,17,2) px."""
    clip = np.tile(np.random.default_rng(5).uniform(0, 60, (17, 2)) + rng.uniform(60, 200, 2), (FRAMES, 1, 1))
    joint, axis = ((9, 0), (10, 1), (16, 0))[kind]
    clip[:, joint, axis] += 45 * np.sin(np.linspace(0, np.pi, FRAMES))
    return clip + rng.normal(scale=0.5, size=clip.shape)


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> World:
    """The artifacts of the small world, written once; tests must not change them."""
    folder = tmp_path_factory.mktemp("world")
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(len(MOTIONS) + len(OBJECTS) + len(SCENES), DIM))
    truth = {f"v{n:03d}": tuple(int(x) for x in (n % 3, n // 3 % 2, rng.integers(3))) for n in range(180)}
    splits = dict(zip(truth, ("train", "train", "train", "val", "test") * 36))
    path = folder / "manifest.csv"
    Manifest(
        Video(i, Path(f"{i}.mp4"), splits[i], (f"{MOTIONS[m]} {OBJECTS[o]}",), frames=2 * FRAMES)
        for i, (m, o, _) in truth.items()
    ).write(path)
    world = World(
        folder, path, [folder / f"features{s}.h5" for s in range(2)], [folder / "pose.h5"],
        *(folder / f"{name}.h5" for name in ("concepts", "labels", "pseudo", "annotations")), truth,
    )  # fmt: skip
    _features_and_pseudo_labels(world, mix, rng)
    _poses_and_annotations(world, rng)
    motion_concepts(world.poses, path, world.concepts, clusters=len(MOTIONS))
    motion_labels(world.poses, world.concepts, world.labels)
    return world


def _one_hot(truth: tuple[int, int, int]) -> np.ndarray:
    return np.concatenate([np.eye(n)[k] for n, k in zip((len(MOTIONS), len(OBJECTS), len(SCENES)), truth)])


def _features_and_pseudo_labels(world: World, mix: np.ndarray, rng: np.random.Generator) -> None:
    ids = list(world.truth)
    for shard, features in enumerate(world.features):
        with create(features, "features", ids=ids[shard::2]) as writer:
            for i in ids[shard::2]:
                writer.add(i, feature=3 + _one_hot(world.truth[i]) @ mix + 0.2 * rng.normal(size=DIM))
    names = [
        *OBJECTS,
        "unicorn",
        "glitter",
        *SCENES,
    ]  # the unicorn is noise, the glitter did not pass the first cut-off
    with create(world.pseudo, "pseudo_labels", ids=ids) as writer:
        for i in ids:
            _, o, s = world.truth[i]
            shown = np.concatenate([np.eye(2)[o], [rng.random(), 0], np.eye(3)[s]])
            writer.add(i, similarity=0.2 + 0.1 * shown + 0.01 * rng.normal(size=len(names)))
        writer.share(concept=names, kind=["object"] * 4 + ["scene"] * 3, kept=[n != "glitter" for n in names])


def _poses_and_annotations(world: World, rng: np.random.Generator) -> None:
    ids = list(world.truth)
    with (
        create(world.poses[0], "pose", ids=ids) as poses,
        create(world.annotations, "annotations", ids=ids) as annotations,
    ):
        for i in ids:
            m, o, s = world.truth[i]
            joints = np.stack([moving(m, rng), moving(m, rng)])
            true = joints.reshape(-1, 17, 2)
            box = np.concatenate([joints.min(axis=2), joints.max(axis=2)], axis=2)
            seen = {"confidence": np.ones(joints.shape[:3]), "box": box, "start": [0, FRAMES], "size": [240, 320]}
            poses.add(i, joints=joints + np.array([3, 4]), **seen)
            annotations.add(
                i,
                primitive=np.full(len(true), m),
                joints=true,
                visible=np.ones((len(true), 17)),
                objects=np.eye(2)[o],
                scene=s,
            )
        annotations.share(primitives=MOTIONS, object_names=["A ball", "rope"], scene_names=SCENES)
