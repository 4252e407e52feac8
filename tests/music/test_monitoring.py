"""Faults of a run are seen once each, late enough and not too late."""

import logging
import math

import pytest

from giblet.music.monitoring import CURES, Monitor, MonitorSettings

SETTINGS = MonitorSettings(patience=3, warmup_steps=10)


def faults(values, name, first_step=100):
    """(index, fault) of the warnings that a series of one value brings."""
    monitor = Monitor(SETTINGS)
    return [
        (i, warning.fault)
        for i, value in enumerate(values)
        for warning in monitor.check(first_step + i, {name: value})
    ]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_seen_at_once_and_once(value):
    assert faults([1.0, value, value, 2.0, value], "nats") == [(1, "not_finite"), (4, "not_finite")]


@pytest.mark.parametrize(
    ("name", "fault", "bad", "good"),
    [
        ("kl_local", "kl_collapse", [1e-3, 2e-3, 1.5e-3], 0.5),
        ("active_units_global", "units_collapse", [0.0, 0.05, 0.02], 0.9),
        ("auc_phrase", "discriminator_wins", [0.99, 0.98, 0.995], 0.8),
    ],
)
def test_a_fault_must_last(name, fault, bad, good):
    assert faults([*bad[:2], good, *bad[:2]], name) == []
    assert faults([good, *bad, bad[0], good, *bad], name) == [(3, fault), (8, fault)]
    other = name.replace(name.split("_")[0], "x")
    assert faults(bad, other) == []


def test_collapse_is_no_fault_before_the_warmup_is_over():
    assert faults([1e-3, 2e-3, 1e-3, 2e-3], "kl_fine", first_step=0) == []
    assert faults([1e-3, 2e-3, 1e-3, 2e-3], "kl_fine", first_step=8) == []
    assert len(faults([1e-3, 2e-3, 1e-3, 2e-3, 1e-3], "kl_fine", first_step=8)) == 1


def test_what_does_not_move_is_seen():
    assert faults([0.5] * 6, "r1_local") == [(3, "constant")]
    assert faults([0.5, 0.5, 0.6, 0.6], "r1_local") == []
    assert faults([1.0] * 6, "beta") == []  # a schedule's end


def test_each_warning_is_one_line_in_the_log(caplog):
    monitor = Monitor(SETTINGS)
    with caplog.at_level(logging.WARNING, "giblet"):
        (warning,) = monitor.check(7, {"nats": math.nan, "entropy": 1.0})
    assert caplog.messages == [warning.message]
    assert caplog.records[0].name == "giblet.music.monitoring"
    assert warning.message == f"step 7: nats is nan (not finite): {CURES['not_finite']}"
