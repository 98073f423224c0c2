"""The weights that encoders read: found, or to be downloaded. Nothing is loaded or fetched.

What an encoder takes is read from its source: to import all of them would take longer than every check together.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipeline import encoders
from pipeline.digest import module_path
from pipeline.doctor.table import BAD, NOTE, Row, failed, size
from pipeline.encoders.offline import hub_cache
from pipeline.errors import ChoreoError

WEIGHTS = (  # files that hold a model's weights, in a folder or a repository
    "model.safetensors", "pytorch_model.bin", "model.safetensors.index.json", "pytorch_model.bin.index.json",
    "open_clip_model.safetensors", "open_clip_pytorch_model.bin",
)  # fmt: skip
MEGABYTES = {  # four bytes a parameter
    "usyd-community/vitpose-base-simple": 344,
    "PekingU/rtdetr_r50vd_coco_o365": 172,
    "MCG-NJU/videomae-base-finetuned-kinetics": 346,
    "sentence-transformers/all-mpnet-base-v2": 438,
    "timm/vit_base_patch16_clip_224.openai": 598,
    "timm/PE-Core-L-14-336": 2685,
    "timm/vit_base_patch14_dinov2.lvd142m": 346,
}
NEEDED = object()  # in the place of a default
Options = dict[str, Any]


def rows(kind: str, spec: str | Options) -> Iterator[Row]:
    """What an encoder reads, a row a file or repository.

    Args:
        kind: pose, image_text, backbone, sentence or detector.
        spec: as a config names the encoder.
    """
    check = kind
    try:
        name, given = encoders.parse(spec)
        check = f"{kind}: {name}"
        tree = ast.parse((module_path(encoders.module(kind, name))).read_text())
        types, defaults = _parameters(tree, encoders.KINDS[kind][name].partition(":")[2])
        _check_options(check, given, defaults)
        options = defaults | given
        absent = _absent(tree)
        if absent:
            yield _environment(check, absent)
        for option, of in types.items():
            if of in ("Path", "Path | None") and options[option] is not None:
                yield file(check, Path(options[option]), f"`{option}` of the {kind} encoder")
        yield from OTHERS.get(name, lambda *_: iter(()))(check, options)
    except ChoreoError as error:
        yield failed(check, error)
    except ModuleNotFoundError as error:
        if not absent:  # else it has been said
            yield _environment(check, [str(error.name)])


def file(check: str, path: Path, where: str) -> Row:
    """The row of a file that must be there, unless the run itself makes it."""
    if path.is_file() and path.stat().st_size:
        return Row(check, f"{path}, {size(path.stat().st_size)}")
    if made(path):
        return Row(check, f"{path}, which the run makes")
    found = f"{path} is empty" if path.is_file() else f"there is no file {path}"
    return Row(check, found, BAD, f"fetch it, or correct {where} in the config")


def made(path: Path) -> bool:
    """Whether a path that is not there yet is one of a run's own results."""
    return not path.is_absolute() and path.parts[:1] == ("results",) and not path.exists()


@cache
def reachable(address: str) -> bool:
    """Whether a server answers, within 3 s."""
    try:
        urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=3).close()
    except urllib.error.HTTPError:
        return True  # it answers, if only to refuse
    except (OSError, ValueError):
        return False
    return True


# What an encoder takes, from its source


