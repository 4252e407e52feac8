"""Tables of a report that only some data sets have, as rows of text."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch

from giblet.alignment.dataset import FilmData
from giblet.audio.metrics.table import METRICS, metric_of
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.inference import bottlenecks
from giblet.music.note_metrics import SCORE_METRICS
from giblet.music.notes import Notes
from giblet.report.page_text import isolated
from giblet.report.scan_quality import BANDS, region_rows, spread_note
from giblet.report.segments import Scores
from giblet.report.systems import FEATURE_LABELS, feature_label
from giblet.report.tables import in_order, number

MOST_SHOWN = 40  # runs with other seconds of film, and held-out stimuli
DECODERS = {  # of lesions; older tables do not have it
    "subjects": "",
    "group": ", all subjects decoded together",
    "others": ", subjects decoded by the others' decoder",
}
LOSSES = ("loss", "train", "validation", "gradient_share", "baseline")


@dataclass(frozen=True)
class MusicResults:
    """What ``reconstruct_score`` made: notes and sounds (n_samples,) by column, and its tables.

    by_piece : of ``giblet.evaluation.piece_scores``; None where there are not several
    """

    notes: Mapping[str, Notes]
    sounds: Mapping[str, np.ndarray]
    sample_rate: float
    scores: pd.DataFrame
    by_piece: pd.DataFrame | None = None


@dataclass(frozen=True)
class Extras:
    """Optional material of the page.

    segments : of ``giblet.report.segments.score_segments``
    matched : rows of the score table for mel at the codec's bitrate
    summaries : feature type → table ``loss train validation gradient_share baseline``
    models : feature type → ``config.json`` of the model
    codebooks : of ``giblet.report.extras.codebook_table``
    regions : of ``giblet.report.scan_quality.shown_regions``
    atlas : region → its voxels, (n_voxels,) bool
    atlas_name, atlas_note : of `giblet.report.region_names.RegionNames`
    lesions : feature type → table of ``giblet.evaluation.lesions.change_rows``
    baselines : of ``giblet.evaluation.moments.difference_rows``, of every feature type; None where
        the results have none
    by_subject : of `giblet.evaluation.moments.subject_table`, of every feature type; None where
        the results have none
    permutations : of `giblet.evaluation.permuted_clips.null_table`, of every feature type; None
        where the results have none
    left_out : feature type → table of ``giblet.evaluation.leave_one_out.leave_one_out``
    calibration : of ``giblet.evaluation.calibration``; None where it was not run
    prior : of `giblet.evaluation.anchored_prior.curve_table`; None where it was not run
    searchlight : of ``giblet.evaluation.searchlight``; None where it was not run
    identified : feature type → table of ``giblet.evaluation.stimulus_identification``
    folds : of ``giblet.evaluation.fold_scores.join_folds``
    times : ``rule seconds cpu_seconds megabytes``
    timeline : table with a row a TR, see ``giblet.report.timeline``
    missing : of ``giblet.report.timeline.missing_volumes``
    shown : of ``giblet.alignment.showings.shown_by_run``
    clusters : of ``giblet.evaluation.group_maps.cluster_table``
    music : of ``reconstruct_score``, see `MusicResults`
    kept : columns of the scans that training and decoding choose from, (n_kept,) int
    levels : of `giblet.evaluation.level_scores.level_profile`; None where ``codec_ladder`` did not
        run
    figures : folder of the files of figures, as the page links to it; empty where there is none
    links : name of a file of ``giblet.report.downloads`` → the page's link to it, of written ones
    sound_links : feature type → (column, link) of each sound file that exists
    """

    segments: Scores = field(default_factory=dict)
    matched: pd.DataFrame | None = None
    summaries: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    models: Mapping[str, Mapping] = field(default_factory=dict)
    codebooks: pd.DataFrame | None = None
    regions: pd.DataFrame | None = None
    atlas: Mapping[str, np.ndarray] = field(default_factory=dict)
    atlas_name: str = ""
    atlas_note: str = ""
    lesions: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    baselines: pd.DataFrame | None = None
    by_subject: pd.DataFrame | None = None
    permutations: pd.DataFrame | None = None
    left_out: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    calibration: pd.DataFrame | None = None
    prior: pd.DataFrame | None = None
    searchlight: pd.DataFrame | None = None
    identified: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    folds: pd.DataFrame | None = None
    times: pd.DataFrame | None = None
    timeline: pd.DataFrame | None = None
    missing: pd.DataFrame | None = None
    shown: pd.DataFrame | None = None
    clusters: pd.DataFrame | None = None
    music: MusicResults | None = None
    kept: np.ndarray | None = None
    levels: pd.DataFrame | None = None
    figures: str = ""
    links: Mapping[str, str] = field(default_factory=dict)
    sound_links: Mapping[str, list[tuple[str, str]]] = field(default_factory=dict)


@dataclass(frozen=True)
class TextTable:
    """A table as printed: the first cell of a row is its heading."""

    caption: str
    header: list[str]
    rows: list[list[str]]


def trained(extras: Extras, history: Mapping[str, pd.DataFrame]) -> list[str]:
    """The start of training and the epoch that was kept, a sentence per feature type.

    ``history``: feature type → table with ``epoch``, from 0; here epochs count from 1, as in the
    log.
    """
    return [
        f"{feature_label(one).capitalize()}: {text}."
        for one in in_order(extras.models, FEATURE_LABELS)
        if (text := "; ".join(_trained(extras.models[one], history.get(one))))
    ]


def _trained(model: Mapping, history: pd.DataFrame | None) -> list[str]:
    start, best = model.get("started_from"), model.get("best_epoch")
    parts = [f"training started from {training_start(start)}"] if start else []
    if best is None:
        return parts
    of = "" if history is None else f" of {history['epoch'].nunique()}"
    parts.append(f"the model of epoch {best + 1}{of} was kept, the best in validation")
    if best == 0 and start and start != "none":
        parts.append("the output mostly reflects the model that training started from")
    return parts


def training_start(start: str) -> str:
    """``started_from`` of a model's ``config.json`` in words.

    >>> training_start("none")
    'random weights'
    """
    names = {"none": "random weights", "bundled": "the sound part of the bundled model"}
    name = names.get(start, f"the sound part of {start}")
    return name + (", which was trained on other sounds" if start == "bundled" else "")


def training_tables(extras: Extras) -> list[TextTable]:
    """Losses by modality, one table per feature type, then codebooks."""
    tables = [
        TextTable(
            f"Losses at the best epoch, {feature_label(one)}",
            ["Loss", "Training", "Validation", "Share of gradient", "Loss of predicting the mean"],
            _rows(extras.summaries[one], dict.fromkeys(LOSSES, 3)),
        )
        for one in in_order(extras.summaries, FEATURE_LABELS)
    ]
    if extras.codebooks is not None:
        header = ["Codebook", "Share in use", "Perplexity", "Accuracy", "Majority-code accuracy"]
        decimals = {"codebook": 0, "used": 3, "perplexity": 1, "accuracy": 3, "most_common": 3}
        caption = "Codebooks: use in all sound, accuracy in held-out TRs"
        tables.append(TextTable(caption, header, _rows(extras.codebooks, decimals)))
    return tables


def brain_tables(extras: Extras, simulated: bool) -> list[TextTable]:
    """Regions, lesions, subjects left out of training, and stimuli that were identified."""
    kind, tables = " (simulated brains)" if simulated else "", []
    if extras.regions is not None and len(extras.regions):
        numbers = "; a number is a label, or a column of the table from 0"
        of_names = numbers if extras.regions["Region"].str.isdigit().any() else ""
        by_atlas = f" of {isolated(extras.atlas_name)}" * bool(extras.atlas_name)
        rows = region_rows(extras.regions)
        caption = f"Regions{by_atlas}{kind}{of_names}{spread_note(rows)}"
        tables.append(TextTable(caption, list(extras.regions.columns), rows))
    for one in in_order(extras.lesions, FEATURE_LABELS):
        table = extras.lesions[one]
        whose = DECODERS[table["decoder"].iloc[0]] if "decoder" in table else ""
        caption = f"Lesions: regions zeroed{whose}, {feature_label(one)}{kind}"
        tables.append(TextTable(caption, *_lesions(table)))
    for one in in_order(extras.left_out, FEATURE_LABELS):
        caption = f"Subjects left out of training, {feature_label(one)}{kind}"
        tables.append(TextTable(caption, *_left_out(extras.left_out[one])))
    if extras.folds is not None:
        n_folds = int(extras.folds["n_folds"].max())
        caption = (
            f"All seconds, each held out in one of {n_folds} folds{kind}; 95 % intervals over folds"
        )
        tables.append(TextTable(caption, *_folds(extras.folds)))
    for one in in_order(extras.identified, FEATURE_LABELS):
        if len(table := extras.identified[one]):
            caption = (
                f"Held-out stimuli, one of {len(table) - 1}, by {feature_label(one)}{kind}. 95 % "
                "intervals: of a stimulus over stretches of 16 s, of all over stimuli"
            ) + rest_note(len(table) - 1, MOST_SHOWN, f"identified/{one}.tsv")
            shown = pd.concat([table[:-1][:MOST_SHOWN], table[-1:]])  # the last is of all
            tables.append(TextTable(caption, *_identified(shown)))
    return tables


def rest_note(n: int, most: int, file: str) -> str:
    """The end of a caption of a table of the first ``most`` of ``n`` rows; ``file`` has them all.

    >>> rest_note(40, 40, "a.tsv"), rest_note(1000, 40, "a.tsv")
    ('', '. The first 40; 960 more are in a.tsv')
    """
    return f". The first {most}; {n - most:,} more are in {file}" if n > most else ""


def shown_table(
    shown: pd.DataFrame | None, simulated: bool, used_seconds: float | None = None
) -> TextTable | None:
    """The seconds of film that each run showed, and to whom; None where they are unknown.

    ``shown``: of `giblet.alignment.showings.shown_by_run`; ``used_seconds``: of film that a trial
    run used, of `giblet.report.trial.trial_seconds`.
    """
    if shown is None or shown.empty:
        return None
    header = ["Run", "From (s of film)", "To", "Volumes", "Subjects"]
    rows = [
        [row.run, number(row.begin, 1), number(row.end, 1), f"{row.n_volumes:,}", row.subjects]
        for row in shown[:MOST_SHOWN].itertuples()
    ]
    more = len(shown) - MOST_SHOWN
    rest = f"; the first {MOST_SHOWN}, {more:,} more are not listed" if more > 0 else ""
    kind = " (simulated scans)" if simulated else ""
    if used_seconds is not None:
        rest += f". Only the first {used_seconds:g} s of film were used (max_trs)"
    return TextTable(f"Film that each run showed{kind}{rest}", header, rows)


def times_table(extras: Extras) -> TextTable | None:
    """Seconds and memory of each rule of the workflow."""
    if extras.times is None or extras.times.empty:
        return None
    header = ["Rule", "Seconds", "Processor seconds", "Memory (MB)"]
    decimals = {"rule": 0, "seconds": 1, "cpu_seconds": 1, "megabytes": 0}
    return TextTable("Time and memory of each rule", header, _rows(extras.times, decimals))


def _lesions(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    header = ["Region", "Mode", "Metric", "Voxels", "Intact", "Value", "Change"]
    shown = table[~table["metric"].isin(SCORE_METRICS)]
    rows = [
        [row.region, row.mode, metric_of(row.metric).heading, number(row.n_voxels, 0)]
        + [number(x, metric_of(row.metric).decimals) for x in (row.intact, row.value)]
        + [_interval(row.change, row.low, row.high, row.metric)]
        for row in shown.itertuples()
    ]
    if "lowest" not in table or (table["lowest"] == table["highest"]).all():  # one subject, or old
        return header, rows
    for row, single in zip(rows, shown.itertuples(), strict=True):
        decimals = metric_of(single.metric).decimals
        row.append(" to ".join(number(x, decimals) for x in (single.lowest, single.highest)))
    return [*header, "Change: lowest to highest subject"], rows


def _left_out(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    header = ["Subject", "Metric", "In training", "Left out", "Shuffled BOLD", "Difference"]
    by_others = {"others": "Decoder of others", "others_shuffled": "Of others, shuffled"}
    more = [name for name in by_others if name in table]  # older tables have none
    rows = [
        [row["subject"], metric_of(row["metric"]).heading]
        + [
            number(row[name], metric_of(row["metric"]).decimals)
            for name in ("within", "left_out", "shuffled")
        ]
        + [_interval(row["difference"], row["low"], row["high"], row["metric"])]
        + [number(row[name], metric_of(row["metric"]).decimals) for name in more]
        for row in table.to_dict("records")
    ]
    header += [by_others[name] for name in more]
    return header, rows


def _folds(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Scores with an interval over folds: of a network trained in each, and of film features."""
    header = ["Feature type, or features of the stimulus", "Column", "Metric", "Mean over folds"]
    header += ["Minus its null", "n"]
    shown = table[table["column"] != "brain_shuffled"]
    rows = []
    for row in shown.itertuples():
        metric = METRICS.get(row.metric)
        heading = "Correlation over TRs" if metric is None else metric.heading
        values = (row.value, row.low, row.high), (row.above_null, row.above_low, row.above_high)
        value, above = (
            f"{a} [{b}, {c}]" for a, b, c in ([number(x, 3) for x in v] for v in values)
        )
        above = "" if pd.isna(row.above_null) else above
        space = row.path.removeprefix("features_")
        path = row.path if space == row.path else f"features: {BANDS.get(space, space)}"
        rows.append([path, row.column, heading, value, above, number(row.n, 0)])
    return header, rows


