"""A small pipeline through a real Slurm, and training that its tasks share.

Slurm sees two nodes; both are this computer.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from giblet.demo import film_path

pytestmark = [pytest.mark.slow, pytest.mark.slurm]
ROOT = Path(__file__).parents[2]
SETTINGS = {
    "dataset": "tiny",
    "film": str(film_path()),
    "bold": "none",
    "annotations": "none",
    "max_trs": 16,
    "use_encodec": False,
    "splits": {"gap_seconds": 2, "test": 0.3, "validation": 0.2},
    "video": {"height": 20, "width": 30},
    "mel": {"n_mels": 32, "n_iter": 2},
    "training": {"max_epochs": 1, "window_trs": 3, "min_steps": 2},
}
SCRIPT = ROOT / "tests" / "autoencoder" / "side_by_side.py"
LIMITS = {"extract_mel": ("3000M", "00:31:00"), "extract_video": ("1000M", "01:01:00")}  # 5.7 MB
JOBS = {"extract_mel", "extract_video", "group_trs", "sync_align", "train", "reconstruct"}
QUICK = {"slurm-init-seconds-before-status-checks": 1, "seconds-between-status-checks": 1}


def run(command, folder, environment):
    path = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    environment = environment | {"PATH": path, "OMP_NUM_THREADS": "1"}
    options = {"cwd": folder, "env": environment, "text": True, "timeout": 900}
    done = subprocess.run(list(map(str, command)), capture_output=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def snakemake(folder, environment, *arguments, **training):
    folder.mkdir(exist_ok=True)
    settings = SETTINGS | {"training": SETTINGS["training"] | training}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-m", "snakemake", *arguments, "--snakefile", ROOT / "Snakefile"]
    return run([*command, "--configfile", "config.yaml"], folder, environment)


def full_profile(folder):
    """The profile with all that is offered in it, for a cluster without accounts."""
    text = (ROOT / "workflow" / "profiles" / "slurm" / "config.yaml").read_text()
    told, offered = text.split('take the "# " away.\n')
    told, offered = yaml.safe_load(told), yaml.safe_load(re.sub("^# ", "", offered, flags=re.M))
    assert offered["default-resources"].pop("slurm_account")
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(told | offered | QUICK | {"retries": 0}))
    return folder


def jobs(environment):
    """Rule → what Slurm says of its newest job."""
    said = run(["scontrol", "--oneliner", "show", "job"], ".", environment)
    found = {}
    for line in said.splitlines():
        job = dict(re.findall(r"(\S+?)=(\S*)", line))
        if job.get("Comment"):
            found[re.sub("^rule_|_wildcards_.*", "", job["Comment"])] = job
    return found


def results(folder):
    """File → bytes of all that is told by data and settings: not what tells the time."""
    files = (folder / "results").rglob("*.*")
    timed = {"times", "training", "run.json"}
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in files
        if file.is_file() and not timed & {*file.parts}
    }


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    return full_profile(tmp_path_factory.mktemp("profiles") / "slurm")


@pytest.fixture(scope="module")
def through_slurm(slurm, profile, tmp_path_factory):
    folder = tmp_path_factory.mktemp("through slurm") / "there"
    snakemake(folder, slurm, "--profile", profile)
    return folder


def test_slurm_runs_every_rule_with_what_it_asks_for(slurm, profile, through_slurm):
    found = jobs(slurm)
    assert found.keys() == JOBS
    assert {job["JobState"] for job in found.values()} == {"COMPLETED"}
    asked = {rule: (job["Partition"], job.get("TresPerJob")) for rule, job in found.items()}
    assert asked.pop("train") == ("gpu", "gres:gpu:1")
    assert set(asked.values()) == {("cpu", None)}
    limits = {rule: (found[rule]["MinMemoryNode"], found[rule]["TimeLimit"]) for rule in LIMITS}
    assert limits == LIMITS
    made = through_slurm / "results" / "tiny"
    for rule, least, per_mb, files in (
        ("sync_align", 1500, 4, [made / "trs" / "mel.nc", made / "trs" / "video.nc"]),
        ("train", 3000, 3, [made / "aligned" / "mel.nc"]),
    ):
        read = sum(file.stat().st_size for file in files) / 1e6
        assert found[rule]["MinMemoryNode"] == f"{least + round(per_mb * read)}M"
    assert found["train"]["CPUs/Task"] == "2"


def test_results_are_those_of_a_run_without_slurm(through_slurm, tmp_path):
    snakemake(tmp_path / "here", os.environ, "--cores", "2")
    here, there = results(tmp_path / "here"), results(through_slurm)
    assert len(here) > 10
    assert here.keys() == there.keys()
    assert [name for name in here if here[name] != there[name]] == []


def test_the_rule_train_spans_two_nodes(slurm, profile, through_slurm):
    wanted = ["results/tiny/model/mel", "--profile", profile, "--forcerun", "train"]
    wanted += ["--set-resources", "train:slurm_partition=cpu", "train:gpu=0"]
    snakemake(through_slurm, slurm, *wanted, nodes=2)
    job = jobs(slurm)["train"]
    assert (job["JobState"], job["NumNodes"], job["NodeList"]) == ("COMPLETED", "2", "n[1-2]")


@pytest.fixture(scope="module")
def learned_alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    run([sys.executable, SCRIPT, folder, "auto", 1, 1], folder, os.environ)
    return torch.load(folder / "weights.pt", weights_only=True)


@pytest.mark.parametrize(
    ("srun", "devices", "nodes"),
    [
        (["--nodes=2", "--ntasks=2", "--ntasks-per-node=1"], 1, 2),
        (["--nodes=1", "--ntasks=2", "--ntasks-per-node=2"], 2, 1),
        (["--nodes=1", "--ntasks=1"], 2, 1),
    ],
    ids=["two nodes", "two tasks of one node", "one task that starts another process"],
)
def test_tasks_learn_what_one_process_learns(slurm, learned_alone, tmp_path, srun, devices, nodes):
    """Gradients are averaged: with the same window in both nothing differs but rounding."""
    run(["srun", *srun, sys.executable, SCRIPT, tmp_path, "ddp", devices, nodes], tmp_path, slurm)
    found = torch.load(tmp_path / "weights.pt", weights_only=True)
    for name, values in learned_alone.items():
        torch.testing.assert_close(found[name], values, atol=1e-5, rtol=1e-4, msg=name)
