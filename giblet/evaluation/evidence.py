"""Reads what the checks of results need from the results folder of a data set."""

from pathlib import Path

from giblet.audio.feature_types import FEATURE_TYPES
from giblet.audio.files import read_sound
from giblet.errors import GibletError
from giblet.evaluation.bank import BankRecord
from giblet.evaluation.checks import Evidence, check_evidence
from giblet.io.arrays import load_arrays, open_arrays
from giblet.io.schema import ALIGNED, BANK
from giblet.io.tables import load_json, load_table

RECORD = "reconstruct.json"  # in the folder of sounds: settings that scores were made with


def checked_evidence(results: Path) -> dict[str, Evidence]:
    """Feature type → its evidence, checked. Raises GibletError for what fails, with its folder."""
    evidence = {}
    for name in FEATURE_TYPES:
        files = (f"scores/{name}.tsv", f"audio/{name}/original.wav", f"aligned/{name}.nc")
        if not all((results / file).is_file() for file in files):
            continue
        evidence[name] = load_evidence(results, name)
        try:
            check_evidence(evidence[name])
        except GibletError as error:
            raise GibletError(f"{results}: {name}: {error}") from None
    return evidence


def load_evidence(results: Path, feature_type: str) -> Evidence:
    """What was made of one feature type."""
    import soundfile

    with open_arrays(results / "aligned" / f"{feature_type}.nc", *ALIGNED) as arrays:
        aligned = arrays.drop_vars(["bold", "regressors"], errors="ignore").load()
    scores = load_table(results / "scores" / f"{feature_type}.tsv")
    by_subject = results / "subjects" / f"{feature_type}.tsv"
    subjects = load_table(by_subject) if by_subject.is_file() else None
    model = results / "model" / feature_type / "config.json"
    files = sorted((results / "audio" / feature_type).glob("*.wav"))
    rate = soundfile.info(files[0]).samplerate
    sounds = {file.stem: read_sound(file, rate) for file in files}
    record = load_json(model).get("trained_on", {}) if model.is_file() else {}
    clip_seconds = recorded_clip_seconds(results / "audio" / feature_type)
    file = results / "anchored_prior" / feature_type / "bank.nc"
    bank = BankRecord.from_arrays(load_arrays(file, *BANK)) if file.is_file() else None
    return Evidence.of(aligned, record, scores, subjects, sounds, rate, clip_seconds, bank)


def recorded_clip_seconds(sounds: Path) -> float | None:
    """The length of clips in the scores, from the folder of sounds; None of older results."""
    if not (record := sounds / RECORD).is_file():
        return None
    return float(load_json(record)["clip_seconds"])
