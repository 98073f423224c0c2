"""The doctor: what is missing before a run is a row that says so, with the mend, and nothing secret is shown."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import islice
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from films import film, picture
from scipy.io import savemat

from pipeline import cli, encoders
from pipeline.datasets import ADAPTERS, kth, penn_action, ucf101
from pipeline.doctor import configured, doctor, download, machine, versions, weights
from pipeline.doctor.table import BAD, NOTE, OK, Row, failed, layout, size
from pipeline.errors import ChoreoError

HOME = Path(machine.__file__).parents[2]
SECRET = "sk-this-must-never-be-seen"


def said(rows: Any) -> str:
    return layout(list(rows), 400, False)


def states(rows: Any) -> list[str]:
    return [row.state for row in rows]


# The table


def test_a_row_has_its_mend_below_and_paths_stay_whole() -> None:
    path = "/a/very/long/path/that/does/not/fit/into/the/width/of/the/table/model.safetensors"
    table = layout([Row("Python", "3.11"), Row("weights", f"there is no {path}", BAD, "fetch it")], 60, False)
    assert table.splitlines() == [
        "ok    Python   3.11", "bad   weights  there is no", f"               {path}", "               Mend: fetch it",
    ]  # fmt: skip


def test_a_bad_row_is_red_on_a_terminal_and_plain_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Row("disk", "full", BAD)
    assert layout([row], 80, True).startswith("\033[31mbad\033[0m   disk")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)
    assert "\033" not in layout([row])


def test_an_error_becomes_a_row_with_cause_and_mend() -> None:
    row = failed("list", ChoreoError("it is gone", "a typo", "mend it"))
    assert row == Row("list", "it is gone (likely cause: a typo)", BAD, "mend it")


@pytest.mark.parametrize(
    ("count", "words"), [(12, "12 bytes"), (416_000, "416 kB"), (1.06e6, "1.06 MB"), (7e10, "70 GB")]
)
def test_bytes_are_told_as_people_do(count: float, words: str) -> None:
    assert size(count) == words


# Versions


@pytest.fixture
def pins(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text("# pins\ntorch==2.13.0\nnumpy==2.4.6\ndecord==0.6.0\n-r other.txt\n")
    return path


def test_packages_as_pinned_are_one_row(pins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = {"torch": "2.13.0+cu130", "numpy": "2.4.6", "decord": "0.6.0"}
    monkeypatch.setattr(versions, "installed", here.__getitem__)
    assert list(versions.packages(pins)) == [Row("packages", "3 of 3 as pinned in requirements.txt")]


def test_a_missing_package_is_bad_another_version_and_an_optional_one_are_notes(
    pins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "installed", {"torch": "", "numpy": "2.0.0", "decord": ""}.__getitem__)
    _, other, needed, optional = versions.packages(pins)
    assert (other.state, needed.state, optional.state) == (NOTE, BAD, NOTE)
    assert "numpy 2.0.0 (pinned 2.4.6)" in other.found
    assert "torch" in needed.found and needed.mend == "pip install -r requirements.txt"
    assert "decord" in optional.found


def test_an_old_python_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    assert versions.python().state == OK

    class Old(tuple):
        pass

    monkeypatch.setattr(versions.sys, "version_info", Old((3, 9, 1)))
    assert versions.python() == Row("Python", "3.9.1; >=3.11 is needed", BAD, "make an environment of a newer Python")


def test_without_its_packages_the_rest_is_not_looked_at(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(versions, "installed", lambda name: "")
    with pytest.raises(ChoreoError, match=r"1 of 4 checks failed: packages"):
        doctor()
    assert "Mend: pip install -r requirements.txt" in capsys.readouterr().out


# The machine


def test_decoders_really_decode_and_only_the_one_in_use_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path, decoder: str):
        raise ChoreoError(f"{decoder} cannot be loaded", "no library", f"install {decoder}")
        yield

    assert states(islice(machine.decoders("pyav"), 1)) == [OK]
    monkeypatch.setattr(machine, "stream", broken)
    assert states(machine.decoders("decord")) == [BAD, BAD, NOTE]
    assert "Mend: install decord" in said(machine.decoders("decord"))
    monkeypatch.setattr(machine, "stream", lambda *_: iter([SimpleNamespace(pixels=np.zeros(3))] * 10))
    wrong = next(machine.decoders("pyav"))
    assert wrong.state == BAD and "other pictures than were drawn" in wrong.found


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A GPU that torch sees, as `card(computes)`."""
    torch = pytest.importorskip("torch")

    def ones(*_: int, device: str) -> Any:
        raise RuntimeError("CUDA error: no kernel image is available\nmore")

    def plug(computes: bool) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        properties = SimpleNamespace(name="H200", total_memory=150e9)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
        whole = torch.ones
        monkeypatch.setattr(torch, "ones", (lambda *s, device: whole(*s)) if computes else ones)

    return plug


