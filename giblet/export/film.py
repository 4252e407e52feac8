"""The film by run: its sound as codes or mel, and what linear models read of it."""

import gzip
import io
import json

import numpy as np
import xarray as xr

from giblet.audio.feature_types import FEATURE_TYPES
from giblet.audio.framing import ungroup_trs
from giblet.export.files import FILM_TIME, TABLE, Export
from giblet.export.names import bids_label
from giblet.timing import TrClock, frames_rate_hz, volumes_to_trs


def export_stimulus(export: Export, film: xr.Dataset) -> None:
    """The film's codes, or mel, while each run was shown it: BIDS's ``_stim.tsv.gz``.

    ``film`` as ``group_trs`` gives it, TR 0 first. ``StartTime`` counts from the run's first
    volume, ``FilmTime`` from the film's beginning (s).
    """
    attrs, done = film.attrs, {}
    clock = TrClock(float(attrs["t_r"]), float(attrs["frame_rate"]), attrs["framing"])
    feature_type = FEATURE_TYPES[attrs["encoding_mode"]]
    kind, row = feature_type.label, feature_type.row
    what = "index of a codeword" if row == "codebook" else "level of a mel band"
    columns, units = _numbered(row, film.sizes["row"]), {"Units": attrs["units"]}
    film_time, shown = (export.scans[name].values for name in ("film_time", "in_film"))
    for subject, run, here in export.showings():
        trs = volumes_to_trs(film_time[here][shown[here]], clock.t_r)
        first, stop = int(trs.min()), min(int(trs.max()) + 1, film.sizes["tr"])
        if first >= stop:
            continue  # a later part of the film than features were taken of
        if (first, stop) not in done:  # subjects see the same seconds
            stream = ungroup_trs(film["audio"].values[first:stop], clock, first)
            done[first, stop] = _gzipped(stream.T)
        path = export.names.of_run(subject, run, "stim.tsv.gz", recording=kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(done[first, stop])
        begin = clock.duration(first) - clock.head_start(first)
        export.describe(
            path,
            f"Sound of the film itself as {kind}, a column a {row}.",
            Columns=columns,
            SamplingFrequency=clock.film_frame_rate(),
            StartTime=begin - float(film_time[here[0]]),
            FilmTime=begin,
            **{name: {"Description": what} | units for name in columns},
            **_codec(attrs),
        )


def export_regressors(export: Export, name: str, regressors: xr.Dataset) -> None:
    """One modality's regressors, as ``film_regressors`` gives them: a table a run, one sidecar.

    Nothing where there are none.
    """
    if not regressors.data_vars:
        return
    desc, attrs = bids_label(name), regressors.attrs
    values = {desc: regressors["regressors"].values}
    if "n_words" in regressors:
        values["nWords"] = regressors["n_words"].values
    values = {label: v.reshape(len(v), -1) for label, v in values.items()}
    columns = [c for label, v in values.items() for c in _numbered(label, v.shape[1])]
    joined, film_time = np.concatenate([*values.values()], axis=1), export.scans["film_time"].values
    for subject, run, here in export.showings():
        table = {"film_time": film_time[here]} | dict(zip(columns, joined[here].T, strict=True))
        export.save_columns(export.names.of_run(subject, run, TABLE, desc=desc), table)
    lags = attrs["fir_lags_seconds"]
    described = {"Description": f"{name} of the film, blurred by the HRF", "Units": "arbitrary"}
    export.describe(
        export.names.root / f"desc-{desc}_{TABLE}",
        f"What a linear model may read of the film: {name}. A row a volume of the run; "
        "non-steady ones have none.",
        SamplingFrequency=frames_rate_hz(1, float(attrs["t_r"])),
        HRFModel=attrs["hrf_model"],
        FIRLagsSeconds=json.loads(lags) if isinstance(lags, str) else list(lags),
        film_time=FILM_TIME,
        **dict.fromkeys(columns, described),
    )


def _numbered(name: str, n: int) -> list[str]:
    """Names of ``n`` columns.

    >>> _numbered("codebook", 2)
    ['codebook_001', 'codebook_002']
    """
    return [f"{name}_{i:0{max(3, len(str(n)))}d}" for i in range(1, n + 1)]


def _gzipped(values: np.ndarray) -> bytes:
    """A table without a head, as BIDS has continuous recordings; the same bytes at any time."""
    import pandas as pd

    text, packed = pd.DataFrame(values).to_csv(sep="\t", header=False, index=False), io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as file:
        file.write(text.encode())
    return packed.getvalue()


def _codec(attrs: dict) -> dict:
    """Origin of the features, from the attributes of their file."""
    keys = {"film": "Film", "input": "FilmFingerprint", "framing": "Framing"}
    keys |= {"sound_track": "SoundTrack"}
    if FEATURE_TYPES[attrs["encoding_mode"]].is_codes:
        keys |= {"codec": "Codec", "codec_revision": "CodecRevision"}
        keys |= {"bandwidth_kbps": "BandwidthKbps", "codebook_size": "CodebookSize"}
    facts = {label: attrs[key] for key, label in keys.items() if key in attrs}
    return {k: v.item() if isinstance(v, np.generic) else v for k, v in facts.items()}
