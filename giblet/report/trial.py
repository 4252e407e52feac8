"""Trial runs: settings that use a part of the film, or train for fewer epochs than the default."""

from collections.abc import Mapping

from giblet.config.sections import TrainingConfig
from giblet.report.systems import stimulus_noun


def trial_seconds(facts: Mapping) -> float | None:
    """Seconds that a run with ``max_trs`` used; None where nothing was left out by it.

    ``facts``: with ``t_r``, and ``n_trs`` and ``settings`` (a Config) if known.
    """
    settings = facts.get("settings")
    most = None if settings is None else settings.max_trs
    if most is None or facts.get("n_trs", most) < most:
        return None
    return most * facts["t_r"]


def trial_text(facts: Mapping) -> str:
    """The badge of a trial run; empty for a run of everything."""
    parts, settings = [], facts.get("settings")
    if (seconds := trial_seconds(facts)) is not None:
        parts.append(f"first {seconds:g} s of the {stimulus_noun(facts)}")
    usual = TrainingConfig.model_fields["max_epochs"].default
    if settings is not None and facts["film"] and settings.training.max_epochs < usual:
        n = settings.training.max_epochs
        parts.append(f"{n} epoch{'s' if n > 1 else ''} of training at most")
    return f"Trial: {'; '.join(parts)}" if parts else ""