def test_a_gpu_is_asked_to_compute(card: Any) -> None:
    card(True)
    gpu, onnx = machine.gpus(False, True)
    assert gpu == Row("GPU 0", "H200, 150 GB")
    if "CPU" in onnx.found:
        assert onnx.state == NOTE and "pip install onnxruntime-gpu" in onnx.mend


def test_a_gpu_that_cannot_compute_is_bad(card: Any) -> None:
    card(False)
    gpu = next(machine.gpus(False, False))
    assert gpu.state == BAD and "no kernel image is available" in gpu.found and gpu.mend


def test_no_gpu_is_bad_only_where_the_config_asks_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert states(machine.gpus(False, False)) == [OK]
    [row] = machine.gpus(True, False)
    assert row.state == BAD and "device: cpu" in row.mend
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    [row] = machine.gpus(False, False)
    assert row.state == NOTE and "nvidia-smi is here" in row.found and row.mend


@pytest.mark.parametrize(("free", "state"), [(5e8, BAD), (5e9, NOTE), (5e11, OK)])
def test_a_full_disk_is_bad(free: float, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    row = machine.disk(tmp_path / "results/not/yet")
    assert row.state == state and size(free) in row.found and (state == OK) == (not row.mend)


def test_a_folder_that_cannot_be_written_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.os, "access", lambda *_: False)
    assert machine.disk(tmp_path).state == BAD


def test_snakemakes_profiles_are_found_from_the_projects_folder_only(tmp_path: Path) -> None:
    found = machine.profiles(HOME / "workflow/profiles")
    assert found.state == OK and "profiles default, slurm" in found.found
    assert machine.profiles(tmp_path).state == NOTE


def test_programs_that_are_not_here_are_notes_that_say_what_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/mamba" if name == "mamba" else None)
    conda, *others = machine.programs()
    assert conda.state == OK and "/usr/bin/mamba" in conda.found
    assert set(states(others)) == {NOTE} and all(row.mend for row in others)


# The config


