"""Sentences of the methods text that not every run has: the network, and optional rules."""

from collections.abc import Collection, Mapping

from giblet.autoencoder.bottleneck import count_slots
from giblet.config.config import Config
from giblet.film.modalities import MODALITIES
from giblet.report.material import Material
from giblet.report.systems import YARDSTICKS, feature_label

WEIGHTS = {  # of a model's ``training``: the loss
    "audio_weight": "codes or mel",
    "sound_weight": "sound as it is heard",
    "video_weight": "video",
    "text_weight": "words",
    "bold_weight": "BOLD",
}
_OF_SOUND = ("audio_weight", "sound_weight")
_OPTIONAL = {
    "yardsticks": "As yardsticks the original itself was scored: in noise of its spectrum (10 and "
    "0 dB), and of half the test part later.",
    "matched": "Mel was also scored at the codec's bitrate, rounded to a few levels.",
    "lesions": "Virtual lesions: the voxels of a region, all others, or as many at random "
    "({lesion.n_draws} draws) were set to zero before decoding.",
    "searchlight": "Searchlight: clips were identified from each region, parcel or sphere by a "
    "ridge of its own; nulls are circular shifts of what was decoded, the same for all places, and "
    "their maximum corrects p for the number of places.",
    "levels": "Levels: ridge predicted BOLD from each level of the stimulus (codebook, layer, "
    "words); scores are r, the variance that the level alone explains, and clips identified, each "
    "with circular shifts as nulls.",
    "left_out": "Leave-one-out: each subject in turn was left out of training the network, and "
    "then decoded with it.",
    "calibration": "Calibration: each subject in turn was decoded by the others' decoder, after "
    "an alignment to their common space that was fitted on some minutes of that subject's training "
    "part.",
    "prior": "Anchored prior: clips of {prior.window_seconds:g} s were retrieved from a bank by "
    "the decoded slow part of the bottleneck, and refined by a small model with strengths from 0 "
    "(the retrieved clip) to 1 (free); novelty is 1 minus the correlation of mel levels with the "
    "most similar clip of the bank.",
}  # part of the page: sentence, with values of the settings


def parts_done(material: Material) -> set[str]:
    """The optional parts, keys of the sentences, that the results have."""
    extras, scores = material.extras, material.scores
    parts = {
        "yardsticks": "column" in scores and scores["column"].isin(YARDSTICKS).any(),
        "matched": extras.matched is not None and len(extras.matched),
        "lesions": extras.lesions,
        "searchlight": extras.searchlight is not None,
        "levels": extras.levels is not None,
        "left_out": extras.left_out,
        "calibration": extras.calibration is not None,
        "prior": extras.prior is not None,
    }
    return {name for name, there in parts.items() if there}


def optional_sentences(done: Collection[str], settings: Config | None) -> list[str]:
    """A sentence for each part of ``done``; without settings none that has values of them."""
    texts = [text for name, text in _OPTIONAL.items() if name in done]
    if settings is None:
        return [text for text in texts if "{" not in text]
    return [text.format_map(dict(settings)) for text in texts]


def codec_rates(facts: Mapping) -> str:
    """Sample rate and frame rate of the codec, where they are known.

    >>> codec_rates({"codec": "bundled", "sample_rate": 24000, "frame_rate": 75.0})
    ', 24 kHz, 75 frames/s'
    """
    if facts["codec"] == "none" or "sample_rate" not in facts:
        return ""
    return f", {facts['sample_rate'] / 1000:g} kHz, {facts['frame_rate']:g} frames/s"


def mel_settings(settings: Config | None) -> str:
    """Bands, window and hop of mel spectrograms, as a sentence after a space."""
    if settings is None:
        return ""
    mel = settings.mel
    return (
        f" Mel spectrograms had {mel.n_mels} bands, and windows of {mel.n_fft:,} samples every "
        f"{mel.hop_length}; Griffin-Lim had {mel.n_iter} iterations."
    )


