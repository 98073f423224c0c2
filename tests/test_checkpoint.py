"""Checkpoints come whole, run no code, and say what does not fit."""

import pickle

import pytest
import torch

from pipeline import checkpoint
from pipeline.errors import ChoreoError, StorageError

SETTINGS = {"dim": 8, "prompt": "dpm", "actions": ["run", "sit"]}


@pytest.fixture
def saved(tmp_path):
    """A checkpoint on disk."""
    path = tmp_path / "model.pt"
    checkpoint.save(path, model="proda", settings=SETTINGS, state={"w": torch.arange(500.0)}, figures={"map": 0.5})
    return path


def test_what_is_saved_is_loaded(saved):
    content = checkpoint.load(saved, "proda", SETTINGS)
    torch.testing.assert_close(content["state"]["w"], torch.arange(500.0))
    assert content["settings"] == SETTINGS and content["figures"] == {"map": 0.5}


def test_the_same_content_gives_the_same_bytes_under_any_name(saved, tmp_path):
    other = tmp_path / "other.part"
    checkpoint.save(other, model="proda", settings=SETTINGS, state={"w": torch.arange(500.0)}, figures={"map": 0.5})
    assert other.read_bytes() == saved.read_bytes()


def test_a_view_is_saved_without_what_it_is_a_view_of(tmp_path):
    checkpoint.save(tmp_path / "a.pt", model="m", settings={}, state={"w": torch.zeros(10**6)[:3]})
    assert (tmp_path / "a.pt").stat().st_size < 10_000


def test_nothing_is_left_beside_a_checkpoint_and_a_failed_write_leaves_the_old_one(saved, monkeypatch):
    before = saved.read_bytes()

    def full(content, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(StorageError, match="No space left"):
        checkpoint.save(saved, model="proda", settings=SETTINGS, state={})
    assert saved.read_bytes() == before and [p.name for p in saved.parent.iterdir()] == ["model.pt"]


@pytest.mark.parametrize("damage", ["cut", "halved", "empty", "flipped", "text", "pickle"])
def test_a_damaged_checkpoint_is_an_error_that_says_what_to_do(saved, damage):
    whole = saved.read_bytes()
    place = whole.index(torch.arange(500.0).numpy().tobytes()) + 100
    bytes_of = {
        "cut": whole[:-50],
        "halved": whole[: len(whole) // 2],
        "empty": b"",
        "flipped": whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :],
        "text": b"hello",
        "pickle": pickle.dumps({"format": 1, "model": "proda", "settings": SETTINGS}),
    }
    saved.write_bytes(bytes_of[damage])
    with pytest.raises(ChoreoError, match="cannot be read") as error:
        checkpoint.load(saved, "proda")
    assert "run again" in error.value.mend


def test_loading_a_checkpoint_never_runs_code(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").write_text, ("!",))

    torch.save({"format": 1, "model": "proda", "settings": {}, "state": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(ChoreoError, match="cannot be read"):
        checkpoint.load(tmp_path / "trap.pt", "proda")
    assert not (tmp_path / "sprung").exists()


def test_a_checkpoint_of_another_config_names_the_key_and_both_values(saved):
    with pytest.raises(ChoreoError, match=r"`dim` is 8 there and 16 here"):
        checkpoint.load(saved, "proda", SETTINGS | {"dim": 16})
    with pytest.raises(ChoreoError, match="`layers` is None there and 3 here"):
        checkpoint.load(saved, "proda", {"layers": 3})
    assert checkpoint.load(saved, "proda", {"dim": 8})["settings"] == SETTINGS


def test_a_checkpoint_of_another_model_or_a_missing_one_is_an_error(saved):
    with pytest.raises(ChoreoError, match="'proda'"):
        checkpoint.load(saved, "aqa")
    with pytest.raises(ChoreoError, match="no checkpoint"):
        checkpoint.load(saved.with_name("none.pt"), "proda")


def test_what_cannot_be_resumed_is_passed_over_and_said(saved, caplog):
    assert checkpoint.resume(saved, "proda", SETTINGS)["settings"] == SETTINGS
    assert checkpoint.resume(saved.with_name("none.part"), "proda", SETTINGS) is None
    assert checkpoint.resume(saved, "proda", {"dim": 9}) is None
    assert "`dim` is 8 there and 9 here" in caplog.text