def _parameters(tree: ast.Module, name: str) -> tuple[dict[str, str], Options]:
    """Types (as they are written) and defaults of what a class is made with."""
    [body] = [node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    [init] = [node.args for node in body if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
    parameters = init.args[1:]
    values = [NEEDED] * (len(parameters) - len(init.defaults)) + [_value(node) for node in init.defaults]
    types = {p.arg: ast.unparse(p.annotation) for p in parameters if p.annotation}
    return types, {p.arg: value for p, value in zip(parameters, values)}


def _value(node: ast.expr) -> Any:
    """What an expression stands for; one that is no literal, as it is written."""
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)


def _check_options(check: str, given: Options, defaults: Options) -> None:
    unknown = [key for key in given if key not in defaults]
    missing = [key for key, value in defaults.items() if value is NEEDED and key not in given]
    if unknown or missing:
        raise ChoreoError(
            f"the encoder {check.replace(': ', ' ')} "
            + (f"has no option '{unknown[0]}'" if unknown else f"was not told: {', '.join(missing)}"),
            mend=f"its options: {', '.join(defaults)}",
        )


def _absent(tree: ast.Module) -> list[str]:
    """Packages that a module imports, at its top or later, and that are not installed."""
    nodes = list(ast.walk(tree))
    named = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    named += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return sorted(name for name in {name.partition(".")[0] for name in named} if find_spec(name) is None)


def _environment(check: str, absent: list[str]) -> Row:
    """An encoder whose packages are not here: no harm where Snakemake makes an environment for it."""
    mmpose = any(name.startswith("mm") or name == "rtmlib" for name in absent)
    files = "envs/mmpose.yaml, requirements-mmpose.txt" if mmpose else "envs/encoders.yaml, requirements.txt"
    conda = any(map(shutil.which, ("conda", "mamba")))
    return Row(
        check,
        f"not installed here: {', '.join(absent)}",
        NOTE if conda else BAD,
        f"run with `snakemake --use-conda`, or make an environment ({files}) and run in it, `doctor` too",
    )


# Models by name


def _hub(*keys: str) -> Callable[[str, Options], Iterator[Row]]:
    """For encoders whose options of these names are folders, or names on the Hugging Face hub."""
    return lambda check, options: (_repository(check, str(options[key])) for key in keys)


def _repository(check: str, name: str) -> Row:
    """A model that is a folder, or a repository of the Hugging Face hub."""
    import huggingface_hub
    from huggingface_hub import constants

    folder = Path(name)
    if folder.is_dir():
        held = [folder / weights for weights in WEIGHTS if (folder / weights).is_file()]
        mend = f"put {WEIGHTS[0]} and config.json there, as `save_pretrained` writes them"
        return (
            Row(check, f"{name}, {size(held[0].stat().st_size)}")
            if held
            else Row(check, f"the folder {name} holds no weights", BAD, mend)
        )
    if not re.fullmatch(r"\w[\w.-]*/[\w.-]+", name):
        return Row(check, f"there is no folder {name}", BAD, "correct the path, or give a name as OWNER/NAME")
    if any(isinstance(huggingface_hub.try_to_load_from_cache(name, weights), str) for weights in WEIGHTS):
        return Row(check, f"{name}, in {constants.HF_HUB_CACHE}")
    hub, offline = "the Hugging Face hub", constants.is_offline_mode()
    return _download(
        check, name, hub, "" if offline else constants.ENDPOINT, MEGABYTES.get(name, 0), hub_cache(name),
        "HF_HUB_OFFLINE is set" if offline else "",
    )  # fmt: skip


def _download(check: str, what: str, source: str, address: str, mb: float, where: str, offline: str = "") -> Row:
    """Weights that are not here: fetched at the first use, or, where that is not possible, to be put there by hand.

    Args:
        check: the row's.
        what, source, address: the weights, where they are in words, and the server.
        mb: megabytes; 0 where it is not known.
        where: where to put them by hand.
        offline: why the server is not even asked.
    """
    weigh = f", about {size(mb * 1e6)}" if mb else ""
    if not offline and reachable(address):
        mend = f"nothing, if jobs have a network; else {where}"
        return Row(check, f"{what}: to be downloaded from {source} at the first use{weigh}", NOTE, mend)
    why = offline or f"{address} cannot be reached"
    mend = f"fetch it once where there is a network, then {where}"
    return Row(check, f"{what}: not here, and {why} (it is on {source}{weigh})", BAD, mend)


def _sentence(check: str, options: Options) -> Iterator[Row]:
    from pipeline.encoders.sentence import sentence_source

    yield _repository(check, sentence_source(options["model"]))


def _conse(check: str, options: Options) -> Iterator[Row]:
    yield from rows("sentence", {"name": "minilm"} | (options["sentence"] or {}))


def _open_clip(check: str, options: Options) -> Iterator[Row]:
    model, pretrained = str(options["model"]), str(options["pretrained"])
    if Path(model).suffix == ".json":
        where = "`encoders.image_text`"
        yield file(check, Path(model), where)
        yield file(check, Path(pretrained), where)
        yield from _text_tower(check, Path(model))
    elif model.startswith("hf-hub:"):
        yield _repository(check, model.removeprefix("hf-hub:"))
    elif Path(pretrained).is_file():
        yield file(check, Path(pretrained), "`pretrained`")
    else:
        from pipeline.encoders.image_text.open_clip import known_weights

        settings = known_weights(model, pretrained)
        yield _repository(check, "/".join(settings["hf_hub"].split("/")[:2]))


def _text_tower(check: str, config: Path) -> Iterator[Row]:
    """The text tower that a model of one's own names, if it does."""
    from pipeline.encoders.sentence import model_folder

    try:
        name = json.loads(config.read_text())["model_cfg"]["text_cfg"].get("hf_model_name")
    except (OSError, ValueError, KeyError, TypeError):
        return  # the encoder itself says what is wrong with the file
    if name:
        yield _repository(check, model_folder(name))


def _torchvision(check: str, options: Options) -> Iterator[Row]:
    import torch
    from torchvision import models

    from pipeline.encoders.backbone.torchvision import find, named

    builder = find(models.get_model_builder, options["model"], "model", models.list_models())
    weights = options["weights"]
    entry = named(models.get_model_weights(builder), weights)
    if entry is None:
        yield Row(check, "random weights, as asked") if weights is None else file(check, Path(weights), "`weights`")
        return
    path = Path(torch.hub.get_dir()) / "checkpoints" / entry.url.rpartition("/")[2]
    if path.is_file():
        yield Row(check, f"{path}, {size(path.stat().st_size)}")
        return
    where = f"put {path.name} into {path.parent}, or name the file as `weights`"
    server = "/".join(entry.url.split("/")[:3])
    yield _download(check, path.name, server, server, entry.meta.get("_file_size", 0), where)


def _timm(check: str, options: Options) -> Iterator[Row]:
    model = options["model"]
    if options["checkpoint"] is not None:
        return  # a file, seen to already
    if not options["pretrained"]:
        yield Row(check, "random weights, as asked")
        return
    import timm

    known = timm.get_pretrained_cfg(model) or timm.get_pretrained_cfg(model.partition(".")[0])
    if not timm.is_model(model) or known is None or not known.hf_hub_id:
        mend = 'list them with: python -c "import timm; print(timm.list_pretrained())"'
        yield Row(check, f"timm has no weights '{model}'", BAD, mend)
        return
    yield _repository(check, known.hf_hub_id)


def _mmpose(check: str, options: Options) -> Iterator[Row]:
    import torch

    for model, checkpoint in (("model", "checkpoint"), ("detector", "detector_checkpoint")):
        if options[checkpoint] is not None:
            yield file(check, Path(options[checkpoint]), f"`{checkpoint}`")
            continue
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        found = f"the weights published for {options[model]!r}: from download.openmmlab.com at the first use"
        mend = f"nothing, if jobs have a network; else put the file into {folder}, or name it as `{checkpoint}`"
        yield Row(check, f"{found}, where they are not in {folder} yet", NOTE, mend)


def _imported(check: str, options: Options) -> Iterator[Row]:
    """Files that were made elsewhere, one a video, by a pattern."""
    option = "pattern" if "pattern" in options else "path"
    pattern = str(options[option])
    before, mark, _ = pattern.partition("{video_id}")
    folder = Path(before[: before.rfind("/") + 1])
    if not mark:
        yield file(check, Path(pattern), f"`{option}`")
    elif folder.is_dir() or made(folder):
        yield Row(check, f"{pattern}: the {'folder is there' if folder.is_dir() else 'run makes it'}")
    else:
        mend = f"make the files, one a video, or correct `{option}`"
        yield Row(check, f"{pattern}: there is no folder {folder}", BAD, mend)


# What encoders read beside the options that are files.
OTHERS: dict[str, Callable[[str, Options], Iterator[Row]]] = {
    "vitpose": _hub("model", "detector"),
    "transformers": _hub("model"),
    "videomae": _hub("model"),
    "minilm": _sentence,
    "sentence_transformers": _sentence,
    "conse": _conse,
    "open_clip": _open_clip,
    "torchvision": _torchvision,
    "timm": _timm,
    "mmpose": _mmpose,
    "import": _imported,
}