def bottleneck_sizes(models: Mapping[str, Mapping]) -> list[str]:
    """Numbers of the bottleneck of a TR, of all feature types or of each.

    >>> model = {"layout": "slots", "slot_frames": 7, "slot_dim": 128}
    >>> model["hrf_placement"] = "bottleneck"
    >>> frames = {"encodec": 112, "mel": 140}
    >>> made = {k: {"model": model, "shapes": {"frames_per_tr": n}} for k, n in frames.items()}
    >>> bottleneck_sizes(made)
    ['a bottleneck of 2,048 numbers (codes) and 2,560 (mel)']
    """
    sizes = {one: _bottleneck_size(model) for one, model in models.items() if "model" in model}
    if not sizes:
        return []
    if len(set(sizes.values())) == 1:
        return [f"a bottleneck of {next(iter(sizes.values())):,} numbers"]
    first, *others = [(f"{n:,}", feature_label(one)) for one, n in sizes.items()]
    rest = "".join(f" and {n} ({label})" for n, label in others)
    return [f"a bottleneck of {first[0]} numbers ({first[1]}){rest}"]


def _bottleneck_size(model: Mapping) -> int:
    """As `Autoencoder.bottleneck_dim`, of a model's ``config.json``."""
    own, shapes = model["model"], model["shapes"]
    if own.get("layout") != "slots":
        return own["bottleneck_dim"]
    others = [] if own["hrf_placement"] == "inputs" else shapes.get("others", [])
    width = own["slot_dim"] + sum(
        own.get(f"slot_{name}", MODALITIES[name].slot_width) for name, _ in others
    )
    return count_slots(shapes["frames_per_tr"], own["slot_frames"]) * width


def network(models: Mapping[str, Mapping], facts: Mapping) -> list[str]:
    """How the network was trained: optimiser, epochs that were kept, weights of the losses."""
    trained = {one: model for one, model in models.items() if model.get("training")}
    if not trained:
        return []
    own = next(iter(trained.values()))["training"]
    stopped = f"stopped after {own['patience']} without a better validation loss"
    sentences = [
        f"Training used AdamW (learning rate {own['learning_rate']:g}, weight decay "
        f"{own['weight_decay']:g}, {own['schedule']} schedule, windows of {own['window_trs']} TRs) "
        f"for at most {own['max_epochs']} epochs, {stopped}."
    ]
    kept = [
        f"{model['best_epoch'] + 1} ({feature_label(one)})"
        for one, model in trained.items()
        if model.get("best_epoch") is not None
    ]
    if kept:
        sentences.append(f"The epoch with the lowest validation loss was kept: {', '.join(kept)}.")
    there = {*facts.get("modalities", ["video", "words"]), *["BOLD"] * facts["has_bold"]}
    used = {name: text for name, text in WEIGHTS.items() if text in there or name in _OF_SOUND}
    weights = [f"{label} {own[name]:g}" for name, label in used.items() if own.get(name)]
    learned = ", times learned weights" if own.get("balance") == "uncertainty" else ""
    sentences.append(
        "Each loss was divided by that of predicting the training mean (of sound as it is heard, "
        f"by that of silence); the weights were: {', '.join(weights)}{learned}."
    )
    return sentences


def reliable_voxels(scored: Collection[str] | None) -> list[str]:
    """What reliable voxels are, where they were scored."""
    if scored is None or "bold_r_reliable" not in scored:
        return []
    return [
        "Reliable voxels are the 5 % with the highest inter-subject correlation in training TRs."
    ]


def mixtures(settings: Config | None, facts: Mapping) -> list[str]:
    """The mixtures of bands that banded ridge tried, where there are several bands."""
    if settings is None or len(facts.get("modalities", [])) < 2:
        return []
    return [
        f"Banded ridge tried about {settings.quality.n_iter} fixed mixtures, in which each band in "
        "turn has a larger or a smaller share than the others."
    ]
