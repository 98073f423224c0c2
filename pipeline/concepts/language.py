"""Object and scene concepts: what a language model associates with each class (DANCE, Sec. 3.2.2).

The two prompts ask what the paper's two ask, in our words.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline.concepts.answers import KINDS, Answer, AnswerFile, Question, imported, write
from pipeline.concepts.files import nearest
from pipeline.errors import ChoreoError
from pipeline.manifest import Manifest

log = logging.getLogger(__name__)

PROMPTS = {
    "object": 'For the action "{words}", list the most important physical objects that commonly appear when it is '
    "performed. Only tangible items: no body parts, no poses, no places and nothing of the background. Each item is a "
    'short noun phrase of one to three words. For the action "brushing teeth", for example: toothbrush, toothpaste '
    "tube, cup, sink.",
    "scene": 'List the most common places or background scenes where the action "{words}" is typically performed. Only '
    "places: no objects and no equipment. Each item is a short noun phrase of one to three words. For the action "
    '"brushing teeth", for example: bathroom, campsite washroom, hotel room.',
}
AS_LINES = " Write one item a line and nothing else."
SCHEMA = {
    "type": "object",
    "properties": {"concepts": {"type": "array", "items": {"type": "string"}}},
    "required": ["concepts"],
    "additionalProperties": False,
}


def ask(
    manifest: Path,
    out: Path,
    *,
    answers: Path,
    model: str = "gpt-4o",
    base_url: str = "",
    temperature: float = 0.2,
    max_tokens: int = 512,
    samples: int = 2,
    structured: bool = True,
    names: dict | None = None,
    parallel: int = 4,
    retries: int = 5,
    timeout: float = 60.0,
) -> None:
    """Ask a language model for the objects and scenes of every class; writes all answers, as JSON lines.

    Only what is not on record is asked, with the key in OPENAI_API_KEY; with everything on record no key is needed.

    Args:
        manifest: all videos.
        out: answers of this data set, itself an answer file.
        answers: answer file (.jsonl) to which every new answer is appended, or lists that people wrote (.yaml).
        model: name of the model; not used with lists that people wrote, nor are the options below but `names`.
        base_url: address of a server that speaks OpenAI's protocol; OpenAI's own when empty.
        temperature, max_tokens: of the model.
        samples: how often each prompt is asked; the union of the answers counts.
        structured: the server enforces a JSON schema; without, the model is asked for lines.
        names: words for classes whose label does not speak for itself, such as {b_volley: backhand volley}.
        parallel: questions under way at once.
        retries: tries after a busy or failing server, which may say how long to wait.
        timeout: seconds until a request is given up.

    Raises:
        ChoreoError: an answer is neither on record nor to be had, or is cut off, refused or malformed.
    """
    words = in_words(Manifest.read(manifest).classes, names or {})
    if answers.suffix in (".yaml", ".yml"):
        write(out, imported(answers, _questions(words, "imported", 1, {"structured": True})))
        return
    parameters = {"temperature": float(temperature), "max_tokens": max_tokens, "structured": structured}
    questions = _questions(words, model, samples, parameters)
    record = AnswerFile(answers)
    missing = [q for q in questions if q not in record]
    if missing:
        log.info("asking %s %d questions; %d are on record", model, len(missing), len(questions) - len(missing))
        request = _connect(missing, answers, base_url=base_url, retries=retries, timeout=timeout)
        with ThreadPoolExecutor(parallel) as pool:  # after an error those that wait are not asked any more
            list(pool.map(lambda question: record.add(request(question)), missing))
    write(out, [record[question] for question in questions])


def in_words(labels: list[str], names: dict[str, str]) -> dict[str, str]:
    """Every class in words: `names` where it has one, else the label with its parts set apart and in lower case.

    Raises:
        ChoreoError: there are no classes, or `names` holds one that is not there.
    """
    if not labels:
        raise ChoreoError("the manifest has no labels", "it lists videos only", "fill its column `labels`")
    for label in names:
        if label not in labels:
            what = f"`names` holds '{label}', which is no class{nearest(label, labels)}"
            raise ChoreoError(what, "a slip of the pen", "use the labels of the manifest")
    return {label: names.get(label) or _set_apart(label) for label in labels}


def _set_apart(label: str) -> str:
    """`ApplyEyeMakeup`, `jump_rope` -> `apply eye makeup`, `jump rope`."""
    return " ".join(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", label).replace("_", " ").lower().split())


def _questions(words: dict[str, str], model: str, samples: int, parameters: dict[str, object]) -> list[Question]:
    """Every question about a data set, in the order of `raw.jsonl`: class, kind, sample."""
    form = "" if parameters["structured"] else AS_LINES
    return [
        Question(label, spoken, kind, PROMPTS[kind].format(words=spoken) + form, model, sample, parameters)
        for label, spoken in words.items()
        for kind in KINDS
        for sample in range(samples)
    ]


def _connect(
    missing: list[Question], answers: Path, *, base_url: str, retries: int, timeout: float
) -> Callable[[Question], Answer]:
    """A function that puts one question to the server."""
    key = os.environ.get("OPENAI_API_KEY")
    if not key:
        raise _no_key(missing, answers)
    import openai

    client = openai.OpenAI(api_key=key, base_url=base_url or None, max_retries=retries, timeout=timeout)

    def request(question: Question) -> Answer:
        try:
            response = client.chat.completions.create(**_body(question))
        except openai.OpenAIError as error:
            raise _trouble(error, question, base_url, retries) from error
        return _accepted(question, response)

    return request


def _no_key(missing: list[Question], answers: Path) -> ChoreoError:
    first = missing[0]
    return ChoreoError(
        f"no answer is on record for the {first} (sample {first.sample}; {len(missing)} questions in all), "
        "and OPENAI_API_KEY is not set",
        f"{answers} holds no answer of '{first.model}' to this very prompt: the class, the model or a parameter is new"
        if answers.exists()
        else f"{answers} does not exist",
        "set OPENAI_API_KEY (for a server of your own, any word) and run again: every answer is kept in that file. Or "
        f"write the lists yourself: a YAML file with `{first.label}: {{object: [...], scene: [...]}}` for every "
        "class, named as `answers`",
    )


def _body(question: Question) -> dict[str, object]:
    """The request, in OpenAI's chat protocol."""
    parameters = dict(question.parameters)
    structured = parameters.pop("structured")
    schema = {"name": "concepts", "strict": True, "schema": SCHEMA}
    form = {"response_format": {"type": "json_schema", "json_schema": schema}} if structured else {}
    return {"model": question.model, "messages": [{"role": "user", "content": question.prompt}]} | parameters | form


