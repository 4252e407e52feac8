"""pyproject.toml (pip), environment.yml and the rules' own (conda) describe one environment."""

import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PYPI_NAMES = {  # by conda's
    "pysoundfile": "soundfile",
    "python-build": "build",
    "pytorch": "torch",
    "soxr-python": "soxr",
    "types-pyyaml": "types-PyYAML",
}


def pinned(lines):
    """Package → its version limits."""
    requirements = map(Requirement, lines)
    return {PYPI_NAMES.get(r.name, r.name): frozenset(map(str, r.specifier)) for r in requirements}


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def conda():
    return yaml.safe_load((ROOT / "environment.yml").read_text())


def test_both_files_name_the_same_packages_and_versions(project, conda):
    for_pip = pinned(project["dependencies"] + project["optional-dependencies"]["test"])
    *packages, last = conda["dependencies"]
    for_conda = pinned(packages) | pinned(last["pip"])
    assert for_conda.pop("python") == frozenset([project["requires-python"]])
    assert not for_conda.pop("pip")
    assert for_conda == for_pip


def test_rules_run_in_the_same_without_the_tools_for_tests(project):
    extras = project["optional-dependencies"]
    for_pip = pinned(project["dependencies"] + extras["motion"])
    (file,) = (ROOT / "workflow" / "envs").iterdir()
    *packages, last = yaml.safe_load(file.read_text())["dependencies"]
    for_rules = pinned(packages) | pinned(last["pip"])
    assert for_rules.pop("python") == frozenset([project["requires-python"]])
    assert not for_rules.pop("pip")
    assert for_rules == for_pip


def test_every_rule_names_that_environment():
    for file in (ROOT / "workflow" / "rules").glob("*.smk"):
        text = file.read_text()
        assert text.count("conda:") == text.count('"../envs/giblet.yaml"'), file.name


def test_no_package_is_listed_twice(project, conda):
    *packages, last = conda["dependencies"]
    listed = project["dependencies"] + project["optional-dependencies"]["test"]
    for lines in (packages + last["pip"], listed):
        assert len(pinned(lines)) == len(lines)


def test_channels_are_the_ones_that_snakemake_asks_for(conda):
    assert conda["channels"] == ["conda-forge", "bioconda"]


def test_what_is_installed_here_fulfils_the_pins(project):
    from importlib.metadata import version

    lines = project["dependencies"] + project["optional-dependencies"]["test"]
    wrong = [r.name for r in map(Requirement, lines) if version(r.name) not in r.specifier]
    assert not wrong
