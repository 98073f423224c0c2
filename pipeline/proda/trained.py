"""A trained ProDA as it stands on disk: the network, and what is needed to ask it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from torch import nn

from pipeline import checkpoint
from pipeline.errors import ChoreoError
from pipeline.proda.data import Data, blind
from pipeline.proda.model import EncoderAlone, Graphs, Proda, Settings

NETWORKS = {"proda": Proda, "encoder": EncoderAlone}


@dataclass(frozen=True)
class Trained:
    """A network and what it was trained on.

    Attributes:
        network: `Proda`, or `EncoderAlone` for the variant `encoder`.
        settings: numbers of its architecture.
        variant: name in `variants.VARIANTS`.
        video: False for the prompt-only control: `see` hides the video from it.
        actions, objects, relations: names, in the order of the network's axes.
        recipe: options of its training, `length` (K), `frames` and `window` among them.
        figures: on val, of the epoch whose weights these are.
    """

    network: nn.Module
    settings: Settings
    variant: str
    video: bool
    actions: list[str]
    objects: list[str]
    relations: list[str]
    recipe: dict[str, object]
    figures: dict[str, float]

    def see(self, graphs: Graphs) -> Graphs:
        """What the network is shown of a batch."""
        return graphs if self.video else blind(graphs)


def build(kind: str, settings: Settings) -> nn.Module:
    """A new network with random weights; `kind` is one of `NETWORKS`."""
    return NETWORKS[kind](settings)


def save(path: Path, trained: Trained, state: Mapping[str, object]) -> None:
    """Write a trained network; `state` are the weights to keep, which need not be those it has now."""
    kind = next(name for name, network in NETWORKS.items() if type(trained.network) is network)
    settings = asdict(trained.settings) | {"network": kind, "variant": trained.variant, "video": trained.video}
    settings |= {"action_names": trained.actions, "object_names": trained.objects}
    settings |= {"relation_names": trained.relations}
    checkpoint.save(path, model="proda", settings=settings, state=state, recipe=trained.recipe, figures=trained.figures)


def load(path: Path, data: Data | None = None) -> Trained:
    """Read a trained network, in evaluation mode and on the CPU.

    Args:
        path: the checkpoint.
        data: what it is to be used on; the sizes and the names of actions, objects and relations must be its own.

    Raises:
        ChoreoError: there is none, it is damaged, or it was trained on other data (naming what differs).
    """
    wanted: dict[str, object] = {}
    if data is not None:
        wanted = {"action_names": data.actions, "object_names": data.objects, "relation_names": data.relations}
        wanted |= data.sizes
    content = checkpoint.load(path, "proda", wanted)
    found = content["settings"]
    settings = Settings(**{f.name: found[f.name] for f in fields(Settings)})
    network = build(found["network"], settings)
    network.load_state_dict(content["state"])
    return Trained(
        network.eval(),
        settings,
        found["variant"],
        found["video"],
        found["action_names"],
        found["object_names"],
        found["relation_names"],
        content["recipe"],
        content["figures"],
    )


def start_from(path: Path, network: nn.Module, data: Data) -> None:
    """Give a new `Proda` the encoder, and the readout and classifier of a_m, of an encoder trained alone.

    Args:
        path: checkpoint of the variant `encoder`.
        network: a `Proda` of the same sizes.
        data: what both are trained on.

    Raises:
        ChoreoError: it is no such checkpoint, or of other sizes.
    """
    alone = load(path, data).network
    if not isinstance(alone, EncoderAlone) or not isinstance(network, Proda):
        raise ChoreoError(f"{path} is nothing to start from", "only ProDA starts, and from the variant `encoder` alone")
    parts = {network.encoder: alone.encoder, network.middle_readout: alone.readout, network.middle_head: alone.head}
    for mine, theirs in parts.items():
        try:
            mine.load_state_dict(theirs.state_dict())
        except RuntimeError as error:
            raise ChoreoError(
                f"{path} does not fit: {error}", "it was trained with other sizes", "train both under one config"
            ) from error
