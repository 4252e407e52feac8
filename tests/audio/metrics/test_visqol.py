"""ViSQOL in its child process: a crash is one failure, and without the package there is no row."""

import sys
import textwrap
from importlib.util import find_spec

import numpy as np
import pytest

from giblet.audio.metrics import child, table, visqol
from giblet.audio.metrics.table import METRICS, segment_metrics
from giblet.audio.metrics.visqol import visqol_scores


def test_a_child_that_dies_or_fails_costs_one_score(monkeypatch):
    """With a stand-in for the package that gives the first sample, fails at 2 and dies at 3."""
    command = f"""
        import os, runpy, sys, types

        class VisqolApi:
            def create(self, mode):
                assert mode == "audio"
            def measure_from_arrays(self, reference, estimate, rate):
                assert rate == 48000 and reference.dtype == float
                if reference[0] == 2:
                    raise ValueError("no patch")
                if reference[0] == 3:
                    os._exit(9)
                return types.SimpleNamespace(moslqo=reference[0])

        sys.modules["visqol"] = types.SimpleNamespace(VisqolApi=VisqolApi)
        sys.argv = ["child", {visqol.__file__!r}]
        runpy.run_path({child.__file__!r}, run_name="__main__")
    """
    stand_in = [sys.executable, "-c", textwrap.dedent(command)]
    monkeypatch.setattr(child, "child_command", lambda file: stand_in)
    pairs = [(np.full(48000, i), np.full(48000, i)) for i in (1, 2, 3, 4)]
    pairs.insert(0, (np.ones(47999), np.ones(47999)))
    np.testing.assert_equal(visqol_scores(pairs), [np.nan, 1, np.nan, np.nan, 4])


def test_a_package_that_cannot_run_is_no_low_score(monkeypatch):
    stand_in = [sys.executable, "-c", "import no_such_package"]
    monkeypatch.setattr(child, "child_command", lambda file: stand_in)
    with pytest.raises(RuntimeError, match=r"(?s)pip install visqol-python\): .*no_such_package"):
        visqol_scores([(np.ones(48000), np.ones(48000))])


def test_without_the_package_there_is_no_metric(monkeypatch):
    for found, n_more in ((None, 0), (object(), 1)):
        monkeypatch.setattr(table, "find_spec", lambda name, found=found: found)
        names = [metric.name for metric in segment_metrics()]
        assert names.count("visqol") == n_more
        assert "stoi" in names
    assert METRICS["visqol"].needs == "visqol"


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("visqol"), reason="visqol-python is not installed")
def test_the_package_itself_scores_noise_lower_than_a_copy():
    rng, time = np.random.default_rng(0), np.arange(2 * 48000) / 48000
    tone = 0.3 * np.sin(2 * np.pi * 440 * time) * (1.2 + np.sin(2 * np.pi * 3 * time))
    copy, noisy = visqol_scores([(tone, tone), (tone, tone + rng.normal(0, 0.1, len(tone)))])
    assert copy > 4
    assert noisy < copy - 1
