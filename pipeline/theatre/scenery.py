"""The scenes: painted once per video, each by a function that paints on a `Paper`."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy import ndarray

from pipeline.theatre.paper import CANVAS, MARGIN, SIZE, Paper  # noqa: F401 (one place to ask for all of them)
from pipeline.theatre.rooms import ROOMS


def _sky(paper: Paper) -> None:
    top = paper.one_of((110, 165, 225), (140, 185, 230), (165, 180, 195), (235, 190, 150))
    paper.fade(0, paper.floor, top, tuple(int(0.5 * c + 120) for c in top))
    for _ in range(paper.rng.integers(0, 4)):
        x, y = paper.rng.uniform(0, 1), paper.rng.uniform(0.03, 0.25)
        for step in range(3):
            paper.oval(x + 0.05 * step, y + paper.rng.normal(0, 0.008), 0.06, 0.025, (240, 242, 245))


def _gym(paper: Paper) -> None:
    floor, rng = paper.floor, paper.rng
    wall = paper.one_of((200, 205, 210), (175, 190, 205), (215, 205, 190))
    paper.fade(0, floor, wall, tuple(int(0.9 * c) for c in wall))
    accent = paper.one_of((200, 60, 50), (40, 90, 160), (240, 170, 40), (50, 140, 90))
    paper.rect(0, floor - 0.20, 1, floor - 0.17, accent)
    paper.fade(floor, 1, paper.near((75, 78, 85), 10), paper.near((100, 102, 108), 10))
    for x in np.arange(-0.5, 1.6, 0.13):  # rubber mats
        paper.line([(0.5 + 0.6 * (x - 0.5), floor), (0.5 + 1.7 * (x - 0.5), 1)], (60, 62, 68), 0.004)
    shift = rng.uniform(-0.1, 0.1)
    for left in (0.03, 0.52):  # mirrors
        paper.rect(left + shift, 0.10, left + 0.40 + shift, floor - 0.22, paper.near((190, 215, 225), 8), edge=True)
        paper.line([(left + 0.1 + shift, floor - 0.26), (left + 0.25 + shift, 0.14)], (225, 240, 245), 0.012)
    rack = rng.uniform(0.02, 0.45)  # a rack of dumb-bells
    for shelf in (0.10, 0.03):
        paper.rect(rack, floor - shelf, rack + 0.46, floor - shelf + 0.014, (50, 50, 55))
        for x in np.arange(rack + 0.03, rack + 0.44, 0.075):
            paper.rect(x, floor - shelf - 0.028, x + 0.045, floor - shelf - 0.014, (120, 120, 125))
            for end in (x, x + 0.045):
                paper.rect(end - 0.009, floor - shelf - 0.040, end + 0.009, floor - shelf - 0.002, (35, 35, 38))
    bag = (rack + rng.uniform(0.55, 0.75)) % 1  # a punching bag
    paper.line([(bag, 0), (bag, 0.22)], (60, 60, 60), 0.006)
    paper.rect(bag - 0.05, 0.22, bag + 0.05, 0.54, paper.one_of((150, 40, 40), (40, 40, 45), (60, 80, 140)), edge=True)
    paper.rect(bag - 0.05, 0.30, bag + 0.05, 0.33, (225, 225, 225))


def _warehouse(paper: Paper) -> None:
    floor, rng = paper.floor, paper.rng
    wall = paper.one_of((165, 170, 175), (185, 180, 165), (150, 165, 170))
    paper.rect(0, 0, 1, floor, wall)
    for x in np.arange(0, 1, 0.035):  # corrugated
        paper.line([(x, 0), (x, floor)], tuple(int(0.88 * c) for c in wall), 0.008)
    paper.fade(floor, 1, paper.near((140, 138, 132), 8), paper.near((170, 168, 160), 8))
    paper.grain(floor, 1, 7)
    y = floor + rng.uniform(0.05, 0.1)
    for x in np.arange(-0.05, 1.05, 0.08):  # hazard stripes
        paper.poly([(x, y), (x + 0.04, y), (x + 0.02, y + 0.035), (x - 0.02, y + 0.035)], (225, 190, 40))
        paper.poly([(x + 0.04, y), (x + 0.08, y), (x + 0.06, y + 0.035), (x + 0.02, y + 0.035)], (45, 45, 45))
    door = rng.choice([0.04, 0.62])
    paper.rect(door, 0.16, door + 0.32, floor, paper.one_of((90, 110, 130), (120, 60, 50), (95, 105, 100)), edge=True)
    for y in np.arange(0.2, floor, 0.04):
        paper.line([(door, y), (door + 0.32, y)], (65, 70, 75), 0.004)
    left = 0.42 if door < 0.3 else 0.02  # shelves with barrels and sacks
    frame = paper.one_of((40, 80, 160), (215, 110, 40), (60, 110, 80))
    for level in (0.16, 0.36, floor - 0.02):
        x = left + 0.03
        while x < left + 0.5:
            wide = rng.uniform(0.06, 0.10)
            if rng.random() < 0.75:
                colour = paper.one_of((60, 100, 150), (170, 60, 50), (90, 130, 90), (205, 195, 175), (120, 125, 130))
                high = rng.uniform(0.08, 0.13)
                paper.rect(x, level - high, x + wide, level, colour, edge=True)
                paper.line(
                    [(x, level - 0.6 * high), (x + wide, level - 0.6 * high)],
                    tuple(int(0.75 * c) for c in colour),
                    0.006,
                )
            x += wide + 0.015
        paper.rect(left, level, left + 0.56, level + 0.018, frame)
    for x in (left, left + 0.27, left + 0.545):
        paper.rect(x, 0.02, x + 0.016, floor + 0.01, frame)


def _football_field(paper: Paper) -> None:
    floor, rng = paper.floor, paper.rng
    _sky(paper)
    stand = paper.one_of((120, 130, 150), (150, 110, 110), (110, 140, 130))  # the stands
    paper.poly([(0, floor - 0.22), (1, floor - 0.22), (1, floor), (0, floor)], stand)
    for y in np.arange(floor - 0.20, floor - 0.04, 0.03):
        for x in np.arange(0.01, 1, 0.025):
            if rng.random() < 0.7:
                paper.oval(x + rng.normal(0, 0.004), y, 0.008, 0.010, paper.near((150, 110, 100), 55))
    paper.rect(0, floor - 0.045, 1, floor, paper.one_of((40, 60, 140), (170, 40, 40), (235, 235, 235)))
    green = paper.one_of((70, 150, 65), (85, 160, 60), (60, 135, 70))
    paper.fade(floor, 1, green, tuple(int(0.9 * c) for c in green))
    dark = tuple(int(0.86 * c) for c in green)
    for x in np.arange(-1.5, 2.5, 0.5):  # mown stripes
        paper.poly(
            [
                (0.5 + 0.5 * (x - 0.5), floor),
                (0.5 + 0.5 * (x - 0.25), floor),
                (0.5 + 1.5 * (x - 0.25), 1),
                (0.5 + 1.5 * (x - 0.5), 1),
            ],
            dark,
        )
    paper.grain(floor, 1, 5, (40, 60))
    paper.line([(0, floor + 0.05), (1, floor + 0.05)], (240, 245, 240), 0.012)
    goal = rng.uniform(0.0, 0.6)
    for x in np.arange(goal, goal + 0.44, 0.03):
        paper.line([(x, floor - 0.19), (x, floor + 0.05)], (205, 215, 215), 0.003)
    for y in np.arange(floor - 0.19, floor + 0.05, 0.03):
        paper.line([(goal, y), (goal + 0.42, y)], (205, 215, 215), 0.003)
    paper.line(
        [(goal, floor + 0.05), (goal, floor - 0.19), (goal + 0.42, floor - 0.19), (goal + 0.42, floor + 0.05)],
        (250, 250, 250),
        0.018,
    )
    side = rng.uniform(-0.2, 0.3)
    paper.line([(side, 1), (side + 0.2, floor + 0.05)], (240, 245, 240), 0.014)


def _beach(paper: Paper) -> None:
    floor, rng = paper.floor, paper.rng
    _sky(paper)
    sea = floor - rng.uniform(0.16, 0.24)
    water = paper.one_of((30, 120, 170), (40, 150, 170), (50, 110, 150))
    paper.fade(sea, floor + 0.02, water, tuple(min(255, int(1.3 * c)) for c in water))
    for _ in range(14):
        x, y = rng.uniform(0, 1), rng.uniform(sea + 0.02, floor - 0.01)
        paper.line([(x, y), (x + rng.uniform(0.04, 0.12), y)], (190, 225, 230), 0.005)
    if rng.random() < 0.7:  # a sail
        x = rng.uniform(0.05, 0.95)
        paper.poly([(x, sea - 0.10), (x, sea + 0.01), (x + 0.06, sea + 0.01)], (245, 245, 240), edge=True)
        paper.poly(
            [(x - 0.03, sea + 0.015), (x + 0.07, sea + 0.015), (x + 0.05, sea + 0.035), (x - 0.01, sea + 0.035)],
            (150, 60, 50),
        )
    shore = [(x, floor + 0.012 * np.sin(9 * x + rng.uniform(0, 0.6))) for x in np.linspace(0, 1, 30)]
    sand = paper.one_of((230, 205, 150), (220, 190, 140), (240, 220, 175))
    paper.poly([*shore, (1, 1), (0, 1)], sand)
    paper.line(shore, (250, 250, 245), 0.016)
    paper.grain(floor + 0.04, 1, 6, (30, 40))
    for _ in range(10):
        paper.oval(rng.uniform(0, 1), rng.uniform(floor + 0.06, 1), 0.008, 0.005, tuple(int(0.8 * c) for c in sand))
    if rng.random() < 0.85:  # a palm
        x = rng.choice([rng.uniform(0.02, 0.2), rng.uniform(0.8, 0.98)])
        bend = rng.uniform(-0.08, 0.08)
        crown = (x + bend, floor - rng.uniform(0.42, 0.5))
        paper.line([(x, floor + 0.06), (x + 0.3 * bend, floor - 0.2), crown], (130, 95, 60), 0.028)
        for angle in np.deg2rad([-20, 15, 60, 120, 165, 200]) + rng.normal(0, 0.1, 6):
            tip = (crown[0] + 0.19 * np.cos(angle), crown[1] - 0.08 * np.sin(angle) + 0.05)
            middle = (crown[0] + 0.1 * np.cos(angle), crown[1] - 0.09 * np.sin(angle) - 0.03)
            paper.line([crown, middle, tip], paper.near((50, 130, 60), 12), 0.026)


def _tennis_court(paper: Paper) -> None:
    floor, rng = paper.floor, paper.rng
    _sky(paper)
    for x in np.arange(0.0, 1.05, 0.11):  # trees behind the fence
        paper.oval(x + rng.normal(0, 0.02), floor - 0.22, 0.09, rng.uniform(0.10, 0.17), paper.near((60, 110, 60), 12))
    screen = paper.one_of((35, 90, 65), (40, 70, 110))
    paper.rect(0, floor - 0.20, 1, floor, screen)
    for x in np.arange(0, 1.02, 0.17):
        paper.line([(x, floor - 0.34), (x, floor)], (70, 80, 80), 0.008)
    for y in (floor - 0.34, floor - 0.2):
        paper.line([(0, y), (1, y)], (70, 80, 80), 0.006)
    ground = paper.one_of((190, 95, 60), (50, 105, 165), (60, 125, 95), spread=8)
    paper.fade(floor, 1, ground, tuple(min(255, int(1.08 * c)) for c in ground))
    paper.grain(floor, 1, 4)
    white = (245, 245, 245)
    lane = rng.uniform(-0.1, 0.1)
    paper.line([(0, floor + 0.03), (1, floor + 0.03)], white, 0.010)
    paper.line([(0, 0.96), (1, 0.96)], white, 0.018)
    for x in (0.08, 0.5, 0.92):
        paper.line([(0.5 + 0.7 * (x + lane - 0.5), floor + 0.03), (0.5 + 1.4 * (x + lane - 0.5), 0.96)], white, 0.014)
    net = floor + 0.085  # the net across the court
    for x in np.arange(0, 1, 0.022):
        paper.line([(x, net - 0.10), (x, net)], (60, 65, 70), 0.003)
    for y in np.arange(net - 0.09, net, 0.022):
        paper.line([(0, y), (1, y)], (60, 65, 70), 0.003)
    paper.line([(0, net - 0.10), (1, net - 0.10)], white, 0.018)


def _forest(paper: Paper) -> None:
    floor, rng = paper.floor, paper.rng
    paper.fade(0, floor, paper.one_of((150, 190, 150), (170, 190, 160), (190, 190, 140)), paper.near((95, 135, 85), 10))
    paper.grain(0, floor, 12, (14, 18))
    for depth, count in ((0.55, 9), (0.8, 6), (1.0, 4)):  # rows of trunks, the near ones darker
        for _ in range(count):
            x, wide = rng.uniform(-0.02, 1.02), rng.uniform(0.018, 0.032) * depth * 1.6
            bark = paper.one_of((100, 75, 50), (85, 70, 60), (120, 95, 70), spread=8)
            bark = tuple(int(depth * c + (1 - depth) * 150) for c in bark)
            base = floor + 0.05 * depth
            paper.poly([(x - 0.7 * wide, 0), (x + 0.7 * wide, 0), (x + wide, base), (x - wide, base)], bark)
            paper.line([(x + 0.4 * wide, 0), (x + 0.6 * wide, base)], tuple(int(0.75 * c) for c in bark), 0.4 * wide)
    for _ in range(26):  # leaves above
        green = paper.one_of((45, 105, 50), (70, 125, 50), (95, 130, 60), spread=10)
        paper.oval(rng.uniform(0, 1), rng.uniform(-0.03, 0.17), rng.uniform(0.05, 0.11), rng.uniform(0.03, 0.07), green)
    ground = paper.one_of((105, 95, 55), (85, 105, 55), (125, 95, 60))
    paper.fade(floor, 1, ground, tuple(int(0.85 * c) for c in ground))
    paper.grain(floor, 1, 14, (22, 40))
    for _ in range(12):  # ferns
        x, y = rng.uniform(0, 1), rng.uniform(floor, floor + 0.05)
        for tilt in np.linspace(-0.05, 0.05, 5):
            paper.line([(x, y + 0.015), (x + tilt, y - 0.05 + abs(tilt))], paper.near((60, 120, 50), 10), 0.008)


def _street(paper: Paper) -> None:
    floor, rng = paper.floor, paper.rng
    _sky(paper)
    x = -0.05
    while x < 1:  # houses
        wide, top = rng.uniform(0.24, 0.38), rng.uniform(0.02, 0.20)
        front = paper.one_of((180, 95, 75), (205, 185, 150), (150, 150, 155), (190, 140, 100), (135, 150, 165))
        paper.rect(x, top, x + wide, floor, front, edge=True)
        pane = paper.one_of((90, 120, 150), (60, 75, 95), (235, 215, 150))
        for y in np.arange(top + 0.05, floor - 0.16, 0.13):
            for left in np.arange(x + 0.035, x + wide - 0.06, 0.085):
                paper.rect(left, y, left + 0.05, y + 0.075, pane, edge=True)
        door = x + rng.uniform(0.3, 0.6) * wide
        paper.rect(door, floor - 0.13, door + 0.06, floor, paper.near((95, 60, 45), 25), edge=True)
        x += wide
    paper.fade(floor, floor + 0.07, (150, 150, 150), (165, 165, 165))  # kerb, then road
    paper.rect(0, floor + 0.07, 1, floor + 0.085, (200, 200, 195))
    road = paper.near((90, 90, 95), 8)
    paper.fade(floor + 0.085, 1, road, tuple(int(1.1 * c) for c in road))
    paper.grain(floor + 0.085, 1, 5, (30, 40))
    start = rng.uniform(-0.2, 0)
    for x in np.arange(start, 1, 0.26):
        paper.poly([(x, 0.955), (x + 0.14, 0.955), (x + 0.13, 0.975), (x - 0.01, 0.975)], (235, 235, 225))
    if rng.random() < 0.7:  # a parked car
        x, colour = rng.uniform(-0.05, 0.7), paper.one_of((190, 50, 45), (50, 80, 150), (225, 225, 225), (60, 110, 80))
        base = floor + 0.075
        paper.poly(
            [(x + 0.07, base - 0.17), (x + 0.24, base - 0.17), (x + 0.31, base - 0.10), (x, base - 0.10)],
            (120, 150, 170),
            edge=True,
        )
        paper.rect(x - 0.03, base - 0.105, x + 0.37, base - 0.025, colour, edge=True)
        for wheel in (x + 0.05, x + 0.28):
            paper.oval(wheel, base - 0.025, 0.038, 0.038, (35, 35, 38))
            paper.oval(wheel, base - 0.025, 0.017, 0.017, (170, 170, 175))
    x = rng.uniform(0.05, 0.95)  # a street lamp
    paper.line([(x, floor + 0.06), (x, 0.10), (x + 0.07, 0.08)], (55, 60, 65), 0.014)
    paper.oval(x + 0.08, 0.09, 0.03, 0.014, (250, 240, 190))


def _kitchen(paper: Paper) -> None:
    floor, rng = paper.floor, paper.rng
    paper.rect(0, 0, 1, floor, paper.one_of((240, 230, 205), (215, 230, 225), (235, 215, 215)))
    tile = paper.one_of((225, 225, 220), (190, 210, 215), (235, 220, 180), spread=8)
    paper.rect(0, 0.28, 1, floor - 0.2, tile)
    for x in np.arange(0, 1, 0.06):
        paper.line([(x, 0.28), (x, floor - 0.2)], tuple(int(0.88 * c) for c in tile), 0.004)
    for y in np.arange(0.28, floor - 0.2, 0.06):
        paper.line([(0, y), (1, y)], tuple(int(0.88 * c) for c in tile), 0.004)
    light, dark = (
        paper.near((225, 220, 210), 8),
        paper.one_of((170, 130, 95), (120, 90, 70), (150, 160, 165), (90, 70, 60)),
    )
    paper.rect(0, floor, 1, 1, light)
    depths = floor + (1 - floor) * np.linspace(0, 1, 6) ** 1.3
    for row, (far, near) in enumerate(pairwise(depths)):  # chequered floor, in perspective
        for column in range(-12 + row % 2, 12, 2):
            corners = [(column, far), (column + 1, far), (column + 1, near), (column, near)]
            paper.poly([(0.5 + 0.11 * x * (0.7 + (y - floor) / (1 - floor)), y) for x, y in corners], dark)
    wood = paper.one_of((165, 110, 70), (230, 230, 225), (95, 130, 140), (190, 150, 105))
    for x in np.arange(-0.02, 1, 0.17):
        paper.rect(x, -0.02, x + 0.165, 0.20, wood, edge=True)  # upper cupboards
        paper.oval(x + 0.14, 0.16, 0.008, 0.008, (70, 70, 70))
        paper.rect(x, floor - 0.18, x + 0.165, floor, wood, edge=True)  # lower cupboards
        paper.line([(x + 0.05, floor - 0.155), (x + 0.115, floor - 0.155)], (70, 70, 70), 0.008)
    paper.rect(0, floor - 0.21, 1, floor - 0.18, paper.one_of((70, 70, 75), (200, 195, 185), (120, 85, 60)))
    stove = rng.uniform(0.05, 0.5)
    paper.rect(stove, floor - 0.20, stove + 0.22, floor, (225, 228, 230), edge=True)
    paper.rect(stove + 0.03, floor - 0.13, stove + 0.19, floor - 0.03, (40, 42, 48), edge=True)
    for x in (0.04, 0.09, 0.14, 0.19):
        paper.oval(stove + x, floor - 0.165, 0.010, 0.010, (50, 50, 55))
    paper.rect(
        stove + 0.05, floor - 0.28, stove + 0.14, floor - 0.21, paper.one_of((200, 60, 50), (150, 155, 160)), edge=True
    )  # a pot
    paper.line([(stove + 0.03, floor - 0.27), (stove + 0.16, floor - 0.27)], (60, 60, 60), 0.01)
    fridge = stove + rng.uniform(0.3, 0.36)
    paper.rect(
        fridge, 0.12, fridge + 0.19, floor, paper.one_of((235, 238, 240), (190, 195, 200), (200, 70, 60)), edge=True
    )
    paper.line([(fridge, 0.32), (fridge + 0.19, 0.32)], (120, 125, 130), 0.006)
    for y in (0.22, 0.42):
        paper.line([(fridge + 0.025, y), (fridge + 0.025, y + 0.07)], (90, 95, 100), 0.012)


PAINTERS: dict[str, Callable[[Paper], None]] = {
    "gym": _gym,
    "warehouse": _warehouse,
    "football field": _football_field,
    "beach": _beach,
    "tennis court": _tennis_court,
    "forest": _forest,
    "street": _street,
    "kitchen": _kitchen,
}
SCENES = tuple(PAINTERS)


HOME = ("kitchen", *ROOMS)


def backdrop(scene: str, rng: np.random.Generator) -> ndarray:
    """The painted scene with clutter that any scene can have: (CANVAS, CANVAS, 3) RGB."""
    paper = Paper(rng, floor=rng.uniform(0.60, 0.70))
    (PAINTERS | ROOMS)[scene](paper)
    clutter = INDOORS if scene in ROOMS else CLUTTER
    for _ in range(rng.integers(0, 3)):
        clutter[rng.integers(len(clutter))](paper, rng.uniform(0.05, 0.95), paper.floor + rng.uniform(0.04, 0.12))
    return paper.finished()


def _plant(paper: Paper, x: float, y: float) -> None:
    paper.poly(
        [(x - 0.04, y - 0.07), (x + 0.04, y - 0.07), (x + 0.03, y), (x - 0.03, y)], paper.near((175, 95, 65)), edge=True
    )
    for tilt in (-0.07, -0.03, 0.02, 0.06):
        paper.line([(x, y - 0.07), (x + tilt, y - 0.19 + abs(tilt))], paper.near((60, 130, 65), 12), 0.018)


def _cone(paper: Paper, x: float, y: float) -> None:
    paper.poly(
        [(x - 0.012, y - 0.14), (x + 0.012, y - 0.14), (x + 0.042, y), (x - 0.042, y)],
        paper.near((235, 110, 40)),
        edge=True,
    )
    paper.poly(
        [(x - 0.022, y - 0.09), (x + 0.022, y - 0.09), (x + 0.03, y - 0.055), (x - 0.03, y - 0.055)], (245, 245, 245)
    )


def _stool(paper: Paper, x: float, y: float) -> None:
    colour = paper.one_of((150, 100, 60), (60, 60, 65), (200, 60, 60))
    for leg in (-0.045, 0.045):
        paper.line([(x + 0.7 * leg, y - 0.13), (x + leg, y)], colour, 0.014)
    paper.rect(x - 0.055, y - 0.15, x + 0.055, y - 0.125, colour, edge=True)


def _sign(paper: Paper, x: float, y: float) -> None:
    paper.line([(x, y), (x, y - 0.24)], (110, 110, 115), 0.012)
    paper.rect(x - 0.055, y - 0.30, x + 0.055, y - 0.20, paper.near((120, 120, 130), 60), edge=True)


def _sack(paper: Paper, x: float, y: float) -> None:
    colour = paper.near((120, 110, 100), 45)
    paper.oval(x, y - 0.04, 0.06, 0.045, colour)
    paper.rect(x - 0.05, y - 0.04, x + 0.05, y, colour)
    paper.line([(x - 0.03, y - 0.08), (x, y - 0.115), (x + 0.03, y - 0.08)], tuple(int(0.6 * c) for c in colour), 0.010)


CLUTTER = (_plant, _cone, _stool, _sign, _sack)
INDOORS = (_plant, _sack)


def foreground(rng: np.random.Generator) -> tuple[ndarray, ndarray] | None:
    """Something before the figure, in a third of the videos: picture and mask (CANVAS, CANVAS) 0-255."""
    if rng.random() > 0.35:
        return None
    paper = Paper(rng, floor=0.9)
    mark = Paper(rng, floor=0.9)
    mark.pixels[:] = 0
    x, top = rng.uniform(0.15, 0.85), rng.uniform(0.72, 0.86)
    colour = paper.one_of((60, 115, 60), (120, 90, 60), (90, 95, 105), (170, 160, 150))
    paper.pixels[:] = colour
    kind = rng.integers(3)
    if kind == 0:  # a bush
        for _ in range(7):
            spot = (
                x + rng.normal(0, 0.06),
                top + 0.08 + rng.normal(0, 0.03),
                rng.uniform(0.05, 0.08),
                rng.uniform(0.05, 0.09),
            )
            paper.oval(*spot, paper.near(colour, 10))
            mark.oval(*spot, (255, 255, 255))
        mark.rect(x - 0.08, top + 0.1, x + 0.08, 1, (255, 255, 255))
    elif kind == 1:  # a post
        wide = rng.uniform(0.015, 0.03)
        mark.rect(x - wide, 0, x + wide, 1, (255, 255, 255))
        paper.line([(x + 0.4 * wide, 0), (x + 0.4 * wide, 1)], tuple(int(0.8 * c) for c in colour), 0.8 * wide)
    else:  # a barrier
        for y in (top, top + 0.09):
            mark.rect(x - 0.22, y, x + 0.22, y + 0.045, (255, 255, 255))
        for leg in (-0.18, 0.18):
            mark.rect(x + leg - 0.012, top, x + leg + 0.012, 1, (255, 255, 255))
    return paper.finished(), mark.finished()[..., 0].copy()
