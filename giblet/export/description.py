"""Description and README of a derivative data set, and files that BIDS has no name for."""

import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import xarray as xr

from giblet.export.files import Export
from giblet.io.tables import load_json, save_json

BIDS_VERSION = "1.10.0"
SIMULATED = "SIMULATED brains: nobody was scanned. "
NULL = "NO DATA: the BOLD was replaced by noise (scan.null). "
# names of files that derivatives have but the standard (1.11) does not know yet; the npm validator
# (1.15) knows no desc- of BOLD either
IGNORED = """\
*_timeseries.tsv
*_timeseries.json
*_statmap.nii.gz
*_statmap.json
*_parcels.tsv
*_parcels.json
*_desc-predicted_bold.nii.gz
*_desc-predicted_bold.json
desc-*_timeseries.json
/group
"""
README = """\
{name}
{line}

{note}
Written by giblet {version} from the film {film} and the scans {source}.
Nothing was measured by giblet: all of it can be made again from those.

sub-*/[ses-*/]func/
  *_recording-codes_stim.tsv.gz       the film's sound as a codec's codes (or -mel_: in dB),
                                      while the run was shown it
  *_desc-<modality>_timeseries.tsv    the film blurred by the HRF, a row a volume of the run;
                                      the sidecars lie beside this file
  *_desc-predicted_bold.nii.gz        BOLD that the model predicts, for test TRs alone
                                      (of parcels *_desc-predicted_timeseries.tsv)
  *_stat-<what>_desc-*_statmap.nii.gz maps of how good the scans are
                                      (of parcels *_desc-quality_parcels.tsv)
stimuli/*.mid                         the score, or that of each piece or stimulus
group/                                the same of all subjects together, with p and q; the mask

Volumes that were left out as not steady have no row. film_time (s) says when in the film a volume
was taken: join tables with others by it. Names in .bidsignore are in use among derivatives, but
BIDS {bids} has no rule for them.
"""


def scan_note(scans: xr.Dataset) -> str:
    """First words of every description where brains are simulated, or noise."""
    simulated = "SIMULATED" in str(scans.attrs["source"])
    return SIMULATED * simulated + NULL * ("null" in scans.attrs)


def describe_data_set(
    export: Export, dataset: str, source: Path, place: Path, film: Mapping | None
) -> None:
    """``dataset_description.json``, README and ``.bidsignore``.

    ``film``: attributes of the film's features, or None; ``place``: where the folder will be in
    the end, from which the source is named.
    """
    root, name = export.names.root, f"{dataset}: giblet's derivatives"
    if export.note:
        name = f"{name} ({export.note.split(':')[0]})"
    description = {
        "Name": name,
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": _makers(export, film),
    } | _source(source, place, export.scans.attrs)
    save_json(description, root / "dataset_description.json")
    facts = {"name": name, "line": "=" * len(name), "note": export.note, "bids": BIDS_VERSION}
    facts |= {"version": version("giblet"), "film": film["film"] if film else "(none)"}
    readme = README.format(**facts, source=export.scans.attrs["source"])
    (root / "README").write_text(readme, encoding="utf-8")
    (root / ".bidsignore").write_text(IGNORED, encoding="utf-8")


def _makers(export: Export, film: Mapping | None) -> list[dict]:
    """giblet, and the codec that read the sound."""
    text = f"{export.note}Codes of a film's sound, regressors, predicted BOLD, maps"
    makers = [{"Name": "giblet", "Version": version("giblet"), "Description": text}]
    if film and film["encoding_mode"] == "encodec":
        text = f"audio codec, {float(film['bandwidth_kbps']):g} kbit/s"
        codec = {"Name": str(film["codec"]), "Version": str(film["codec_revision"])}
        makers.append(codec | {"Description": text})
    return makers


def _source(source: Path, place: Path, attrs: Mapping) -> dict:
    """The scans: by their DOI where their own description has one, and by where they lie."""
    file = source / "dataset_description.json"
    doi = load_json(file).get("DatasetDOI") if file.is_file() else None
    scans = {"URL": "bids:scans:"} | ({"DOI": doi} if doi else {})
    scans |= {"Version": str(attrs["input"])} if "input" in attrs else {}
    where = Path(os.path.relpath(source, place)).as_posix()
    return {"SourceDatasets": [scans], "DatasetLinks": {"scans": where}}
