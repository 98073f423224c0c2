"""Numbers as a reader sees them, and where their bars lie."""

from __future__ import annotations

from collections.abc import Sequence

SHARES = {"share"}  # units that are told in percent


def signed(hundredths: int) -> str:
    """A number of hundredths with its sign: -150 is −1.50."""
    return f"{'−' if hundredths < 0 else '+'}{abs(hundredths) / 100:.2f}"


def rounded(value: float) -> int:
    """The nearest hundredths."""
    return round(100 * value)


def room(values: Sequence[float]) -> tuple[float, float]:
    """Smallest and largest end of bars that all begin at 0."""
    return min(0.0, *values), max(1e-9, *values)


def place(value: float, low: float, high: float) -> tuple[float, float]:
    """Left end and width of the bar from 0 to a value, in percent."""
    span = high - low
    return round(100 * (min(value, 0) - low) / span, 2), round(100 * abs(value) / span, 2)


def percent(share: float) -> str:
    """A share in percent, with one digit after the point."""
    return f"{100 * share:.1f}\u00a0%"


def shown(mean: float, std: float | None, unit: str) -> str:
    """A figure with its spread, if it has one, and its unit."""
    share = unit in SHARES
    text = f"{100 * mean:.1f}" if share else f"{mean:.0f}" if mean == int(mean) and not std else f"{mean:.2f}"
    if std is not None:
        text += f" ± {100 * std:.1f}" if share else f" ± {std:.2f}"
    return f"{text}\u00a0%" if share else f"{text} {unit}".removesuffix(" concepts").removesuffix(" weights").rstrip()
