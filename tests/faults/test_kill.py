"""A pipeline that was killed, whenever it was, ends as one that was not.

``GIBLET_KILLS=50 pytest -m '' tests/faults/test_kill.py`` for more than a handful of moments. The
moments are random: each is within one rule's time, and the rules take turns, in an order drawn anew
each time. ``--unlock`` and ``--rerun-incomplete`` are what notes/troubleshooting.md tells the user.
"""

import os
import time

import numpy as np
import pytest
from tiny_pipeline import RULE, SIMULATED, Pipeline, checksums, kill_all, planned

KILLS = int(os.environ.get("GIBLET_KILLS", "3"))
FEW = ("results/tiny/model/mel",)
ALL = ("report", "lesion", "export")
pytestmark = pytest.mark.slow


def rule_seconds(folder):
    """Rule → how long one of its jobs took."""
    files = (folder / "results" / "tiny" / "times").glob("*.tsv")
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
def undisturbed(request, tmp_path_factory):
    """The folder of a pipeline that nobody killed."""
    if KILLS < 20:
        return request.getfixturevalue("small_results_with_brains")
    pipeline = Pipeline(tmp_path_factory.mktemp("whole") / "one", ALL)
    assert pipeline.run() == 0, pipeline.said()
    return pipeline.folder


def test_a_pipeline_that_was_killed_ends_as_if_it_had_not_been(undisturbed, tmp_path):
    rng, seconds = np.random.default_rng(8), rule_seconds(undisturbed)
    targets = FEW if KILLS < 20 else ALL
    rules = set(planned(Pipeline(tmp_path / "plan", targets).folder, *targets, **SIMULATED))
    assert len(rules) >= 9
    whole = checksums(undisturbed)
    killed, not_yet, folders = [], set(rules), 0
    while len(killed) < KILLS:
        folders += 1
        pipeline = Pipeline(tmp_path / str(folders), targets)
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
        results = pipeline.results()
        assert {name.partition("/")[0] for name in results} >= {"aligned", "model", "bold.nc"}
        assert results == {name: whole[name] for name in whole if KILLS >= 20 or name in results}
    print(f"{len(killed)} kills in {folders} pipelines:", {r: killed.count(r) for r in rules})
