"""The config's schema is made from the stages, and errors say what was meant."""

import re
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from pipeline.config import check, schema
from pipeline.errors import ChoreoError

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "workflow/schemas/config.schema.yaml"


@pytest.fixture
def demo() -> dict:
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def test_the_schema_on_disk_is_the_one_that_the_stages_make():
    assert SCHEMA.read_text().rstrip() == schema(), (
        "run: python -m pipeline schema > workflow/schemas/config.schema.yaml"
    )


def test_every_key_of_the_schema_is_described():
    rules = yaml.safe_load(SCHEMA.read_text())["properties"]
    silent = [key for key, rule in rules.items() if "description" not in rule]
    silent += [
        f"{k}.{o}" for k, r in rules.items() for o, e in r.get("properties", {}).items() if "items" in e and not e
    ]
    assert not silent


PRESETS = [ROOT / "config.yaml", ROOT / "tests/real/tennis.yaml", *sorted((ROOT / "config").glob("*.yaml"))]


@pytest.mark.parametrize("path", PRESETS, ids=lambda p: p.stem)
def test_configs_of_this_project_pass(path):
    """With those that they come after, as the command at their head says."""
    files = re.search(r"--configfile (.*)", path.read_text())
    files = [ROOT / name for name in files[1].split()] if files else [path]
    assert files[-1] == path, f"the command at the head of {path.name} runs another config"
    config: dict = {}
    for file in files:
        update_config(config, yaml.safe_load(file.read_text()))
    check(config, SCHEMA)


def test_defaults_of_the_top_level_are_filled_in():
    config = {"run": "x", "dataset": {"name": "folder"}, "answers": "a", "edits": "e"}
    config["encoders"] = dict.fromkeys(("pose", "image_text", "backbone", "sentence"), "any")
    check(config, SCHEMA)
    assert config["shards"] == 1 and config["seeds"] == [0, 1, 2] and config["protocol"] == "strict"


@pytest.mark.parametrize(("model", "key"), [("dance", "answers"), ("proda", "graphs")])
def test_what_a_model_needs_is_asked_for(demo, model, key):
    demo.pop(key, None)
    demo["models"] = [model]
    with pytest.raises(ChoreoError, match=f"'{key}' is a required property"):
        check(demo, SCHEMA)


def test_a_misspelt_key_is_named_with_what_was_meant(demo):
    demo["keyframes"]["treshold"] = 0.2
    with pytest.raises(ChoreoError, match=r"keyframes: unknown key 'treshold' \(did you mean 'threshold'\?\)"):
        check(demo, SCHEMA)


def test_a_missing_key_and_a_wrong_value_are_named(demo):
    del demo["run"]
    demo["shards"] = "many"
    with pytest.raises(ChoreoError, match=r"(?s)'run' is a required property.*shards: 'many' is not of type 'integer'"):
        check(demo, SCHEMA)