def test_configs_are_merged_as_snakemake_does(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("run: a\nseeds: [0, 1]\nencoders: {pose: vitpose, sentence: {name: minilm}}\n")
    (tmp_path / "b.yaml").write_text("run: b\nseeds: [2]\nencoders: {sentence: {model: x}, pose: onnx}\n")
    whole = configured.read([tmp_path / "a.yaml", tmp_path / "b.yaml"])
    assert whole == {
        "run": "b",
        "seeds": [2],
        "encoders": {"pose": "onnx", "sentence": {"name": "minilm", "model": "x"}},
    }
    utils = pytest.importorskip("snakemake.utils")
    theirs: dict = {}
    for name in "ab":
        utils.update_config(theirs, yaml.safe_load((tmp_path / f"{name}.yaml").read_text()))
    assert whole == theirs


@pytest.mark.parametrize(("text", "words"), [(None, "there is no config"), ("a: [", "no YAML"), ("- a", "no mapping")])
def test_a_config_that_cannot_be_read_says_why(text: str | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ChoreoError, match=words) as caught:
        configured.read([path])
    assert caught.value.mend


def test_an_unknown_key_of_a_config_is_bad_with_the_nearest() -> None:
    config = yaml.safe_load((HOME / "config.yaml").read_text()) | {"sedes": [1]}
    row = configured.check(config, [Path("my.yaml")])
    assert row.state == BAD and "'sedes' (did you mean 'seeds'?)" in row.found


def test_a_key_is_needed_where_no_answers_are_on_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    kept = tmp_path / "answers.jsonl"
    row = configured.key(True, str(kept))
    assert row.state == BAD and "export OPENAI_API_KEY" in row.mend and str(kept) in row.mend
    assert configured.key(False, "").state == OK
    kept.write_text("{}\n")
    assert configured.key(True, str(kept)).state == OK


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """The project's folder; of the decoders only PyAV, of machines one without a GPU, to be quick."""
    monkeypatch.chdir(HOME)
    monkeypatch.setattr(machine, "DECODERS", ("pyav",))
    monkeypatch.setattr(machine, "gpus", lambda *_: iter([]))
    monkeypatch.setattr(download, "rows", lambda *_: iter([]))
    monkeypatch.setitem(cli.TOOLS, "doctor", "doctor:doctor")


@pytest.mark.usefixtures("demo")
def test_the_demo_is_ready_and_the_key_is_never_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    assert cli.main(["doctor"]) == 0
    shown = capsys.readouterr()
    assert re.search(r"ok +OPENAI_API_KEY +set", shown.out) and "ok    pose: onnx" in shown.out
    assert not shown.err


@pytest.mark.usefixtures("demo")
def test_what_is_missing_ends_with_1_after_the_whole_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    more = tmp_path / "more.yaml"
    more.write_text("encoders: {backbone: {name: onnx, model: gone.onnx}}\n")
    assert cli.main(["doctor", "--config", "config.yaml", str(more)]) == 1
    shown = capsys.readouterr()
    assert re.search(r"bad +backbone: onnx +there is no file gone\.onnx\n +Mend: fetch it", shown.out)
    assert "sentence: minilm" in shown.out and "checks failed: backbone: onnx" in shown.err
    assert SECRET not in shown.out + shown.err and "Traceback" not in shown.err
    more.write_text("encoders: {backbone: {name: onnx, modl: gone.onnx}}\nsedes: [1]\n")
    assert cli.main(["doctor", "--config", "config.yaml", str(more)]) == 1
    shown = capsys.readouterr()
    assert "did you mean 'seeds'" in shown.out and SECRET not in shown.out + shown.err


def test_options_of_a_data_set_without_its_name_are_refused() -> None:
    with pytest.raises(ChoreoError, match="belong to a data set"):
        doctor(root="data")


# Weights

NAMES = [(kind, name) for kind, known in encoders.KINDS.items() for name in known]


def parameters(kind: str, name: str) -> tuple[dict[str, str], dict[str, Any]]:
    tree = weights.ast.parse(weights.module_path(encoders.module(kind, name)).read_text())
    return weights._parameters(tree, encoders.KINDS[kind][name].partition(":")[2])


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of a hub that answers."""
    constants = pytest.importorskip("huggingface_hub").constants
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(weights, "reachable", lambda address: True)
    return tmp_path / "hub"


def cached(hub: Path, name: str, file: str = "model.safetensors") -> None:
    """A repository in the cache, as the hub's own client lays it out."""
    folder = hub / f"models--{name.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs/main").write_text("abc")
    (folder / "snapshots/abc").mkdir(parents=True)
    (folder / "snapshots/abc" / file).write_bytes(b"weights")


@pytest.mark.parametrize(("kind", "name"), NAMES)
@pytest.mark.usefixtures("hub")
def test_every_encoder_can_be_looked_at_without_being_loaded(kind: str, name: str) -> None:
    if name in ("timm", "torchvision", "open_clip"):
        pytest.skip("looks its weights up in a large package")
    _, defaults = parameters(kind, name)
    needed = {key: "gone" for key, value in defaults.items() if value is weights.NEEDED}
    found = list(weights.rows(kind, {"name": name} | needed))
    assert found and all(row.state == OK or row.mend for row in found)


@pytest.mark.parametrize(
    ("kind", "name"), [("pose", "onnx"), ("pose", "import"), ("backbone", "i3d"), ("backbone", "onnx")]
)
def test_what_is_read_from_the_source_is_what_the_class_takes(kind: str, name: str) -> None:
    module = pytest.importorskip(f"pipeline.{encoders.module(kind, name)}")
    taken = inspect.signature(getattr(module, encoders.KINDS[kind][name].partition(":")[2])).parameters
    empty = inspect.Parameter.empty
    assert parameters(kind, name)[1] == {
        k: weights.NEEDED if p.default is empty else p.default for k, p in taken.items()
    }


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("vitpos", "'vitpos' is no pose encoder"),
        ({"name": "onnx", "detector": "a.onnx"}, "was not told: pose"),
        ({"name": "vitpose", "modle": "x"}, "has no option 'modle'"),
        ({"model": "x"}, "the name is missing"),
    ],
)
def test_an_encoder_that_cannot_be_meant_is_bad(spec: Any, words: str) -> None:
    [row] = weights.rows("pose", spec)
    assert row.state == BAD and words in row.found and row.mend


