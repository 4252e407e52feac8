"""A text for a methods section: steps, settings and references."""

from collections.abc import Collection, Mapping
from pathlib import Path

from giblet.alignment.dataset import FEWEST_TRS
from giblet.audio.feature_types import FEATURE_TYPES
from giblet.audio.metrics.identify import clip_length
from giblet.audio.metrics.table import METRICS, segment_metrics
from giblet.brain.run_table import RUN_TABLE
from giblet.config.config import Config
from giblet.config.sections import DecodingConfig
from giblet.report.extras import training_start
from giblet.report.material import Material
from giblet.report.methods_details import (
    bottleneck_sizes,
    codec_rates,
    mel_settings,
    mixtures,
    network,
    optional_sentences,
    parts_done,
    reliable_voxels,
)
from giblet.report.page_text import isolated
from giblet.report.read_voxels import ReadVoxels
from giblet.report.systems import REFERENCE, feature_label, stimulus_name, stimulus_noun
from giblet.timing import tr_onsets

_CODECS = {"facebook/encodec": "Défossez et al., 2022", "descript/dac": "Kumar et al., 2023"}
_PREPROCESSING = {"fMRIPrep": "Esteban et al., 2019"}
_HRFS = {"spm": "SPM's", "glover": "Glover's"}
_ALIGNMENTS = {
    "procrustes": "by rotation of their voxels",
    "srm": "by a shared response model",
    "ridge": "by ridge regression to the mean of the others",
}
RIDGE = (
    "averaged over penalties and, with several bands, over mixtures of bands (banded ridge; Dupré "
    "la Tour et al., 2022), by their likelihood in folds of the training TRs and a prior against "
    "large shares of explained variance"
)
_FAMILY_WISE = (
    "Family-wise p-values are of the mean over subjects. Each null is a map of all subjects; at "
    "each place the mean of all maps, the observed one included, was subtracted, then divided by "
    "their deviation. p is the share of these maps whose maximum is at least as high; and, where "
    "places have neighbours, the same of threshold-free cluster enhancement (Smith and Nichols, "
    "2009). Means that are not above 0 have p = 1. These p-values do not generalise to other "
    "subjects."
)


def methods_text(
    facts: Mapping,
    models: Mapping[str, Mapping],
    scored: Collection[str] | None = None,
    done: Collection[str] = (),
) -> str:
    """A paragraph for a methods section, from ``facts`` and ``models``.

    ``facts``: as `giblet.report.page.render_page` has them, and ``settings`` (a Config) if known.
    ``models``: feature type → ``config.json`` of the model. ``scored``: names of the metrics that
    have a value, which alone are named; None: those that can be scored here. ``done``: of
    `giblet.report.methods_details.parts_done`.
    """
    settings = facts.get("settings")
    if facts["film"] is None:
        return " ".join([_of_scans_alone(facts), *_about_scans_alone(facts, settings)])
    what = isolated(stimulus_name(facts))
    if not facts.get("n_stimuli"):
        what = f"{stimulus_noun(facts)} {what}"
    sentences = [
        f"The sound of the {what} was reconstructed with {_giblet(facts)}.",
        f"Sound was coded by {_codec(facts)} at {facts['bandwidth_kbps']:g} kbit/s and, for "
        "comparison, as mel spectrograms that Griffin-Lim turned back into sound (Griffin and Lim, "
        f"1984). Sound was mono.{mel_settings(settings)}{_frames(facts, models)}",
        *_training(facts, models),
        *network(models, facts),
        *_scans(facts, scored),
        *(mixtures(settings, facts) if facts["has_bold"] else []),
        *_scoring(scored),
        *_against_nulls(facts),
        *optional_sentences(done, settings),
    ]
    return " ".join(sentences)


def methods_of(material: Material) -> str:
    """The methods text of a page."""
    models = material.extras.models
    return methods_text(material.facts, models, material.scored, parts_done(material))


def _giblet(facts: Mapping) -> str:
    version = facts.get("versions", {}).get("giblet", "")
    return f"giblet {version} (commit {facts.get('git_commit', '–')})"


def _codec(facts: Mapping) -> str:
    codec, revision = facts["codec"], facts.get("codec_revision", "–")
    if codec == "bundled":
        return f"giblet's own neural codec (revision {revision}{codec_rates(facts)})"
    cited = (f"; {who}" for start, who in _CODECS.items() if codec.startswith(start))
    return f"the codec {codec} (revision {revision}{codec_rates(facts)}{next(cited, '')})"


