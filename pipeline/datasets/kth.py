"""KTH (Schüldt, Laptev and Caputo, ICPR 2004): six actions of 25 persons in four settings.

    ROOT/00sequences.txt                                   when there is action in a file, and who is in which split
    ROOT/videos/[boxing/]person01_boxing_d1_uncomp.avi     the videos, flat or in a folder an action

A file holds up to four sequences, each a row of its own whose path names the frames:
`person01_boxing_d1_uncomp.avi#frames=0-94` is `person01_boxing_d1_0`. Groups are the persons.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.datasets import inside
from pipeline.datasets.files import need
from pipeline.errors import ChoreoError
from pipeline.manifest import Video

LIST = "00sequences.txt"
SPLITS = {"Training": "train", "Validation": "val", "Test": "test"}  # the publisher's, and ours
EXPECTED = {"train": 1528, "test": 863, "classes": 6}
MEND = (
    "take 00sequences.txt and the archives boxing.zip, handclapping.zip, handwaving.zip, jogging.zip, running.zip and"
    " walking.zip from www.csc.kth.se/cvap/actions, and unpack the archives to the folder `videos`"
)


def rows(root: str, videos: str = "", leave_out: Sequence[str] = (), published_val: bool = False) -> Iterator[Video]:
    """Sequences of the publisher's list; the persons of its validation part are train, and val is drawn by persons.

    Args:
        root: folder with 00sequences.txt.
        videos: folder with the videos; ROOT/videos when empty.
        leave_out: actions to leave out; [jogging] makes what DANCE calls KTH-5.
        published_val: val is the publisher's validation part, so that 8 persons are left to train on.

    Raises:
        ChoreoError: the list is missing, or a line of it cannot be read.
    """
    folder = Path(videos) if videos else Path(root) / "videos"
    split_of = _persons(Path(root))
    unknown = set(leave_out)
    for where, file, person, action, cuts in _files(Path(root)):
        unknown.discard(action)
        if action in leave_out:
            continue
        if person not in split_of:
            raise ChoreoError(f"{where}: person {person} is in no split", "the list was edited", MEND)
        split = split_of[person]
        path = _path(folder, action, f"{file}_uncomp.avi")
        for number, (first, last) in enumerate(cuts):
            yield Video(
                id=f"{file}_{number}",
                path=path.with_name(f"{path.name}#frames={first - 1}-{last - 1}"),  # the publisher counts from 1
                split="train" if split == "val" and not published_val else split,
                labels=(action,),
                group=f"person{person}",
            )
    if unknown:
        raise ChoreoError(f"there is no action {sorted(unknown)} to leave out", mend="see the names in 00sequences.txt")


def lists(root: str, **_: Any) -> list[Path]:
    """The publisher's list."""
    return [Path(root) / LIST]


def _text(root: Path) -> list[str]:
    need(root, [LIST], MEND)
    return (root / LIST).read_text(encoding="latin-1").splitlines()


def _persons(root: Path) -> dict[str, str]:
    """Person -> split, from lines as `Training:   person11, 12, 13`."""
    found = {}
    for line in _text(root):
        name, colon, persons = line.partition(":")
        if colon and name in SPLITS and persons.strip().startswith("person"):
            found |= dict.fromkeys(re.findall(r"\d\d", persons), SPLITS[name])
    if missing := sorted(set(SPLITS.values()) - set(found.values())):
        raise ChoreoError(f"{root / LIST} does not say who is in {' and '.join(missing)}", "the list was edited", MEND)
    return found


def _files(root: Path) -> Iterator[tuple[str, str, str, str, list[tuple[int, int]]]]:
    """Where, file, person, action and cuts (first and last frame, from 1) of each line; one file is `*missing*`."""
    for number, line in enumerate(_text(root), start=1):
        where = f"{root / LIST}, line {number}"
        if not line.startswith("person") or "*missing*" in line:
            continue
        parts = re.fullmatch(r"(person(\d\d)_([a-z]+)_d\d)\s+frames\s+(\d+-\d+(?:,\s*\d+-\d+)*)\s*", line)
        cuts = [(int(a), int(b)) for a, b in re.findall(r"(\d+)-(\d+)", parts[4])] if parts else []
        if not cuts or any(not 1 <= first <= last for first, last in cuts):
            raise ChoreoError(
                f"{where} cannot be read: {line.strip()!r}",
                "a column is missing, or a number was mistyped",
                "a line reads as in `person01_boxing_d1  frames  1-95, 96-185`; fetch the list again",
            )
        yield where, parts[1], parts[2], parts[3], cuts


def _path(folder: Path, action: str, file: str) -> Path:
    """The file of a video, in a folder of its action or beside all others."""
    nested = inside(folder, f"{action}/{file}")
    return nested if nested.is_file() else inside(folder, file)
