"""A text for a methods section: what was done, with its settings, and whom to cite."""

from collections.abc import Mapping

from giblet.config.config import Config
from giblet.report.extras import where_training_began

REFERENCES = {
    "Défossez et al., 2022": "Défossez A, Copet J, Synnaeve G, Adi Y (2022). High fidelity neural "
    "audio compression. arXiv:2210.13438.",
    "Kumar et al., 2023": "Kumar R, Seetharaman P, Luebs A, Kumar I, Kumar K (2023). High-fidelity "
    "audio compression with improved RVQGAN. arXiv:2306.06546.",
    "Griffin and Lim, 1984": "Griffin D, Lim J (1984). Signal estimation from modified short-time "
    "Fourier transform. IEEE Trans. Acoust. Speech Signal Process. 32, 236–243.",
    "Dupré la Tour et al., 2022": "Dupré la Tour T, Eickenberg M, Nunez-Elizalde AO, Gallant JL "
    "(2022). Feature-space selection with banded ridge regression. NeuroImage 264, 119728.",
    "Nastase et al., 2019": "Nastase SA, Gazzola V, Hasson U, Keysers C (2019). Measuring shared "
    "responses across subjects using intersubject correlation. Soc. Cogn. Affect. Neurosci. 14, "
    "667–685.",
    "ITU-T P.862.2": "ITU-T (2007). Recommendation P.862.2: Wideband extension to Recommendation "
    "P.862 for the assessment of wideband telephone networks and speech codecs.",
    "Taal et al., 2011": "Taal CH, Hendriks RC, Heusdens R, Jensen J (2011). An algorithm for "
    "intelligibility prediction of time-frequency weighted noisy speech. IEEE Trans. Audio Speech "
    "Lang. Process. 19, 2125–2136.",
    "Le Roux et al., 2019": "Le Roux J, Wisdom S, Erdogan H, Hershey JR (2019). SDR – half-baked "
    "or well done? ICASSP 2019, 626–630.",
}
_CODECS = {"facebook/encodec": "Défossez et al., 2022", "descript/dac": "Kumar et al., 2023"}
_HRFS = {"spm": "SPM's", "glover": "Glover's"}


def methods_text(facts: Mapping, models: Mapping[str, Mapping]) -> str:
    """A paragraph to paste in a methods section, with what ``facts`` and ``models`` know.

    ``facts``: as `giblet.report.page.render_page` has them, and ``settings`` (a Config) if known.
    ``models``: path → what the model's ``config.json`` says.
    """
    if facts["film"] is None:
        return _of_scans_alone(facts)
    sentences = [
        f"The sound of the film {facts['film']} was reconstructed with {_giblet(facts)}.",
        f"Sound was coded by {_codec(facts)} at {facts['bandwidth_kbps']:g} kbit/s and, for "
        "comparison, as mel spectrograms that Griffin-Lim turned back into sound (Griffin and Lim, "
        "1984).",
        *_training(facts, models),
        *_scans(facts),
        "Sound was scored in segments of up to 8 s by wide-band PESQ (ITU-T P.862.2), STOI (Taal "
        "et al., 2011), SI-SDR (Le Roux et al., 2019) and log-mel distance: means with 95 % "
        "percentile bootstrap intervals, and sign-flip tests of paired differences between paths.",
    ]
    return " ".join(sentences)


def references(text: str) -> list[str]:
    """The works that a methods text names, in full, by name.

    >>> references("Sound was scored by STOI (Taal et al., 2011).")[0][:14]
    'Taal CH, Hendr'
    """
    return sorted(full for name, full in REFERENCES.items() if name in text)


def _giblet(facts: Mapping) -> str:
    version = facts.get("versions", {}).get("giblet", "")
    return f"giblet {version} (commit {facts.get('git_commit', '–')})"


def _codec(facts: Mapping) -> str:
    codec, revision = facts["codec"], facts.get("codec_revision", "–")
    if codec == "bundled":
        return f"giblet's own neural codec (revision {revision})"
    cited = (f"; {who}" for start, who in _CODECS.items() if codec.startswith(start))
    return f"the codec {codec} (revision {revision}{next(cited, '')})"


def _training(facts: Mapping, models: Mapping[str, Mapping]) -> list[str]:
    """On what the model was trained, and from where."""
    settings: Config | None = facts.get("settings")
    n_trs = ", ".join(f"{n} {name}" for name, n in facts.get("parts", {}).items())
    gap = f"; {settings.splits.gap_seconds:g} s left out between parts" if settings else ""
    began = [where_training_began(model["started_from"]) for model in _known(models)]
    said = [
        f"An autoencoder of {_joined(facts.get('modalities', ['sound']))} was trained on TRs of "
        f"{facts['t_r']:g} s ({n_trs or '–'}{gap}; seed {facts.get('seed', '–')}), and scored on "
        "test TRs alone."
    ]
    return [*said, f"Training began from {_joined(sorted(set(began)))}."] if began else said


def _known(models: Mapping[str, Mapping]) -> list[Mapping]:
    return [model for model in models.values() if model.get("started_from")]


def _scans(facts: Mapping) -> list[str]:
    """Whose BOLD it was, and how the bottleneck was read from it."""
    if not facts["has_bold"]:
        return ["No scans were used."]
    kind = "was SIMULATED from the film, not measured" if facts["simulated"] else "was measured"
    said = [f"BOLD of {len(facts.get('subjects', []))} subjects {kind}."]
    settings: Config | None = facts.get("settings")
    if settings is None:
        return said
    decoding, placement = settings.decoding, settings.model.hrf_placement
    if settings.hrf_model in _HRFS:
        of = "the bottleneck" if placement == "bottleneck" else "what the encoders see"
        said.append(
            f"The model predicts BOLD with {_HRFS[settings.hrf_model]} HRF applied to {of}."
        )
    voxels = (
        f"all voxels of the region {decoding.region}"
        if decoding.region
        else f"the {100 * decoding.voxel_share:g} % of voxels in which subjects agree most in "
        "training TRs"
    )
    return [
        *said,
        f"Back from BOLD, the bottleneck was decoded from {voxels}, "
        f"{decoding.first_lag_seconds:g} to {decoding.last_lag_seconds:g} s later, by ridge "
        "regression (Dupré la Tour et al., 2022), beside three nulls: BOLD of other moments, the "
        "mean volume, and the training sound with the most similar BOLD.",
        "Decoded bottlenecks were identified among those of 2 TRs, and of 10 clips of "
        f"{decoding.clip_seconds:g} s (p from {decoding.n_permutations:,} other orders of the "
        "clips).",
    ]


def _of_scans_alone(facts: Mapping) -> str:
    names = facts.get("modalities", [])
    ridge = (
        f"; ridge regression (Dupré la Tour et al., 2022) from {_joined(names)} on held-out TRs"
        if names
        else ""
    )
    sentences = [
        f"Scans of {len(facts.get('subjects', []))} subjects (TR {facts['t_r']:g} s, "
        f"{facts.get('n_trs', '–')} TRs that all have) were described with {_giblet(facts)}: "
        "leave-one-out inter-subject correlation (Nastase et al., 2019) with phase-randomised "
        f"nulls, and its noise ceiling{ridge}.",
        "No film was given: no sound was coded or decoded.",
    ]
    return " ".join(sentences)


def _joined(names: list[str]) -> str:
    """
    >>> _joined(["sound"]), _joined(["sound", "pictures", "words"])
    ('sound', 'sound, pictures and words')
    """
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