def _identified(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """A row for each stimulus. Tables of an older giblet have no correlations and intervals."""
    header = ["Stimulus", "Brain is closest to", "Share of subjects in whom it is the true one"]
    header += ["Chance", "Closer than this share of the others (chance .5)"]
    header += ["Correlation r", "r of the brain at other stimuli"] * ("r" in table)
    rows = [
        [row["stimulus"], "" if pd.isna(row["closest"]) else row["closest"]]
        + [number(row[name], 3) for name in ("identified", "chance")]
        + [_with_ends(row, "better_than", "better")]
        + ([_with_ends(row, "r", "r"), number(row["r_others"], 3)] if "r" in row else [])
        + ["" if pd.isna(row["p"]) else number(row["p"], 3)]
        for row in table.to_dict("records")
    ]
    return [*header, "p"], rows


def _with_ends(row: Mapping, name: str, short: str) -> str:
    """A value and its interval; the value alone where there is none."""
    ends = [row.get(f"{short}_{end}", np.nan) for end in ("low", "high")]
    value, low, high = (number(x, 3) for x in (row[name], *ends))
    return value if np.isnan(ends).any() else f"{value} [{low}, {high}]"


def _interval(value: float, low: float, high: float, metric: str) -> str:
    value, low, high = (number(x, metric_of(metric).decimals) for x in (value, low, high))
    return f"{value} [{low}, {high}]"


def _rows(table: pd.DataFrame, decimals: dict[str, int]) -> list[list[str]]:
    return [
        [
            value if isinstance(value, str) else number(value, decimals[name])
            for name, value in row.items()
            if name in decimals
        ]
        for row in table.to_dict("records")
    ]


def codebook_table(autoencoder: Autoencoder, data: FilmData) -> pd.DataFrame:
    """One row a codebook: ``codebook used perplexity accuracy most_common``.

    used, perplexity: of the whole film's codes, see `usage`. accuracy: share of the test part's
    codes that are decoded right from the bottleneck. most_common: share of them that are the
    training part's most frequent code, which is the accuracy of guessing.
    """
    codes, size = data.film["audio"].numpy(), autoencoder.shapes.codebook_size
    test, train = codes[data.where("test")], codes[data.where("train")]
    bottleneck = torch.from_numpy(bottlenecks(autoencoder, data)[data.where("test")])
    with torch.inference_mode():
        guess = autoencoder.decode_audio(bottleneck).numpy()
    rows = [
        {"codebook": k + 1}
        | usage(codes[:, k], size)
        | {"accuracy": share_equal(guess[:, k], test[:, k])}
        | {"most_common": share_equal(_most_common(train[:, k]), test[:, k])}
        for k in range(codes.shape[1])
    ]
    return pd.DataFrame(rows)


def usage(codes: np.ndarray, codebook_size: int) -> dict[str, float]:
    """Share of a codebook that occurs in ``codes`` (any shape), and their perplexity: the
    number of equally frequent codes that would be as hard to guess. -1 is no code.

    >>> usage(np.array([0, 1, 1, 0, -1]), codebook_size=8)
    {'used': 0.25, 'perplexity': 2.0}
    """
    count = np.bincount(codes[codes >= 0], minlength=codebook_size)
    share = count[count > 0] / max(count.sum(), 1)
    nats = -(share * np.log(share)).sum()
    return {"used": float((count > 0).mean()), "perplexity": round(float(np.exp(nats)), 6)}


def share_equal(guess: np.ndarray, codes: np.ndarray) -> float:
    """Share of ``codes`` that ``guess`` has right; -1 is no code.

    >>> share_equal(np.array([3, 4, 5]), np.array([3, 0, -1]))
    0.5
    """
    valid = codes >= 0
    return float(((guess == codes) & valid).sum() / valid.sum()) if valid.any() else np.nan


def _most_common(codes: np.ndarray) -> np.ndarray:
    return np.array(np.bincount(codes[codes >= 0], minlength=1).argmax())
