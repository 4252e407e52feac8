"""A pipeline that was killed, whenever it was, ends as one that was not.

``GIBLET_KILLS=50 pytest tests/faults/test_kill.py`` for more than a handful of moments. The moments
are random: each is within one rule's time, and the rules take turns, in an order drawn anew each
time. ``--unlock`` and ``--rerun-incomplete`` are what notes/troubleshooting.md tells the user.
"""

import os
import re
import time

import numpy as np
import pytest
from faults_pipeline import Pipeline, kill_all

KILLS = int(os.environ.get("GIBLET_KILLS", "3"))
RULE = re.compile(r"^(?:local)?rule (\w+):$", re.M)  # as Snakemake says that one begins
FEW = ("results/tiny/model/mel",)
ALL = ("report", "lesion", "export")


def rule_seconds(pipeline):
    """Rule → how long one of its jobs took."""
    files = (pipeline.folder / "results" / "tiny" / "times").glob("*.tsv")
    return {f.stem: float(f.read_text().splitlines()[1].split("\t")[0]) for f in files}


def wait_for(process, pipeline, rules):
    """Until a job of one of these rules was begun; which. None if the pipeline ended before."""
    while process.poll() is None:
        begun = set(RULE.findall(pipeline.said()))
        if found := sorted(begun & rules):
            return found[0]
        time.sleep(0.02)
    return None


def seconds_of(rule, seconds):
    """Of its longest job, whatever the path or the modality."""
    return max(s for name, s in seconds.items() if name.startswith(rule))


def kill_once(pipeline, rng, rules, seconds):
    """Start the pipeline, and kill it in one of ``rules``; where, or None if it ended before."""
    process = pipeline.start()
    try:
        if (rule := wait_for(process, pipeline, rules)) is None:
            assert process.returncode == 0, pipeline.said()
            return None
        time.sleep(rng.uniform(0, seconds_of(rule, seconds)))
        return rule if process.poll() is None else None
    finally:
        kill_all(process)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A pipeline that nobody killed."""
    targets, settings = (FEW, {"use_encodec": False}) if KILLS < 20 else (ALL, {})
    pipeline = Pipeline(tmp_path_factory.mktemp("whole") / "one", settings, targets).begin()
    assert pipeline.run() == 0, pipeline.said()
    return pipeline


def test_a_pipeline_that_was_killed_ends_as_if_it_had_not_been(undisturbed, tmp_path):
    rng, seconds = np.random.default_rng(8), rule_seconds(undisturbed)
    rules = set(RULE.findall(undisturbed.said()))
    assert len(rules) >= 9
    killed, not_yet, folders = [], set(rules), 0
    while len(killed) < KILLS:
        folders += 1
        pipeline = Pipeline(tmp_path / str(folders), undisturbed.settings, undisturbed.targets)
        pipeline.begin()
        ended = False
        while not ended and len(killed) < KILLS:
            some = set(rng.permutation(sorted(not_yet or rules))[:4])  # others pass
            rule = kill_once(pipeline, rng, some, seconds)
            ended = rule is None
            killed += [] if ended else [rule]
            not_yet -= {rule}
            print(len(killed), rule, flush=True)
            assert pipeline.run("--unlock") == 0, pipeline.said()
        assert pipeline.run() == 0, pipeline.said()
        assert pipeline.results() == undisturbed.results()
    print(f"{len(killed)} kills in {folders} pipelines:", {r: killed.count(r) for r in rules})
