"""The film by run: its sound as codes or mel, and what linear models read of it."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from giblet.alignment.showings import Showing, find_showings
from giblet.audio.feature_types import FEATURE_TYPES
from giblet.audio.framing import ungroup_trs
from giblet.export.files import FILM_TIME, TABLE, Export
from giblet.export.names import bids_label
from giblet.io.paths import file_name
from giblet.music.midi import write_midi
from giblet.music.notes import Notes
from giblet.music.pieces import Pieces
from giblet.music.stimulus_scores import scores_apart
from giblet.timing import (
    TrClock,
    acquisition_times,
    count_samples,
    frames_rate_hz,
    samples_duration,
    volumes_to_trs,
)

if TYPE_CHECKING:
    import pandas as pd


def export_stimulus(export: Export, film: xr.Dataset) -> None:
    """The film's codes, or mel, while each run was shown it: BIDS's ``_stim.tsv.gz``.

    ``film`` as ``group_trs`` gives it, TR 0 first. ``StartTime`` counts from the run's first
    volume, ``FilmTime`` from the film's beginning (s). A run that broke the film off (a pause, a
    leap, a repetition) has n/a where nothing was shown, and both times of each ``Showings``.
    """
    attrs, done = film.attrs, {}
    clock = TrClock.from_facts(attrs)
    feature_type = FEATURE_TYPES[attrs["encoding_mode"]]
    kind, row = feature_type.label, feature_type.row
    what = "index of a codeword" if row == "codebook" else "level of a mel band"
    columns, units = _numbered(row, film.sizes["row"]), {"Units": attrs["units"]}
    showings: dict[tuple[str, str], list[Showing]] = {}
    for one in find_showings(export.scans, clock.t_r)[0]:
        showings.setdefault((one.subject, one.run), []).append(one)
    for subject, run, here in export.showings():
        parts = _placed(showings.get((subject, run), []), here, clock, film.sizes["tr"])
        if not parts:
            continue  # a later part of the film than features were taken of
        shown = tuple(part.where for part in parts)
        if shown not in done:  # subjects see the same seconds
            done[shown] = _gzipped(_stream(film["audio"].values, parts, clock))
        path = export.names.of_run(subject, run, "stim.tsv.gz", recording=kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(done[shown])
        times = [{"StartTime": part.at, "FilmTime": part.begin} for part in parts]
        export.describe(
            path,
            f"Sound of the film itself as {kind}, a column a {row}.",
            Columns=columns,
            SamplingFrequency=clock.film_frame_rate(),
            **times[0],
            **({"Showings": times} if len(times) > 1 else {}),
            **{name: {"Description": what} | units for name in columns},
            **_codec(attrs),
        )


_SLOWEST_BEAT = 8.0  # s; what lasts longer is silence between pieces


@dataclass(frozen=True)
class _Part:
    """TRs ``first`` up to ``stop`` that a showing of a run had.

    skip : frames of them that it left out at its beginning
    row : its first row in the table
    begin, at : film time (s) of that row; seconds after the run's first volume
    """

    first: int
    stop: int
    skip: int
    row: int
    begin: float
    at: float

    @property
    def where(self) -> tuple[int, int, int, int]:
        """All that the table depends on."""
        return self.first, self.stop, self.skip, self.row


def _placed(showings: list[Showing], here: np.ndarray, clock: TrClock, n_trs: int) -> list[_Part]:
    """The showings of one run in the film of ``n_trs``; volumes ``here`` (n_volumes,) are its.

    The first has whole TRs, a later one begins at its own second.
    """
    rate, scan_time = clock.film_frame_rate(), acquisition_times(len(here), clock.t_r)
    parts: list[_Part] = []
    for showing in showings:
        trs = volumes_to_trs(showing.times, clock.t_r)
        first, stop = max(0, int(trs.min())), min(int(trs.max()) + 1, n_trs)
        if first >= stop:
            continue
        origin = scan_time[np.searchsorted(here, showing.volumes[0])] - showing.times[0]
        begin, skip, row = clock.duration(first) - clock.head_start(first), 0, 0
        if parts:
            skip = max(0, count_samples(showing.begin - begin, rate))
            begin += samples_duration(skip, rate)
            row = count_samples(begin + float(origin) - parts[0].at, rate)
        parts.append(_Part(first, stop, skip, row, begin, round(begin + float(origin), 6)))
    return parts


def _stream(audio: np.ndarray, parts: list[_Part], clock: TrClock) -> pd.DataFrame:
    """``audio`` (n_trs, n_rows, n_slots) as it was shown: a row a frame, n/a between parts."""
    import pandas as pd

    tables = []
    for part, later in zip_longest(parts, parts[1:]):
        stream = ungroup_trs(audio[part.first : part.stop], clock, part.first).T[part.skip :]
        stop = None if later is None else max(0, later.row - part.row)
        table = pd.DataFrame(stream[:stop])
        tables.append(table.set_index(table.index + part.row))
    if len(tables) == 1:
        return tables[0]
    joined = pd.concat(tables).astype(object)  # whole numbers stay whole beside n/a
    return joined.reindex(range(joined.index[-1] + 1))


def export_regressors(export: Export, name: str, regressors: xr.Dataset) -> None:
    """One modality's regressors, as ``film_regressors`` gives them: a table a run, one sidecar.

    Nothing where there are none. Columns have their own names where the modality names them.
    """
    if not regressors.data_vars:
        return
    desc, attrs = bids_label(name), regressors.attrs
    lags = attrs["fir_lags_seconds"]
    lags = json.loads(lags) if isinstance(lags, str) else list(lags)
    described = {"Description": f"{name} of the film, blurred by the HRF", "Units": "arbitrary"}
    parts, film_time = [regressors["regressors"].values], export.scans["film_time"].values
    fields = _named(regressors, lags)
    fields = fields or dict.fromkeys(_numbered(desc, parts[0].shape[1]), described)
    if "n_words" in regressors:
        parts.append(regressors["n_words"].values.reshape(len(film_time), -1))
        fields |= dict.fromkeys(_numbered("nWords", parts[1].shape[1]), described)
    joined, columns = np.concatenate(parts, axis=1), [*fields]
    for subject, run, here in export.showings():
        table = {"film_time": film_time[here]} | dict(zip(columns, joined[here].T, strict=True))
        export.save_columns(export.names.of_run(subject, run, TABLE, desc=desc), table)
    export.describe(
        export.names.root / f"desc-{desc}_{TABLE}",
        f"What a linear model may read of the film: {name}. A row a volume of the run; "
        "non-steady ones have none.",
        SamplingFrequency=frames_rate_hz(1, float(attrs["t_r"])),
        HRFModel=attrs["hrf_model"],
        FIRLagsSeconds=lags,
        film_time=FILM_TIME,
        **fields,
    )


def _named(regressors: xr.Dataset, lags: list[float]) -> dict[str, dict]:
    """Sidecar fields of each column by its name; nothing where columns have no names.

    With several lags a name ends in its lag: ``onset_rate_lag_2.5s``.
    """
    if "value" not in regressors.coords:
        return {}
    facts = {c: regressors[c].values for c in ("value", "space", "unit", "causal")}
    names = facts["value"].astype(str)
    behind = np.repeat(lags, len(names) // len(lags)) if len(lags) > 1 else None
    fields = {}
    for i, name in enumerate(names.tolist()):
        column = name if behind is None else f"{name}_lag_{behind[i]:g}s"
        fields[column] = {
            "Description": f"{name} of the score, blurred by the HRF",
            "Units": f"{facts['unit'][i]} (times the HRF)",
            "FeatureSpace": str(facts["space"][i]),
            "Causal": bool(facts["causal"][i]),
        }
    return fields


def export_score(
    export: Export, notes: Notes, attrs: Mapping, pieces: Pieces | None = None
) -> None:
    """The score as MIDI in ``stimuli/``, with a sidecar: one on the film's clock, under its name.

    Of several ``pieces``, or many stimuli, one for each that has notes, under the piece's name and
    on its clock. ``notes``, ``attrs`` as `giblet.music.score_files.load_score` gives them. Notes
    that begin before the film are left out.
    """
    facts = {"Film": str(attrs["film"]), "ScoreFingerprint": str(attrs["input"])}
    if pieces is not None:
        _export_pieces(export, notes, pieces, facts)
        return
    offset = float(attrs["score_offset"])
    moved, beats = notes.moved(offset), notes.beats
    beats = beats and replace(beats, seconds=beats.seconds + offset)
    kept = moved.onset >= 0
    columns = (c[kept] for c in (moved.onset, moved.duration, moved.pitch, moved.velocity))
    lag = float(attrs.get("score_lag_ms", np.nan))
    _save_score(
        export,
        Path(str(attrs["score"])).stem,
        Notes(*columns, beats=beats),
        "Score of the film's music; its second 0 is the film's.",
        **facts,
        ScoreOffset=offset,
        NotesLeftOut=int((~kept).sum()),
        **({} if np.isnan(lag) else {"SoundLagMs": lag}),
    )


def _export_pieces(export: Export, notes: Notes, pieces: Pieces, facts: Mapping) -> None:
    """One MIDI file for each piece."""
    taken: set[str] = set()
    for k, own in scores_apart(notes, pieces).items():
        # a sidecar's name ends at the first dot; some file systems know no capitals
        name = plain = file_name(pieces.names[k]).replace(".", "-")
        while name.lower() in taken:
            name = f"{plain}-{len(taken)}"
        taken.add(name.lower())
        begin, duration, kind = pieces.begins[k], pieces.durations[k], pieces.kind
        source = "Stimulus" if kind == "stimulus" else "Score"
        _save_score(
            export,
            name,
            own,
            f"Score of the {kind} {pieces.names[k]}; its second 0 is the {kind}'s.",
            **facts,
            **{source: Path(pieces.scores[k]).name, "FilmTime": round(float(begin), 6)},
            **({} if np.isinf(duration) else {"Duration": round(float(duration), 6)}),
        )


def _save_score(export: Export, name: str, notes: Notes, description: str, **facts) -> None:
    """``stimuli/<name>.mid`` and its sidecar; without beats where one lasts too long for MIDI."""
    beats = notes.beats
    if beats is not None and np.diff(beats.seconds).max(initial=0) > _SLOWEST_BEAT:
        notes = replace(notes, beats=None)
    path = export.names.root / "stimuli" / f"{name}.mid"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_midi(notes, path)
    export.describe(path, description, NumberOfNotes=len(notes), **facts)


def _numbered(name: str, n: int) -> list[str]:
    """Names of ``n`` columns.

    >>> _numbered("codebook", 2)
    ['codebook_001', 'codebook_002']
    """
    return [f"{name}_{i:0{max(3, len(str(n)))}d}" for i in range(1, n + 1)]


def _gzipped(table: pd.DataFrame) -> bytes:
    """A table without a head, as BIDS has continuous recordings; the same bytes at any time."""
    text, packed = table.to_csv(sep="\t", header=False, index=False, na_rep="n/a"), io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as file:
        file.write(text.encode())
    return packed.getvalue()


def _codec(attrs: dict) -> dict:
    """Origin of the features, from the attributes of their file."""
    keys = {"film": "Film", "input": "FilmFingerprint", "framing": "Framing", "bend": "FramingBend"}
    keys |= {"sound_track": "SoundTrack"}
    if FEATURE_TYPES[attrs["encoding_mode"]].is_codes:
        keys |= {"codec": "Codec", "codec_revision": "CodecRevision"}
        keys |= {"bandwidth_kbps": "BandwidthKbps", "codebook_size": "CodebookSize"}
    facts = {label: attrs[key] for key, label in keys.items() if key in attrs}
    return {k: v.item() if isinstance(v, np.generic) else v for k, v in facts.items()}
