"""The rooms of a home, beside the kitchen: a table of its own, so that the scenes of act one stay those they were."""

from collections.abc import Callable

import numpy as np

from pipeline.theatre.paper import Paper
from pipeline.theatre.shapes import Colour


def _living_room(paper: Paper) -> None:
    floor, rng = paper.floor, paper.rng
    wall = paper.one_of((225, 205, 170), (175, 195, 180), (205, 180, 170), (185, 190, 210))
    paper.fade(0, floor, wall, _shade(wall, 0.92))
    _boards(paper, paper.one_of((165, 115, 70), (140, 95, 60), (190, 145, 100)))
    paper.oval(0.5, floor + 0.19, 0.42, 0.10, paper.one_of((160, 60, 55), (70, 90, 130), (95, 115, 85)))  # a rug
    paper.oval(0.5, floor + 0.19, 0.36, 0.08, paper.one_of((215, 190, 150), (190, 120, 90), (130, 145, 170)))
    sofa, colour = rng.uniform(0.02, 0.35), paper.one_of((150, 70, 60), (75, 100, 130), (110, 120, 85), (130, 105, 90))
    paper.rect(sofa, floor - 0.20, sofa + 0.44, floor - 0.02, colour, edge=True)
    for left in (0.06, 0.22):  # its cushions
        paper.rect(sofa + left, floor - 0.17, sofa + left + 0.155, floor - 0.08, _shade(colour, 1.12), edge=True)
    paper.rect(sofa + 0.05, floor - 0.085, sofa + 0.39, floor + 0.01, _shade(colour, 0.9), edge=True)
    for arm in (sofa - 0.015, sofa + 0.385):
        paper.rect(arm, floor - 0.14, arm + 0.07, floor + 0.02, _shade(colour, 1.05), edge=True)
    picture = sofa + rng.uniform(0.05, 0.2)
    paper.rect(picture, 0.10, picture + 0.20, 0.28, (245, 240, 230), edge=True)
    paper.rect(picture + 0.025, 0.125, picture + 0.175, 0.255, paper.near((110, 140, 160), 45))
    screen = sofa + rng.uniform(0.50, 0.56)  # a television on its board
    paper.rect(
        screen - 0.02, floor - 0.10, screen + 0.26, floor, paper.one_of((105, 75, 55), (225, 220, 210)), edge=True
    )
    paper.rect(screen, floor - 0.27, screen + 0.24, floor - 0.115, (28, 30, 36), edge=True)
    paper.line([(screen + 0.03, floor - 0.14), (screen + 0.10, floor - 0.25)], (70, 80, 95), 0.010)


