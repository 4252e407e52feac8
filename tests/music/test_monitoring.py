"""Faults of a run are seen once each, late enough and not too late."""

import logging
import math
from dataclasses import replace

import pytest
import torch
from music.pieces import broken_chords
from torch.utils.data import DataLoader

from giblet.music.data import RandomCrops
from giblet.music.model import MusicTransformerVAEGAN
from giblet.music.monitoring import CURES, Monitor, MonitorSettings
from giblet.music.objective import LossSettings, Objective
from giblet.music.recipe import DataSettings

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


def test_an_auc_that_stays_at_1_is_one_fault():
    assert faults([0.9, 1.0, 1.0, 1.0, 1.0, 1.0], "auc_global") == [(3, "discriminator_wins")]
    assert faults([0.5] * 6, "auc_global") == [(3, "constant")]


@pytest.mark.parametrize("name", ["active_units_fine", "active_units_global", "accuracy_note_on"])
def test_a_share_may_stay_at_its_best(name):
    assert faults([0.9, *[1.0] * 6], name) == []
    assert faults([0.9] * 6, name) == [(3, "constant")]
    assert faults([0.9, *[1.0] * 6], f"share_{name}") == [(4, "constant")]


def test_no_used_units_are_one_fault_and_none_in_the_warmup():
    assert faults([0.0] * 6, "active_units_fine", first_step=0) == []
    assert faults([0.0] * 6, "active_units_fine") == [(2, "units_collapse")]


LATENTS = {
    "fine": {"seconds": 1.5, "width": 3, "free_nats": 0.0},
    "local": {"seconds": 6.0, "width": 4, "free_nats": 0.0},
    "global": {"seconds": 6.0, "width": 5, "free_nats": 0.0},
    "n_token_blocks": 1,
    "n_segment_blocks": 1,
}
SCALES = {"local": {"n_tokens": 16, "width": 8, "n_halvings": 2}}


def warned(losses, n_steps, rate=1e-2, beats=True, spoil=None, gan=None, latents=LATENTS):
    """(name, fault) of what a monitor sees in a training of a tiny model, step by step."""
    pieces = [broken_chords(seed, n_bars=4, shuffled=False) for seed in range(4)]
    if not beats:
        pieces = [replace(notes, beats=None) for notes in pieces]
    crops = RandomCrops(pieces, DataSettings(crop_tokens=32, batch_size=4), 0)
    tiny = {"width": 16, "n_heads": 2, "n_layers": 1, "dropout": 0.0, "attention": {"window": 16}}
    monitor, found = Monitor(SETTINGS), set()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MusicTransformerVAEGAN({"transformer": tiny, "latents": latents, "gan": gan})
        objective = Objective(
            LossSettings.model_validate(losses), model.settings.gan, tiny["width"]
        )
    optimizer = torch.optim.Adam(model.train().parameters(), rate)
    if gan:
        other = torch.optim.Adam(objective.adversary.parameter_groups())
    drawing = torch.Generator().manual_seed(0)
    for step, batch in zip(range(n_steps), DataLoader(crops, 4), strict=False):
        if spoil is not None and step == n_steps - 1:
            spoil(model)
        loss, values, drawn = objective(model, batch, step, drawing)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if gan:
            values |= objective.discriminator_step(other, drawn, step)
        warnings = monitor.check(step, {name: float(value) for name, value in values.items()})
        found |= {(warning.name, warning.fault) for warning in warnings}
    return found


def test_a_training_that_goes_well_brings_no_warning():
    assert warned({}, 14, rate=1e-2, latents=None) == set()


def test_latents_that_cost_too_much_collapse_and_are_seen():
    found = warned({"kl": {"beta": 100.0, "ramp_steps": 1}}, 45, rate=5e-2)
    assert ("active_units_fine", "constant") not in found  # one fault, not two
    assert {("kl_fine", "kl_collapse"), ("active_units_fine", "units_collapse")} <= found


def test_a_discriminator_that_is_too_strong_is_seen():
    """It learns from a model that does not: see the rate."""
    found = warned({}, 8, rate=0.0, gan={"scales": SCALES, "learning_rate": 3e-2})
    assert ("auc_local", "discriminator_wins") in found


def test_a_weight_that_is_no_number_is_seen_in_the_step():
    found = warned({}, 2, spoil=lambda m: m.transformer.embedding.weight.data.fill_(math.nan))
    assert ("nats", "not_finite") in found


def test_a_loss_that_hears_nothing_is_seen():
    """Without beats nothing is known to be off the sixteenths."""
    assert ("rhythm", "constant") in warned({"constraints": {}}, 5, beats=False)


def test_each_warning_is_one_line_in_the_log(caplog):
    monitor = Monitor(SETTINGS)
    with caplog.at_level(logging.WARNING, "giblet"):
        (warning,) = monitor.check(7, {"nats": math.nan, "entropy": 1.0})
    assert caplog.messages == [warning.message]
    assert caplog.records[0].name == "giblet.music.monitoring"
    assert warning.message == f"step 7: nats is nan (not finite): {CURES['not_finite']}"
