"""Small contests, written once; tests must not change them."""

import contest
import pytest


@pytest.fixture(scope="session")
def contested(tmp_path_factory) -> contest.Contest:
    """A contest that can be learned in seconds."""
    return contest.hold(tmp_path_factory.mktemp("contest"))


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> contest.Contest:
    """A contest of a few routines, for what does not depend on how well something is learned."""
    return contest.hold(tmp_path_factory.mktemp("small"), contest.Size(videos=20, features=8, clips=(3, 9)))
