"""Answers of language models, each kept as it came and found again by what was asked.

An answer file holds JSON lines, one an answer. Lines are only ever appended: what was paid for once is never asked
again, and a file that is shipped with a data set replays its vocabulary without a model, a key or a network. The `key`
of a line is the SHA-256 of model, prompt, parameters and sample; everything else in it is for people:

    {"key": "5d2c...", "class": "golf_swing", "words": "golf swing", "kind": "object", "sample": 0, "model": "gpt-4o",
     "parameters": {"max_tokens": 512, "structured": true, "temperature": 0.2}, "prompt": "For the action ...",
     "answer": "{\"concepts\": [\"golf club\", \"golf ball\"]}", "served_by": "gpt-4o-2024-08-06"}

Whoever has no language model writes the lists by hand, as YAML (`imported`):

    golf_swing:
      object: [golf club, golf ball]
      scene: [golf course]
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.concepts.files import nearest, read_yaml, texts_of
from pipeline.errors import ChoreoError
from pipeline.writing import replacing

log = logging.getLogger(__name__)

KINDS = ("object", "scene")
BULLET = re.compile(r"^\s*(?:[-–—•*·]+|\(?\d+[.):])\s*")


@dataclass(frozen=True)
class Question:
    """What is asked of which model.

    Attributes:
        label: class of the manifest.
        words: the class in words, as it stands in the prompt.
        kind: `object` or `scene`.
        prompt: the whole prompt.
        model: name of the model.
        sample: the same prompt is asked several times.
        parameters: whatever else shapes the answer; `structured` says that it is JSON, not lines.
    """

    label: str
    words: str
    kind: str
    prompt: str
    model: str
    sample: int = 0
    parameters: dict[str, object] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """SHA-256 of model, prompt, parameters and sample."""
        asked = [self.model, self.prompt, self.parameters, self.sample]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    def __str__(self) -> str:
        return f"{self.kind}s of '{self.label}'"


@dataclass(frozen=True)
class Answer:
    """A question, the text that came back, and what the server calls the model that wrote it."""

    question: Question
    text: str
    served_by: str = ""

    @property
    def concepts(self) -> list[str]:
        """The concepts in the text, as they were written.

        Raises:
            ChoreoError: the text is not what was asked for. Nothing is repaired: half an answer is no answer.
        """
        if not self.question.parameters.get("structured"):
            lines = (BULLET.sub("", line).strip() for line in self.text.split("\n"))
            return [line for line in lines if line and not line.endswith(":")]  # "Here are the objects:"
        try:
            found = json.loads(self.text)["concepts"]
            if not isinstance(found, list) or not all(isinstance(c, str) for c in found):
                raise TypeError("`concepts` is no list of texts")
        except (ValueError, KeyError, TypeError) as error:
            raise ChoreoError(
                f"the answer for the {self.question} is not the JSON that was asked for ({error}): {self.text[:80]!r}",
                "the server does not enforce structured output",
                "run again (answers so far are kept), or ask for lines: `structured: false`",
            ) from error
        return found

    def line(self) -> str:
        """The answer as a line of an answer file."""
        q = self.question
        record = {"key": q.key, "class": q.label, "words": q.words, "kind": q.kind, "sample": q.sample}
        record |= {"model": q.model, "parameters": dict(sorted(q.parameters.items())), "prompt": q.prompt}
        return json.dumps(record | {"answer": self.text, "served_by": self.served_by}, ensure_ascii=False) + "\n"

    @classmethod
    def parse(cls, line: str) -> Answer:
        """The answer in a line of an answer file; ValueError when it is damaged or its key does not fit."""
        try:
            r = json.loads(line)
            asked = (r[name] for name in ("class", "words", "kind", "prompt", "model", "sample", "parameters"))
            question = Question(*asked)
            if question.key != r["key"]:
                raise ValueError("its key does not fit model, prompt, parameters and sample")
            return cls(question, r["answer"], r["served_by"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"no record of an answer ({error})") from error


class AnswerFile:
    """The answers on record. A file that is not there yet is empty; damaged lines are reported and passed over."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._known: dict[str, Answer] = {}
        if not self.path.exists():
            return
        with open(self.path, encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, start=1):
                try:
                    answer = Answer.parse(line)
                except ValueError as error:
                    log.warning("%s, line %d is passed over: %s", self.path, number, error)
                else:
                    self._known.setdefault(answer.question.key, answer)

    def __contains__(self, question: Question) -> bool:
        return question.key in self._known

    def __getitem__(self, question: Question) -> Answer:
        kept = self._known[question.key]
        return Answer(question, kept.text, kept.served_by)

    def add(self, answer: Answer) -> None:
        """Append an answer: one write, under a lock, synced to disk."""
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "a+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                end = file.seek(0, os.SEEK_END)
                file.seek(max(end - 1, 0))
                torn = file.read(1) not in (b"", b"\n")  # a job was killed while it wrote
                file.write(b"\n" * torn + answer.line().encode())
                file.flush()
                os.fsync(file.fileno())
            self._known.setdefault(answer.question.key, answer)


def read(path: Path) -> list[Answer]:
    """All answers of a file in its order, as `ask` wrote it.

    Raises:
        ChoreoError: the file is absent, or a line is damaged.
    """
    if not Path(path).is_file():
        raise ChoreoError(f"there is no file {path}", "the language model has not been asked", "run the stage `ask`")
    found = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                found.append(Answer.parse(line))
            except ValueError as error:
                where = f"{path}, line {number}"
                raise ChoreoError(f"{where}: {error}", "it was edited", "delete it and run again") from error
    return found


def write(path: Path, answers: Iterable[Answer]) -> None:
    """Write answers, whole or not at all; the file is itself an answer file."""
    with replacing(path) as file:
        file.writelines(answer.line() for answer in answers)


def imported(path: Path, questions: Sequence[Question]) -> list[Answer]:
    """Lists that people wrote, as answers of the model `imported`.

    Args:
        path: YAML file, `class: {object: [...], scene: [...]}`.
        questions: one a class and kind.

    Raises:
        ChoreoError: a class or one of its two lists is absent, or an entry is no text.
    """
    written = read_yaml(path)
    labels = {q.label for q in questions}
    for label in written.keys() - labels:
        log.warning("%s: '%s' is no class of this data set and is not used%s", path, label, nearest(str(label), labels))
    found = []
    for question in questions:
        lists, kind = written.get(question.label), question.kind
        if not isinstance(lists, dict) or kind not in lists:
            raise ChoreoError(
                f"{path} does not answer for the {question}{nearest(question.label, map(str, written))}",
                "a class was forgotten or is spelt in another way" if lists is None else f"it has no `{kind}`",
                f"write `{question.label}: {{object: [...], scene: [...]}}`; an empty list `[]` is an answer too",
            )
        concepts = texts_of(lists[kind], f"{path}: {kind} of '{question.label}'")
        found.append(Answer(question, json.dumps({"concepts": concepts}, ensure_ascii=False)))
    return found