def _frames(facts: Mapping, models: Mapping[str, Mapping]) -> str:
    """Frames of a TR and numbers of its bottleneck, where the models' ``shapes`` say them."""
    parts, known = [], {one: m for one, m in models.items() if m.get("shapes")}
    for one, shapes in ((one, model["shapes"]) for one, model in known.items()):
        if one == REFERENCE:
            rows = f"{shapes['n_rows']} codes ({shapes['codebook_size']:,} entries per codebook)"
        else:
            rows = f"{shapes['n_rows']} {feature_label(one)} bands"
        parts.append(f"{shapes['frames_per_tr']} frames of {rows}")
    parts += bottleneck_sizes(known)
    return f" A TR of {facts['t_r']:g} s has {_joined(parts)}." if parts else ""


def _training(facts: Mapping, models: Mapping[str, Mapping]) -> list[str]:
    """The training data of the model, and where training started."""
    settings: Config | None = facts.get("settings")
    n_trs = ", ".join(
        f"{n} {name} ({tr_onsets(n + 1, facts['t_r'])[-1]:.0f} s)"
        for name, n in facts.get("parts", {}).items()
    )
    gap = f"; {settings.splits.gap_seconds:g} s left out between parts" if settings else ""
    starts = {training_start(m["started_from"]) for m in models.values() if m.get("started_from")}
    sentences = [
        f"An autoencoder of {_joined(facts.get('modalities', ['sound']))} was trained on TRs of "
        f"{facts['t_r']:g} s ({n_trs or '–'}{gap}; seed {facts.get('seed', '–')}), and scored only "
        "on test TRs."
    ]
    started = [f"Training started from {_joined(sorted(starts))}."] if starts else []
    return sentences + started


def _scoring(scored: Collection[str] | None) -> list[str]:
    """The scores of sound, with their references; nothing where there are none."""
    if scored is None:
        known = segment_metrics()
    else:
        known = [one for one in METRICS.values() if one.function and one.name in scored]
    names = [one.method or one.label for one in known if one.compared or one.method]
    if not names:
        return []
    return [
        f"Sound was scored in segments of up to 8 s by {_joined(names)}: means with 95 % "
        "percentile bootstrap intervals over segments, and sign-flip tests of paired differences "
        f"between {_joined([one.label for one in FEATURE_TYPES.values()])}."
    ]


def _scans(facts: Mapping, scored: Collection[str] | None) -> list[str]:
    """The BOLD data, and how the bottleneck was decoded from it."""
    if not facts["has_bold"]:
        return ["No scans were used."]
    settings: Config | None = facts.get("settings")
    noun = stimulus_noun(facts)
    kind = f"was SIMULATED from the {noun}, not measured" if facts["simulated"] else "was measured"
    if settings is not None and settings.scan.null:
        kind = "was replaced by noise of its spectrum, a control: scores should be at chance"
    n = len(facts.get("subjects", []))
    sentences = [f"BOLD of {n} subject{'s' if n != 1 else ''} {kind}."]
    if settings is None:
        return sentences
    decoding, placement = settings.decoding, settings.model.hrf_placement
    if settings.hrf_model in _HRFS:
        of = "the bottleneck" if placement == "bottleneck" else "the input of the encoders"
        sentences.append(
            f"The model predicts BOLD with {_HRFS[settings.hrf_model]} HRF applied to {of}."
        )
    return [
        sentences[0],
        *cleaning(settings, facts),
        *sentences[1:],
        f"The bottleneck was decoded from the BOLD of {_decoded(decoding, facts)}, at lags of "
        f"{decoding.first_lag_seconds:g} to {decoding.last_lag_seconds:g} s, by ridge regression "
        f"(one penalty per feature, the best on {_penalty_folds(settings)}), and "
        "compared with two nulls, BOLD of other moments (the mean over circular shifts of the test "
        "part of 16 s or more) and the mean volume, and with a retrieval baseline: for each TR, "
        "the sound of the training TR with the most similar BOLD.",
        *_together(settings, facts),
        "Identification: each decoded bottleneck, minus the training mean, was correlated across "
        "features with the true bottleneck at the same moment and at others. The score is the "
        "share of choices in which its own was the closest, among 2 TRs (chance .5) and among 10 "
        f"clips of {clip_length(decoding.clip_seconds, settings.t_r):g} s (chance .1), over all "
        f"ways to draw the others; p from {decoding.n_permutations:,} permutations of the clips, "
        "the same for all subjects.",
        "The decoded sound was identified in the same way, by its mel spectrogram.",
        *_by_predicted_bold(scored),
        *reliable_voxels(scored),
        *_of_maps(settings, facts),
    ]


