"""Feature types: the ways to write sound as features. What differs is an entry here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FeatureType:
    """One way to write sound as features.

    name
        In files, rules and tables: ``encoding_mode``, column ``path``.
    label
        In the report.
    row
        What a row of the features is.
    unit
        Of a value.
    settings
        Config keys that the features depend on; ``t_r`` does in all cases.
    vocoder
        What turns the features back into sound, as the report names it.
    """

    name: str
    label: str
    row: str
    unit: str
    settings: tuple[str, ...]
    vocoder: str


FEATURE_TYPES = {
    feature_type.name: feature_type
    for feature_type in (
        FeatureType(
            name="encodec",
            label="codes",
            row="codebook",
            unit="label",
            settings=("codec", "bandwidth_kbps", "framing"),
            vocoder="codec",
        ),
        FeatureType(
            name="mel",
            label="mel",
            row="band",
            unit="dB",
            settings=("mel",),
            vocoder="Griffin-Lim",
        ),
    )
}