def test_files_are_found_missing_empty_or_made_by_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full.onnx").write_bytes(b"x" * 2000)
    (tmp_path / "empty.onnx").touch()
    spec = {"name": "onnx", "detector": "full.onnx", "pose": "empty.onnx"}
    full, empty = weights.rows("pose", spec)
    assert full == Row("pose: onnx", "full.onnx, 2 kB")
    assert empty.state == BAD and empty.found == "empty.onnx is empty" and "`pose` of the pose encoder" in empty.mend
    [made] = weights.rows("backbone", "onnx:results/mine/weights.onnx")
    assert made.state == OK and "the run makes" in made.found


def test_weights_of_the_hub_are_found_in_its_cache_or_to_be_downloaded(hub: Path) -> None:
    pytest.importorskip("transformers")
    one, other = weights.rows("pose", "vitpose")
    assert (one.state, other.state) == (NOTE, NOTE)
    assert "usyd-community/vitpose-base-simple: to be downloaded from the Hugging Face hub" in one.found
    assert "about 344 MB" in one.found and "about 172 MB" in other.found
    assert "models--PekingU--rtdetr_r50vd_coco_o365" in other.mend
    cached(hub, "usyd-community/vitpose-base-simple")
    one, other = weights.rows("pose", "vitpose")
    assert (one.state, other.state) == (OK, NOTE) and str(hub) in one.found