def _bedroom(paper: Paper) -> None:
    floor, rng = paper.floor, paper.rng
    wall, stripe = paper.one_of((200, 205, 230), (230, 205, 215), (205, 225, 205), (235, 225, 190)), 0.05
    paper.rect(0, 0, 1, floor, wall)
    for x in np.arange(rng.uniform(0, stripe), 1, 2 * stripe):  # wallpaper
        paper.rect(x, 0, x + stripe, floor, _shade(wall, 0.94))
    carpet = paper.one_of((150, 145, 165), (175, 155, 140), (130, 150, 160))
    paper.fade(floor, 1, _shade(carpet, 0.92), carpet)
    paper.grain(floor, 1, 5, (50, 50))
    window = rng.uniform(0.05, 0.65)
    paper.rect(
        window, 0.08, window + 0.26, 0.36, paper.one_of((150, 195, 235), (60, 75, 120), (225, 190, 160)), edge=True
    )
    paper.line([(window + 0.13, 0.08), (window + 0.13, 0.36)], (245, 245, 245), 0.012)
    curtain = paper.one_of((190, 80, 90), (90, 110, 170), (225, 190, 90), (120, 150, 120))
    for left in (window - 0.06, window + 0.22):
        paper.poly([(left, 0.05), (left + 0.10, 0.05), (left + 0.085, 0.42), (left + 0.015, 0.42)], curtain, edge=True)
    wood, bed = paper.one_of((140, 95, 60), (235, 230, 225), (90, 65, 50)), rng.uniform(-0.04, 0.30)
    cover = paper.one_of((90, 120, 170), (180, 90, 100), (230, 225, 215), (110, 150, 130))
    paper.rect(bed, floor - 0.22, bed + 0.05, floor + 0.05, wood, edge=True)  # the head of the bed
    paper.rect(bed + 0.05, floor - 0.07, bed + 0.58, floor + 0.04, cover, edge=True)
    paper.poly([(bed + 0.05, floor - 0.07), (bed + 0.09, floor - 0.12), (bed + 0.56, floor - 0.12),
                (bed + 0.58, floor - 0.07)], _shade(cover, 1.12), edge=True)  # fmt: skip
    paper.oval(bed + 0.13, floor - 0.13, 0.065, 0.032, (245, 243, 238))
    paper.rect(bed + 0.56, floor - 0.10, bed + 0.60, floor + 0.05, wood, edge=True)
    lamp = bed + rng.uniform(0.68, 0.76)  # a night table with its lamp
    paper.rect(lamp - 0.06, floor - 0.11, lamp + 0.06, floor + 0.02, wood, edge=True)
    paper.line([(lamp, floor - 0.11), (lamp, floor - 0.18)], (90, 80, 70), 0.012)
    paper.poly([(lamp - 0.025, floor - 0.24), (lamp + 0.025, floor - 0.24), (lamp + 0.05, floor - 0.16),
                (lamp - 0.05, floor - 0.16)], (245, 220, 150), edge=True)  # fmt: skip


def _hallway(paper: Paper) -> None:
    floor, rng = paper.floor, paper.rng
    wall, panel = paper.one_of((215, 210, 200), (190, 205, 210), (220, 200, 165)), 0.20
    paper.fade(0, floor, wall, _shade(wall, 0.95))
    wood = paper.one_of((235, 235, 228), (150, 105, 70), (110, 130, 125))
    paper.rect(0, floor - panel, 1, floor, wood)
    for x in np.arange(rng.uniform(-0.1, 0), 1, 0.12):  # panelling
        paper.rect(x + 0.012, floor - panel + 0.02, x + 0.108, floor - 0.03, _shade(wood, 0.95), edge=True)
    paper.line([(0, floor - panel), (1, floor - panel)], _shade(wood, 0.75), 0.010)
    tile = paper.one_of((190, 175, 155), (165, 170, 175), (205, 195, 180))
    paper.fade(floor, 1, _shade(tile, 0.9), tile)
    for x in np.arange(-1.0, 2.01, 0.2):
        paper.line([(0.5 + 0.7 * (x - 0.5), floor), (0.5 + 1.6 * (x - 0.5), 1)], _shade(tile, 0.8), 0.005)
    for share in (0.12, 0.32, 0.62):
        paper.line([(0, floor + share * (1 - floor)), (1, floor + share * (1 - floor))], _shade(tile, 0.8), 0.005)
    door = rng.uniform(0.02, 0.25)
    paint = paper.one_of((125, 50, 45), (50, 80, 110), (60, 95, 75), (130, 90, 55))
    paper.rect(door - 0.02, 0.06, door + 0.28, floor, (240, 238, 230), edge=True)
    paper.rect(door, 0.08, door + 0.26, floor, paint, edge=True)
    for top in (0.12, 0.36):
        for left in (0.03, 0.145):
            paper.rect(door + left, top, door + left + 0.085, top + 0.19, _shade(paint, 1.15), edge=True)
    paper.oval(door + 0.235, 0.34, 0.012, 0.012, (225, 195, 90))
    rack = door + rng.uniform(0.38, 0.50)  # coats on their pegs
    paper.rect(rack, 0.15, rack + 0.30, 0.18, _shade(paint, 0.7), edge=True)
    for peg in (0.05, 0.15, 0.25):
        if rng.random() < 0.75:
            coat, x = paper.one_of((70, 80, 110), (150, 60, 60), (100, 110, 80), (200, 170, 110)), rack + peg
            paper.poly([(x - 0.02, 0.17), (x + 0.02, 0.17), (x + 0.05, 0.40), (x - 0.05, 0.40)], coat, edge=True)
        else:
            paper.line([(rack + peg, 0.17), (rack + peg, 0.20)], (60, 60, 60), 0.010)
    paper.rect(rack, floor - 0.06, rack + 0.30, floor - 0.045, _shade(paint, 0.7))  # a shoe rack
    for x in np.arange(rack + 0.02, rack + 0.27, 0.075):
        paper.oval(x + 0.025, floor - 0.015, 0.030, 0.014, paper.near((70, 60, 60), 45))


