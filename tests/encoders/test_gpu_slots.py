"""One job on each GPU of a machine. No GPU is needed here."""

from pathlib import Path
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

from pipeline.encoders import weights  # noqa: E402


@pytest.fixture
def three_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine whose GPUs are called a, b and c; the folder of its locks."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda i: SimpleNamespace(uuid="abc"[i]))
    monkeypatch.setattr(weights, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(weights, "SLOTS", [])
    weights.free_gpu.cache_clear()
    yield tmp_path
    weights.free_gpu.cache_clear()


def job() -> str:
    """The GPU that another job gets: nothing is remembered, but the earlier ones hold theirs."""
    weights.free_gpu.cache_clear()
    return str(weights.pick_device())


def test_jobs_spread_over_the_gpus_and_share_the_first_when_there_are_more(three_gpus: Path) -> None:
    assert [job() for _ in range(4)] == ["cuda:0", "cuda:1", "cuda:2", "cuda:0"]


def test_all_encoders_of_a_job_are_on_one_gpu(three_gpus: Path) -> None:
    assert {str(weights.pick_device()) for _ in range(3)} == {"cuda:0"}


def test_a_gpu_is_free_again_when_its_job_has_ended(three_gpus: Path) -> None:
    assert [job(), job()] == ["cuda:0", "cuda:1"]
    weights.SLOTS.pop(0).close()
    assert job() == "cuda:0"


def test_the_same_gpu_under_another_number_is_the_same(three_gpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert job() == "cuda:0"
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda i: SimpleNamespace(uuid="ca"[i]))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert job() == "cuda:0"  # c; a is taken
    assert sorted(file.name.rsplit("-", 1)[1] for file in three_gpus.iterdir()) == ["a.lock", "c.lock"]


def test_a_device_that_is_named_is_taken_as_it_is(three_gpus: Path) -> None:
    assert str(weights.pick_device("cuda:2")) == "cuda:2" and not list(three_gpus.iterdir())
    assert str(weights.pick_device("cpu")) == "cpu"
