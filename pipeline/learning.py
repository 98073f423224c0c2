"""What trainings of torch networks share: precision, random numbers and threads of their own, a line of figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Autocast to bfloat16 where the precision is `bf16`, on a CPU too; otherwise none."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


@contextmanager
def alone(seed: int, device: torch.device, threads: int) -> Iterator[None]:
    """Random numbers and threads of one training, which leave those of the process as they were."""
    before = torch.get_num_threads()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def one_line(values: Mapping[str, float], decimals: int) -> str:
    """Figures as a log says them: `srcc 0.512, mse 0.100`."""
    return ", ".join(f"{name} {value:.{decimals}f}" for name, value in values.items())