@pytest.mark.parametrize("why", ["offline", "unreachable"])
def test_a_hub_that_cannot_be_reached_is_bad_with_where_to_put_the_files(
    why: str, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers")
    if why == "offline":
        monkeypatch.setattr(sys.modules["huggingface_hub"].constants, "HF_HUB_OFFLINE", True)
    else:
        monkeypatch.setattr(weights, "reachable", lambda address: False)
    [row] = weights.rows("backbone", "videomae")
    assert row.state == BAD and ("HF_HUB_OFFLINE is set" if why == "offline" else "cannot be reached") in row.found
    assert "models--MCG-NJU--videomae-base-finetuned-kinetics" in row.mend


def test_a_model_in_a_folder_must_hold_weights(hub: Path, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    (tmp_path / "mine").mkdir()
    spec = {"name": "videomae", "model": str(tmp_path / "mine")}
    [row] = weights.rows("backbone", spec)
    assert row.state == BAD and "holds no weights" in row.found
    (tmp_path / "mine/model.safetensors").write_bytes(b"weights")
    assert states(weights.rows("backbone", spec)) == [OK]
    [row] = weights.rows("backbone", {"name": "videomae", "model": "a/deep/folder"})
    assert row.state == BAD and "there is no folder" in row.found


def test_an_encoder_whose_packages_are_not_here_is_bad_unless_conda_makes_its_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(weights, "find_spec", lambda name: None if name == "mmpose" else object())
    monkeypatch.setattr(shutil, "which", lambda _: None)
    row, *_ = weights.rows("pose", "mmpose")
    assert row.state == BAD and row.found == "not installed here: mmpose" and "requirements-mmpose.txt" in row.mend
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert next(weights.rows("pose", "mmpose")).state == NOTE


def test_imported_files_need_their_folder(tmp_path: Path) -> None:
    pattern = f"{tmp_path}/swin/{{video_id}}.npy"
    [row] = weights.rows("backbone", {"name": "import", "pattern": pattern})
    assert row.state == BAD and f"there is no folder {tmp_path}/swin" in row.found and row.mend
    (tmp_path / "swin").mkdir()
    assert states(weights.rows("backbone", {"name": "import", "pattern": pattern})) == [OK]
    assert states(weights.rows("pose", {"name": "import", "path": str(tmp_path / "all.npz")})) == [BAD]


@pytest.mark.usefixtures("hub")
def test_an_open_clip_model_of_ones_own_needs_both_files_and_its_text_tower(tmp_path: Path) -> None:
    model = tmp_path / "mine.json"
    model.write_text(json.dumps({"model_cfg": {"text_cfg": {"hf_model_name": "owner/tower"}}}))
    rows = list(
        weights.rows("image_text", {"name": "open_clip", "model": str(model), "pretrained": "gone.safetensors"})
    )
    assert states(rows) == [OK, BAD, NOTE] and "owner/tower: to be downloaded" in rows[2].found


@pytest.mark.usefixtures("hub")
def test_names_of_large_packages_are_looked_up_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def known_weights(name: str, tag: str) -> dict[str, str]:
        if tag == "opanai":
            raise ChoreoError(f"open_clip model '{name}' has no pretrained weights '{tag}'", mend="use one of: openai")
        return {"hf_hub": "timm/vit_base_patch16_clip_224.openai/"}

    model = "vit_base_patch14_dinov2.lvd142m"
    known = {model: SimpleNamespace(hf_hub_id=f"timm/{model}")}
    timm = SimpleNamespace(is_model=known.__contains__, get_pretrained_cfg=known.get)
    monkeypatch.setitem(sys.modules, "timm", timm)
    monkeypatch.setattr(weights, "find_spec", lambda name: object())
    path = f"pipeline.{encoders.module('image_text', 'open_clip')}"
    monkeypatch.setitem(sys.modules, path, SimpleNamespace(known_weights=known_weights))
    [row] = weights.rows("image_text", "open_clip")
    assert row.state == NOTE and row.found.startswith("timm/vit_base_patch16_clip_224.openai: to be downloaded")
    [row] = weights.rows("image_text", {"name": "open_clip", "pretrained": "opanai"})
    assert row.state == BAD and row.mend == "use one of: openai"
    [row] = weights.rows("backbone", "timm")
    assert row.state == NOTE and "about 346 MB" in row.found
    assert states(weights.rows("backbone", "timm:vit_bas")) == [BAD]
    assert states(weights.rows("backbone", {"name": "timm", "pretrained": False})) == [OK]


@pytest.mark.usefixtures("hub")
def test_weights_of_torchvision_are_found_in_torchs_cache_or_to_be_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("torchvision")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    [row] = weights.rows("backbone", "torchvision:swin3d_b")
    assert row.state == NOTE and "from https://download.pytorch.org at the first use, about 364 MB" in row.found
    [name] = re.findall(r"put (\S+\.pth) into", row.mend)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / name).write_bytes(b"weights")
    assert states(weights.rows("backbone", "torchvision:swin3d_b")) == [OK]
    assert states(weights.rows("backbone", {"name": "torchvision", "weights": None})) == [OK]
    assert states(weights.rows("backbone", "torchvision:swin4d")) == [BAD]


def test_a_server_is_reached_when_it_answers_whatever_it_says() -> None:
    class Refusing(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_error(403)

        def log_message(self, *_: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Refusing)
    address = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.handle_request, daemon=True).start()
    assert weights.reachable(address)
    server.server_close()
    weights.reachable.cache_clear()
    assert not weights.reachable(address) and not weights.reachable("")


def test_sources_of_scene_graphs_need_their_files_and_the_weights_of_their_detectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    detector = {"name": "detector", "encoder": {"name": "onnx", "model": "gone.onnx"}}
    config = {"models": ["proda"], "graphs": {"oracle": {"name": "action_genome", "root": "ag"}, "predicted": detector}}
    found = said(configured.rows(config))
    assert re.search(r"bad +detector: onnx +there is no file gone\.onnx", found)
    assert re.search(r"bad +graphs oracle +there is no file ag/object_bbox_and_relationship\.pkl", found)


# Downloads

LISTS = {
    "classInd.txt": "1 Archery\n2 Diving\n",
    "trainlist01.txt": "Archery/v_Archery_g08_c01.avi 1\nDiving/v_Diving_g08_c01.avi 2\nDiving/v_Diving_g09_c01.avi 2",
    "testlist01.txt": "Archery/v_Archery_g01_c01.avi\n",
}


@pytest.fixture
def ucf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A whole download of a UCF-101 of four videos."""
    monkeypatch.setattr(ucf101, "EXPECTED", {"train": 3, "test": 1, "classes": 2})
    for name, text in LISTS.items():
        (tmp_path / "ucfTrainTestlist").mkdir(exist_ok=True)
        (tmp_path / "ucfTrainTestlist" / name).write_text(text)
        for line in text.splitlines() if "list" in name else ():
            film(tmp_path / "UCF-101" / line.split()[0], 30, codec="mpeg4")
    return tmp_path


def checked(name: str, root: Path, **options: Any) -> list[Row]:
    return list(download.rows({"name": name, "root": str(root)} | options, 12))


def test_a_whole_download_is_sound_and_says_roughly_what_it_takes(ucf: Path) -> None:
    counts, files, sample, outlook = rows = checked("ucf101", ucf)
    assert states(rows) == [OK] * 4
    assert counts.found == "4 videos (3 train, 1 test), 2 classes, as published"
    assert files.found.startswith("all 4 are there") and sample.found == "4 of 4 can be read"
    assert re.match(r"roughly, by 4 of them: 120 frames, .* on disk; .* \(\d+ frames/s here\)", outlook.found)


def test_a_missing_file_is_named_with_where_it_comes_from(ucf: Path) -> None:
    (ucf / "UCF-101/Diving/v_Diving_g09_c01.avi").unlink()
    counts, files, sample, _ = checked("ucf101", ucf)
    assert (counts.state, files.state, sample.state) == (OK, BAD, OK)
    assert files.found == "1 of 4 videos are missing: UCF-101/Diving/v_Diving_g09_c01.avi"
    assert "with `videos`" in files.mend and "UCF101.rar" in files.mend


def test_a_broken_video_is_found_in_the_sample_and_named(ucf: Path) -> None:
    (ucf / "UCF-101/Archery/v_Archery_g01_c01.avi").write_bytes(b"<html>no such file</html>")
    counts, files, sample, outlook = checked("ucf101", ucf)
    assert (counts.state, files.state, sample.state) == (OK, OK, BAD)
    assert "3 of 4 can be read; 'v_Archery_g01_c01'" in sample.found and "is no video that can be read" in sample.found
    assert "fetch those again" in sample.mend and "by 3 of them" in outlook.found


def test_a_list_that_was_cut_does_not_have_the_publishers_numbers(ucf: Path) -> None:
    lists = ucf / "ucfTrainTestlist/trainlist01.txt"
    lists.write_text("".join(lists.read_text().splitlines(keepends=True)[:1]))
    counts, *_ = checked("ucf101", ucf)
    assert counts.state == BAD and "(1 train, 1 test), 1 classes; the publisher has 3 train, 2 classes" in counts.found
    shutil.copy(lists, ucf / "ucfTrainTestlist/trainlist02.txt")
    shutil.copy(ucf / "ucfTrainTestlist/testlist01.txt", ucf / "ucfTrainTestlist/testlist02.txt")
    counts, *_ = checked("ucf101", ucf, split=2)  # the numbers are those of split 1
    assert counts.state == OK and "publi" not in counts.found


def test_a_class_that_only_the_test_videos_show_is_bad(ucf: Path) -> None:
    lists = ucf / "ucfTrainTestlist/trainlist01.txt"
    lists.write_text("".join(lists.read_text().splitlines(keepends=True)[1:]))
    assert re.search(r"bad +classes +no training video shows Archery", said(checked("ucf101", ucf)))


def test_the_command_checks_a_download_alone_and_ends_with_1_when_it_is_not_whole(
    ucf: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setitem(cli.TOOLS, "doctor", "doctor:doctor")
    command = ["doctor", "--dataset", "ucf101", "--root", str(ucf), "--options", "{split: 1}", "--sample", "2"]
    assert cli.main(command) == 0
    shown = capsys.readouterr().out
    assert "2 of 2 can be read" in shown and "Python" not in shown
    shutil.rmtree(ucf / "UCF-101/Diving")
    assert cli.main(command) == 1
    assert "checks failed: files" in capsys.readouterr().err
    shutil.rmtree(ucf / "ucfTrainTestlist")
    assert cli.main(command) == 1
    assert "www.crcv.ucf.edu" in capsys.readouterr().out


def test_a_name_that_is_no_data_set_gets_the_nearest() -> None:
    [row] = download.rows({"name": "kht"}, 1)
    assert row.state == BAD and "did you mean 'kth'?" in row.found


def test_several_videos_of_one_file_weigh_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kth, "EXPECTED", {"train": 2, "test": 1})
    people = "Training: person11\nValidation: person19\nTest: person22\n"
    lines = "person11_boxing_d1  frames  1-20, 21-40\nperson22_boxing_d1  frames  1-10\n"
    (tmp_path / "00sequences.txt").write_text(people + lines)
    for name in ("person11_boxing_d1", "person22_boxing_d1"):
        film(tmp_path / f"videos/{name}_uncomp.avi", 40, codec="mpeg4")
    counts, files, sample, outlook = checked("kth", tmp_path)
    assert counts.state == sample.state == OK and files.found.startswith("all 2 are there")
    assert ": 50 frames" in outlook.found
    held = sum(path.stat().st_size for path in (tmp_path / "videos").iterdir())
    assert f"{size(held)} on disk" in outlook.found


def test_a_folder_that_lacks_frames_is_not_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cv2 = pytest.importorskip("cv2")
    monkeypatch.setattr(penn_action, "EXPECTED", {"train": 2})
    (tmp_path / "labels").mkdir()
    for name in ("0001", "0002"):
        joints = {key: np.zeros((5, 13)) for key in ("x", "y", "visibility")}
        savemat(tmp_path / f"labels/{name}.mat", {"action": "squat", "train": 1, "nframes": 5} | joints)
        (tmp_path / f"frames/{name}").mkdir(parents=True)
        for i in range(5):
            cv2.imwrite(str(tmp_path / f"frames/{name}/{i + 1:06d}.jpg"), picture(i))
    assert states(checked("penn_action", tmp_path)) == [OK] * 4
    (tmp_path / "frames/0002/000003.jpg").unlink()
    _, files, sample, _ = checked("penn_action", tmp_path)
    assert files.state == BAD and "1 of 2 videos are not whole" in files.found and "4 of 5 frames" in files.found
    assert sample.found == "1 of 1 can be read"


def test_published_features_are_opened_and_nothing_is_decoded(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("1 20.5 25.0\n2 21.5 25.0\n")
    (tmp_path / "test.txt").write_text("3 20.5 25.0\n")
    (tmp_path / "f").mkdir()
    for number in (1, 2, 3):
        np.save(tmp_path / f"f/{number}.npy", np.full((4, 8), np.nan if number == 3 else 1.0))
    counts, files, sample = checked("fisv", tmp_path, features="f/{video_id}.npy")
    assert counts.state == BAD and "the publisher has 400 train, 100 test" in counts.found
    assert files.state == OK and sample.state == BAD
    assert sample.found.startswith("2 of 3 can be read; '3'") and "no numbers" in sample.found


def test_a_path_that_names_no_part_of_a_video_is_a_row_not_a_crash(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", 5)
    (tmp_path / "list.csv").write_text("id,path,labels\na,a.mp4,\nb,a.mp4#frames=9-1,\n")
    table = said(download.rows({"name": "csv", "index": str(tmp_path / "list.csv")}, 5))
    assert "1 of 2 videos are not whole" in table and "names no part of a video" in table


def test_lists_that_the_run_makes_are_not_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert states(download.rows({"name": "csv", "index": "results/theatre/stage/index.csv"}, 5)) == [OK]
    assert states(download.rows({"name": "csv", "index": "data/index.csv"}, 5)) == [BAD]


@pytest.mark.parametrize("name", ADAPTERS)
def test_what_publishers_count_is_said_in_splits_and_classes(name: str) -> None:
    expected = getattr(pytest.importorskip(ADAPTERS[name]), "EXPECTED", {})
    assert set(expected) <= {"train", "test", "classes"} and all(number > 0 for number in expected.values())


# Real lists, without their videos


@pytest.mark.parametrize(
    ("name", "folder", "words"),
    [
        ("rg", "aqa_labels/rhythmic_gymnastics_ACTION-NET", "1000 videos (800 train, 200 test), 4 classes"),
        ("fisv", "aqa_labels/fisv_MS_LSTM", "500 videos (400 train, 100 test)"),
        ("mtl_aqa", "aqa_labels/mtl_aqa/Ready_2_Use/MTL-AQA_split_0_data", "1412 videos (1059 train, 353 test)"),
        ("charades", "charades_ag", "9848 videos (7985 train, 1863 test), 157 classes"),
        ("penn_action", "", "2326 videos (1258 train, 1068 test), 15 classes"),
    ],
)
def test_real_lists_have_the_publishers_numbers_and_their_videos_are_missing(
    name: str, folder: str, words: str, shared_data: Path, tmp_path: Path
) -> None:
    if name == "penn_action":
        (tmp_path / "labels").symlink_to(shared_data / "penn_action_labels")
    counts, files = checked(name, shared_data / folder if folder else tmp_path)
    assert counts == Row("data set", f"{words}, as published")
    assert files.state == BAD and re.match(r"(\d+) of \1 videos are missing", files.found) and files.mend


def test_real_videos_are_read(shared_data: Path) -> None:
    rows = list(download.rows({"name": "folder", "root": str(shared_data / "sample_videos")}, 3))
    assert states(rows) == [OK] * 4 and "3 of 3 can be read" in rows[2].found
