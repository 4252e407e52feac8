"""Modalities: what a film offers to the model. One entry each, in the order of the bottleneck."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Modality:
    """One modality of a film.

    name
        Of its variable in array sets, its encoder, decoder and loss.
    label
        In the report.
    """

    name: str
    label: str


MODALITIES = {
    modality.name: modality
    for modality in (
        Modality(name="audio", label="sound"),
        Modality(name="video", label="pictures"),
        Modality(name="text", label="words"),
    )
}
