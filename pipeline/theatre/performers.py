"""Those who act: a body and clothes for everybody, drawn once from a seed and the performer's number."""

from dataclasses import dataclass

import numpy as np

from pipeline.theatre.puppet import Body, Palette
from pipeline.theatre.shapes import Colour

SKINS = ((245, 215, 190), (230, 190, 155), (200, 150, 115), (160, 110, 75), (110, 75, 55), (85, 58, 45))
HAIRS = ((35, 28, 25), (80, 55, 35), (150, 100, 50), (215, 180, 110), (120, 120, 125), (170, 70, 40))


@dataclass(frozen=True)
class Performer:
    """Somebody: a name, a body and clothes."""

    name: str
    body: Body
    palette: Palette


def performer(company: str, seed: int, number: int) -> Performer:
    """The same person for the same company, seed and number; companies share nobody."""
    rng = np.random.default_rng(entropy(company, seed, number))
    usual = Body()
    legs, width = rng.uniform(0.93, 1.06), rng.uniform(0.9, 1.12)
    body = Body(
        trunk=usual.trunk * rng.uniform(0.93, 1.07),
        thigh=usual.thigh * legs,
        shin=usual.shin * legs,
        upper_arm=usual.upper_arm * rng.uniform(0.95, 1.08),
        forearm=usual.forearm * rng.uniform(0.95, 1.08),
        shoulders=usual.shoulders * width,
        hips=usual.hips * width,
        head=usual.head * rng.uniform(0.93, 1.1),
        girth=rng.uniform(0.85, 1.2),
    )
    palette = Palette(
        skin=SKINS[rng.integers(len(SKINS))],
        hair=HAIRS[rng.integers(len(HAIRS))],
        shirt=_colour(rng, 0.6, 1.0),
        trousers=_colour(rng, 0.2, 0.8),
        shoes=_colour(rng, 0.2, 1.0),
        long_sleeves=bool(rng.random() < 0.4),
        long_trousers=bool(rng.random() < 0.6),
    )
    return Performer(f"{company}_{seed}_{number:03d}", body, palette)


def entropy(company: str, *numbers: int) -> list[int]:
    """Seed words for a generator: streams of different names are independent."""
    return [*numbers, *company.encode()]


def draw_seed(company: str, *numbers: int) -> int:
    """A 64-bit seed for one video."""
    return int(np.random.SeedSequence(entropy(company, *numbers)).generate_state(1, np.uint64)[0])


def splits(performers: int, seed: int) -> list[str]:
    """A split for every performer, about 60/15/25 train, val and test."""
    train, val = round(0.60 * performers), max(round(0.15 * performers), 1)
    names = (["train"] * train + ["val"] * val + ["test"] * performers)[:performers]
    order = np.random.default_rng(entropy("splits", seed)).permutation(performers)
    return [names[place] for place in order]


def _colour(rng: np.random.Generator, darkest: float, lightest: float) -> Colour:
    """A random hue at a random lightness, from vivid to grey."""
    hue, light, pale = rng.uniform(0, 2 * np.pi), rng.uniform(darkest, lightest), rng.uniform(0, 1) ** 1.5
    wheel = 0.5 + 0.5 * np.cos(hue - np.array([0, 2, 4]) * np.pi / 3)
    return tuple(int(255 * light * value) for value in pale + (1 - pale) * wheel)
