"""Text embeddings, each computed once (DANCE, Sec. 3.2.2, Eq. 3: E_T)."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import encoders
from pipeline.artifacts import create
from pipeline.concepts.answers import KINDS
from pipeline.digest import file_digest, source_digest
from pipeline.errors import ChoreoError
from pipeline.writing import replacing


class CachedTexts:
    """A text encoder that remembers: same `.identity` and `.texts` as the encoder, which is loaded when a text is new.

    One small file a text, in a folder named by what the encoder is made of: its code, its options and the files that
    they name. Texts are embedded one at a time, so that not even the last bit depends on the texts beside it.

    Args:
        kind: `image_text` or `sentence`.
        spec: the encoder, as the configuration names it.
        cache: folder of the embeddings; safe to delete, and to share between data sets.
    """

    def __init__(self, kind: str, spec: str | dict[str, Any], cache: Path) -> None:
        self.kind, self.spec = kind, spec
        self.folder = Path(cache) / f"{kind}-{_made_of(kind, spec)}"

    @cached_property
    def _encoder(self) -> Any:
        encoder = encoders.load(self.kind, self.spec)
        with replacing(self.folder / "identity") as file:
            file.write(encoder.identity)
        return encoder

    @cached_property
    def identity(self) -> str:
        """The encoder's id and weight hash."""
        known = self.folder / "identity"
        return known.read_text() if known.exists() else self._encoder.identity

    def texts(self, texts: list[str]) -> NDArray[np.float32]:
        """M texts -> (M,D) float32, L2-normalised."""
        if not texts:
            raise ChoreoError("there are no texts to embed", "the vocabulary is empty")
        return np.stack([self._embedding(text) for text in texts])

    def _embedding(self, text: str) -> NDArray[np.float32]:
        path = self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npy"
        if not path.exists():
            buffer = io.BytesIO()
            np.save(buffer, self._encoder.texts([text])[0])
            _write(path, buffer.getvalue())
        return np.load(path, allow_pickle=False)


def _made_of(kind: str, spec: str | dict[str, Any]) -> str:
    """Digest of an encoder's name, options, the files among them and its code: known without loading it."""
    name, options = encoders.parse(spec)
    files = {}
    for option, value in options.items():
        if isinstance(value, str | Path) and Path(value).exists():
            paths = [Path(value)] if Path(value).is_file() else sorted(p for p in Path(value).rglob("*") if p.is_file())
            files[option] = [file_digest(p) for p in paths]
    names = {option: value for option, value in options.items() if option not in files}
    content = json.dumps([name, names, files, source_digest(encoders.module(kind, spec))], sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _write(path: Path, content: bytes) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}.aside")
    aside.write_bytes(content)
    aside.replace(path)


def texts(
    vocabulary: Path,
    out: Path,
    *,
    cache: Path,
    image_text: dict | str = "open_clip",
    template: dict | str = "A video of {}",
) -> None:
    """Text embeddings of the object and scene concepts; writes `texts`.

    Args:
        vocabulary: table of the stage `vocabulary`.
        out: artifact to write.
        cache: folder of the embeddings so far; a new concept costs one embedding.
        image_text: the image-text encoder that also embeds the videos.
        template: the sentence around a concept, or one a kind: {object: ..., scene: ...}.

    Raises:
        ChoreoError: the vocabulary cannot be read, or a template has no place for the concept.
    """
    templates = _templates(template)
    rows = read_vocabulary(vocabulary)
    encoder = CachedTexts("image_text", image_text, cache)
    embedding = encoder.texts([templates[kind].format(concept) for kind, concept in rows])
    with create(
        out,
        "texts",
        stage=source_digest("concepts.texts", encoders.module("image_text", image_text)),
        params={"image_text": image_text, "template": templates},
        inputs=[vocabulary],
        model=encoder.identity,
    ) as artifact:
        artifact.share(concept=[c for _, c in rows], kind=[k for k, _ in rows], embedding=embedding)


def _templates(template: dict | str) -> dict[str, str]:
    templates = template if isinstance(template, dict) else dict.fromkeys(KINDS, template)
    for kind in KINDS:
        if str(templates.get(kind)).count("{}") != 1:
            raise ChoreoError(
                f"the template of the {kind}s is {templates.get(kind)!r}",
                "it does not say, with one {}, where the concept goes",
                "such as `A video of {}`",
            )
    return templates


def read_vocabulary(path: Path) -> list[tuple[str, str]]:
    """Kind and concept of every row of a vocabulary, in its order."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"kind", "concept"} <= rows[0].keys():
        raise ChoreoError(f"{path} holds no concepts", "it is empty, or no table of the stage `vocabulary`")
    return [(row["kind"], row["concept"]) for row in rows]
