"""Small worlds of scene graphs, written once; tests must not change them."""

import play
import pytest


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> play.Play:
    """Manifest and scene graphs of a small world."""
    return play.perform(tmp_path_factory.mktemp("play"))


@pytest.fixture(scope="session")
def few(tmp_path_factory) -> play.Play:
    """A world of a few videos, for what does not depend on how well something is learned."""
    return play.perform(tmp_path_factory.mktemp("few"), play.Size(videos=20, frames=6, nodes=3, features=8))


@pytest.fixture(scope="session")
def simple(tmp_path_factory) -> play.Play:
    """A world that can be learned in seconds: two things, many test videos."""
    splits = ("train", "test", "train", "val", "test", "train", "test", "train")
    size = play.Size(videos=200, objects=2, frames=6, nodes=3, features=16, noise=0.2, splits=splits)
    return play.perform(tmp_path_factory.mktemp("simple"), size)