def _accepted(question: Question, response: object) -> Answer:
    """The answer in a response; whatever is not whole and well-formed is an error and is not kept."""
    if not getattr(response, "choices", None):
        raise ChoreoError(
            f"the server gave no answer for the {question}", "the address is not OpenAI-compatible", "see `base_url`"
        )
    choice = response.choices[0]
    if choice.finish_reason == "length":
        raise ChoreoError(
            f"the answer for the {question} was cut off after {question.parameters['max_tokens']} tokens",
            "the model writes at length",
            "raise `max_tokens` (all questions are then asked anew: it is part of what is asked)",
        )
    if choice.message.refusal or choice.finish_reason == "content_filter":
        words = choice.message.refusal or "its content filter stepped in"
        raise ChoreoError(
            f"'{question.model}' refuses to list the {question}: {words}",
            "the name of the class reads as something harmful",
            f"give the class other words: `names: {{{question.label}: ...}}`, or ask another model",
        )
    answer = Answer(question, choice.message.content or "", response.model or "")
    if not answer.text.strip():
        raise ChoreoError(f"the answer for the {question} is empty", "the model failed", "run again")
    if not answer.concepts:
        log.warning("'%s' names no %s", question.model, question)
    return answer


def _trouble(error: Exception, question: Question, base_url: str, retries: int) -> ChoreoError:
    """What a failed request means and how to mend it."""
    status = getattr(error, "status_code", None)
    server = base_url or os.environ.get("OPENAI_BASE_URL") or "OpenAI"
    kept = "run again: answers so far are kept and only the rest is asked"
    if status in (401, 403):  # the server's own words may repeat the key
        return ChoreoError(
            f"{server} refuses the key ({status})", "OPENAI_API_KEY is wrong or expired", "set a valid key"
        )
    tries = f"{server} gave no answer for the {question} in {retries + 1} tries: {error}"
    if status == 429:
        return ChoreoError(tries, "questions come too fast, or the budget is spent", kept)
    if status is None or status >= 500:
        return ChoreoError(tries, "it is down or out of reach", kept)
    return ChoreoError(
        f"{server} rejects the request for the {question}: {error}",
        "it does not know the model or one of the parameters, or lacks structured output",
        "see `model`; for servers without structured output: `structured: false`",
    )
