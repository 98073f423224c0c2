"""The conda environments and the requirements name the same versions, and every rule has an environment."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ENVS = sorted((ROOT / "envs").glob("*.yaml"))


def pins(lines: list[str]) -> dict[str, str]:
    found = (re.match(r"([\w.-]+)==(\S+)", line) for line in lines)
    return {m.group(1).lower().replace("_", "-"): m.group(2) for m in found if m}


@pytest.mark.parametrize("path", ENVS, ids=lambda p: p.stem)
def test_an_environment_pins_what_the_requirements_pin(path):
    own = ROOT / f"requirements-{path.stem}.txt"
    required = pins((own if own.is_file() else ROOT / "requirements.txt").read_text().splitlines())
    listed = yaml.safe_load(path.read_text())["dependencies"]
    wanted = pins(next(entry["pip"] for entry in listed if isinstance(entry, dict)))
    assert wanted and wanted == {name: required.get(name) for name in wanted}


def test_the_second_step_of_an_environment_pins_what_its_requirements_pin():
    script = (ROOT / "envs/mmpose.post-deploy.sh").read_text().replace("\\", " ").split()
    assert pins(script) == pins((ROOT / "requirements-mmpose-packages.txt").read_text().splitlines())


@pytest.mark.parametrize("path", sorted((ROOT / "workflow/rules").glob("*.smk")), ids=lambda p: p.stem)
def test_every_rule_has_a_sentence_a_log_a_benchmark_and_an_environment(path):
    text = path.read_text()
    for rule in re.split(r"\n(?=(?:rule|checkpoint) \w+:)", text)[1:]:
        if "shell:" in rule:
            assert {"log:", "benchmark:", "conda:", "resources:"} <= set(re.findall(r"^    (\w+:)", rule, re.M)), rule
    names = re.findall(r"^(?:rule|checkpoint) (\w+):", text, re.M)
    assert len(re.findall(r"^# .*\n(?:rule|checkpoint) ", text, re.M)) == len(names)
