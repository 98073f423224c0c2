"""Files between people and stages: YAML that people write, tables that they read."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

import yaml

from pipeline.errors import ChoreoError


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error: the first of the two would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if str(key) in seen:
                raise yaml.constructor.ConstructorError(None, None, f"'{key}' stands twice", key_node.start_mark)
            seen.add(str(key))
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict:
    """The mapping in a YAML file; empty for a file without content.

    Raises:
        ChoreoError: the file is absent or no UTF-8, it is no YAML, a key stands twice, or its top level is no mapping.
    """
    try:
        found = yaml.load(Path(path).read_text(encoding="utf-8"), _UniqueKeys)
    except FileNotFoundError as error:
        raise ChoreoError(f"there is no file {path}", "its name is misspelt", "write it, or mend the name") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ChoreoError(f"{path} cannot be read: {error}", "a slip while editing", "mend that line") from error
    if not isinstance(found or {}, dict):
        raise ChoreoError(f"{path} holds a {type(found).__name__}, not `name: value` lines", "a colon is missing")
    return found or {}


def texts_of(value: object, where: str) -> list[str]:
    """A list of words from YAML; None is the empty list.

    Raises:
        ChoreoError: it is no list, or holds something that YAML does not read as text.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise ChoreoError(f"{where} is {value!r}, not a list", "the brackets or dashes are missing", f"[{value}]")
    for entry in value:
        if not isinstance(entry, str) or not entry.strip():
            raise ChoreoError(
                f"{where} holds {entry!r}, which is no text",
                "YAML reads words such as yes, no, on and 12 as something else",
                "put it in quotes",
            )
    return value


def nearest(word: str, known: Iterable[str]) -> str:
    """`, did you mean 'a' or 'b'?` for a word that is not known; empty when nothing is near."""
    near = get_close_matches(word, list(known), 3, cutoff=0.5)
    return f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