def _of_maps(settings: Config, facts: Mapping) -> list[str]:
    """The maps of ISC and ridge, with the nulls of the results, or of the settings."""
    known = settings.quality.model_dump()
    known["n_shift_maps"] = min(known["n_shift_maps"], known["n_shifts"])
    nulls = known | facts.get("nulls", {})
    sentences = [
        f"BOLD was predicted from the {stimulus_noun(facts)} by ridge regression on held-out "
        f"{'stimuli' if settings.has_stimuli else 'blocks'}, {RIDGE}, with nulls of "
        f"{nulls['n_shifts']:,} circular shifts of BOLD within each fold, with random signs, to "
        "train and to test alike (with the weights of penalties kept), the same for all subjects "
        "and voxels, and inter-subject correlation (Nastase et al., 2019) with "
        f"{nulls['n_permutations']:,} phase-randomised nulls; q-values over voxels control the "
        "false discovery rate (Benjamini and Hochberg, 1995)."
    ]
    return sentences + _family_wise(nulls, len(facts.get("subjects", [])))


def _family_wise(nulls: Mapping[str, int], n_subjects: int) -> list[str]:
    """Of p corrected over the brain; of ridge with its number of nulls, where that is known."""
    n_maps = nulls.get("n_shift_maps")
    if n_maps == 0:
        none = ["Of ridge no family-wise p was computed."]
        return [*none, _FAMILY_WISE] if n_subjects > 1 else none
    known = (
        [f"Family-wise p of ridge are from the first {n_maps:,} of its nulls."] if n_maps else []
    )
    return [*known, _FAMILY_WISE]


def _together(settings: Config, facts: Mapping) -> list[str]:
    """The decoding of all subjects at once, of two subjects or more."""
    if len(facts.get("subjects", [])) < 2:
        return []
    alignment = settings.scan.alignment
    aligned = f"aligned {_ALIGNMENTS[alignment]}" if alignment in _ALIGNMENTS else "not aligned"
    return [
        "Subjects were also decoded together, from the mean of their BOLD; they were "
        f"{aligned}{', fitted on training TRs alone' if alignment in _ALIGNMENTS else ''}."
    ]


def _by_predicted_bold(scored: Collection[str] | None) -> list[str]:
    if scored is None or "identification_bold_10way" not in scored:
        return []
    return [
        "Clips were also identified by the correlation of the scans' BOLD with the BOLD that the "
        "model, ridge and banded ridge predict."
    ]


def _decoded(decoding: DecodingConfig, facts: Mapping) -> str:
    """The voxels that the decoder reads, with their number where it is known."""
    read: ReadVoxels | None = facts.get("voxels_read")
    noun = "voxels" if read is None else read.noun
    number = "" if read is None else f"{len(read.columns):,} "
    if decoding.region:
        return f"the {number}{noun} of the region {decoding.region}"
    if len(facts.get("subjects", [])) == 1 or (read is not None and not read.rule):
        return f"all {number}{noun}"
    share = f"{100 * decoding.voxel_share:g} %"
    chosen = f"the {share} of {noun}" if read is None else f"the {number}{noun} ({share})"
    return f"{chosen} with the highest inter-subject correlation in training TRs"


def _preprocessing(facts: Mapping) -> list[str]:
    """What the data set's own description says; nothing of simulated brains."""
    made_by = facts.get("preprocessing", "")
    if not made_by or facts["simulated"]:
        return []
    cited = [work for name, work in _PREPROCESSING.items() if name.lower() in made_by.lower()]
    works = f" ({'; '.join(cited)})" if cited else ""
    return [f"The scans were preprocessed with {made_by}{works}."]


def _kept(settings: Config, facts: Mapping) -> str:
    """The number of voxels of the scans, and of those that were kept; empty if nothing is known."""
    read: ReadVoxels | None = facts.get("voxels_read")
    rule = "the highest inter-subject correlation in training TRs"
    if read is not None:
        kept = f", of which the {read.n_kept:,} with {rule} were kept"
        dropped = read.n_kept < read.n_scanned
        return f"The scans had {read.n_scanned:,} {read.noun}{kept if dropped else ''}."
    if settings.max_voxels is None or settings.scan.parcellation:
        return ""
    return (
        f"No more than {settings.max_voxels:,} voxels were kept, those with {rule}, where there "
        "were several subjects."
    )