def _garage(paper: Paper) -> None:
    floor, rng = paper.floor, paper.rng
    wall, row = paper.one_of((165, 95, 75), (185, 180, 170), (150, 120, 105)), 0.045
    paper.rect(0, 0, 1, floor, wall)
    for index, y in enumerate(np.arange(0, floor, row)):  # bricks
        paper.line([(0, y), (1, y)], _shade(wall, 0.85), 0.004)
        for x in np.arange(0.05 * (index % 2), 1, 0.10):
            paper.line([(x, y), (x, y + row)], _shade(wall, 0.85), 0.004)
    paper.rect(0, floor, 1, 1, (150, 150, 148))
    paper.fade(floor, 1, paper.near((125, 125, 125), 6), paper.near((155, 155, 152), 6))
    paper.grain(floor, 1, 8)
    paper.oval(rng.uniform(0.2, 0.8), floor + 0.14, 0.14, 0.03, (100, 100, 102))  # oil
    board, x = rng.uniform(0.02, 0.30), 0.0
    paper.rect(board, 0.10, board + 0.44, 0.33, paper.one_of((205, 175, 130), (120, 130, 135)), edge=True)
    for x in np.arange(board + 0.05, board + 0.42, 0.085):  # tools
        handle = paper.one_of((200, 60, 50), (60, 90, 150), (220, 170, 50), (90, 70, 55))
        paper.line([(x, 0.20), (x, 0.29)], handle, 0.016)
        paper.line([(x, 0.14), (x, 0.20)], (120, 125, 130), 0.010)
        if rng.random() < 0.5:
            paper.rect(x - 0.022, 0.13, x + 0.022, 0.155, (105, 110, 115))
    bench = paper.one_of((150, 110, 70), (130, 95, 65))
    paper.rect(board - 0.03, floor - 0.15, board + 0.48, floor - 0.12, bench, edge=True)
    for leg in (board, board + 0.43):
        paper.rect(leg, floor - 0.12, leg + 0.025, floor + 0.02, _shade(bench, 0.8))
    gate = board + rng.uniform(0.52, 0.58)
    paper.rect(
        gate, 0.12, gate + 0.40, floor, paper.one_of((215, 215, 210), (130, 150, 165), (185, 165, 140)), edge=True
    )
    for y in np.arange(0.20, floor, 0.085):
        paper.line([(gate, y), (gate + 0.40, y)], (120, 120, 120), 0.006)


def _boards(paper: Paper, colour: Colour) -> None:
    """A floor of boards that run towards the viewer."""
    paper.fade(paper.floor, 1, _shade(colour, 0.9), colour)
    for x in np.arange(-1.0, 2.01, 0.13):
        ends = [(0.5 + 0.7 * (x - 0.5), paper.floor), (0.5 + 1.6 * (x - 0.5), 1)]
        paper.line(ends, _shade(colour, 0.82), 0.005)


def _shade(colour: Colour, light: float) -> Colour:
    return tuple(int(min(255, light * channel)) for channel in colour)


ROOMS: dict[str, Callable[[Paper], None]] = {
    "living room": _living_room,
    "bedroom": _bedroom,
    "hallway": _hallway,
    "garage": _garage,
}