def cleaning(settings: Config, facts: Mapping, for_training: bool = True) -> list[str]:
    """The processing of the scans before anything is computed from them."""
    scan = settings.scan
    regressed = ["a linear trend"]
    if scan.high_pass_hz is not None:
        regressed.append(f"cosines below {scan.high_pass_hz:g} Hz")
    if scan.confound_strategy:
        regressed.append(
            f"the confounds of nilearn's strategy {_joined(list(scan.confound_strategy))}"
        )
    elif scan.confounds is None:
        in_table = RUN_TABLE.fits(Path(settings.bold))
        regressed.append("the table's confounds" if in_table else "six motion parameters")
    elif scan.confounds:
        regressed.append(f"the confounds {_joined(list(scan.confounds))}")
    nilearn = f"nilearn {facts.get('versions', {}).get('nilearn', '')}".strip()
    sentences = [
        *_preprocessing(facts),
        "Volumes before the steady state were dropped, and from each run "
        f"{_joined(regressed)} were regressed out with {nilearn} (Abraham et al., 2014).",
    ]
    if scan.parcellation:
        atlas = Path(scan.parcellation).name
        sentences.append(f"Their values were averaged within the parcels of the atlas {atlas}.")
    if for_training and (kept := _kept(settings, facts)):
        sentences.append(kept)
    if scan.lag_seconds:
        sentences.append(f"The scans were shifted by {scan.lag_seconds:g} s in time.")
    if for_training:
        sentences.append(
            "For training and decoding BOLD was z-scored by run, with mean and standard deviation "
            f"of training TRs alone; a run with fewer than {FEWEST_TRS} of them took the scale of "
            "all training TRs."
        )
    return sentences


def _penalty_folds(settings: Config) -> str:
    """The folds of training TRs on which the decoder's penalties are chosen."""
    if settings.has_stimuli:
        return f"folds of whole training stimuli with a gap of {settings.splits.gap_seconds:g} s"
    return "five contiguous folds of the training TRs"


def _against_nulls(facts: Mapping) -> list[str]:
    """The test of decoded sound against the null."""
    if not facts["has_bold"]:
        return []
    metrics = [one.method or one.label for one in METRICS.values() if one.against_null]
    names = [name.partition(" (")[0] for name in metrics]
    return [
        "Scores of the brain were averaged over subjects before moments were resampled; decoded "
        f"sound was compared with the shuffled null by sign-flip tests of {_joined(names)}, "
        "paired by segment, with Holm's correction."
    ]


def _of_scans_alone(facts: Mapping) -> str:
    names, n_subjects = facts.get("modalities", []), len(facts.get("subjects", []))
    nulls = facts.get("nulls", {})

    def number(name: str) -> str:  # unknown of an older file
        return f"{nulls[name]:,} " if name in nulls else ""

    done = []
    if n_subjects > 1:
        done.append(
            "leave-one-out inter-subject correlation (Nastase et al., 2019) with "
            f"{number('n_permutations')}phase-randomised nulls, and its noise ceiling"
        )
    if names:
        done.append(
            f"ridge regression from {_joined(names)} on held-out TRs, {RIDGE}, with "
            f"{number('n_shifts')}circular shifts of BOLD within folds, with random signs, the "
            "same for all subjects and voxels, as nulls"
        )
    whose = f"{n_subjects} subject{'s' * (n_subjects != 1)}"
    sentences = [
        f"Scans of {whose} (TR {facts['t_r']:g} s, {facts.get('n_trs', '–')} TRs "
        f"that all have) were described with {_giblet(facts)}{': ' * bool(done)}{'; '.join(done)}.",
        *(_family_wise(nulls, n_subjects) if done else []),
        "No film was given: no sound was coded or decoded.",
    ]
    return " ".join(sentences)


def _about_scans_alone(facts: Mapping, settings: Config | None) -> list[str]:
    """The cleaning of scans without a film, and the correction over voxels."""
    n_subjects, names = len(facts.get("subjects", [])), facts.get("modalities", [])
    q = [
        "q-values over voxels control the false discovery rate (Benjamini and Hochberg, 1995), of "
        "p at each voxel from the same nulls."
    ]
    q = q if names or n_subjects > 1 else []
    if settings is None:
        return q
    read: ReadVoxels | None = facts.get("voxels_read")
    some = []
    if names and n_subjects > 1 and read is not None and read.n_kept < read.n_scanned:
        some = [
            f"Ridge was fitted to the {read.n_kept:,} {read.noun} with the highest inter-subject "
            "correlation."
        ]
    return [*q, *mixtures(settings, facts), *cleaning(settings, facts, for_training=False), *some]


def _joined(names: list[str]) -> str:
    """
    >>> _joined(["sound"]), _joined(["sound", "video", "words"])
    ('sound', 'sound, video and words')
    """
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
