"""The command that exports results for other tools."""

from pathlib import Path

from giblet.commands.option_help import OutputFile, OutputFolder
from giblet.config.config import Config


def export(
    bold: Path,
    source: Path,
    folder: OutputFolder,
    config: Config,
    quality: Path | None = None,
    film: Path | None = None,
    regressors: list[Path] = (),
    aligned: Path | None = None,
    model: Path | None = None,
    score: Path | None = None,
) -> None:
    """Write codes, regressors, predicted BOLD, maps and the score as a BIDS data set.

    Predicted BOLD needs both ``--aligned`` and ``--model``. Options that are not given are left
    out of the data set.

    Example: giblet export --bold bold.nc --source derivatives/fmriprep --quality quality.nc
        --film trs/encodec.nc --regressors text.nc --folder bids
    """
    from giblet.export.brain import export_maps, export_prediction
    from giblet.export.description import describe_data_set, scan_note
    from giblet.export.files import Export
    from giblet.export.film import export_regressors, export_score, export_stimulus
    from giblet.export.names import names_for
    from giblet.io.arrays import load_arrays, open_arrays
    from giblet.io.atomic import replacing_folder
    from giblet.io.schema import QUALITY, REGRESSORS, SCANS, SOUND
    from giblet.music.pieces import Pieces
    from giblet.music.score_files import load_score

    with open_arrays(bold, *SCANS) as arrays:
        scans = arrays.drop_vars("bold").load()
    with replacing_folder(folder) as root:
        out = Export(names_for(root, scans, source, config.task), scans, scan_note(scans))
        sound = None if film is None else load_arrays(film, *SOUND)
        describe_data_set(out, config.dataset, source, folder, sound and sound.attrs)
        if sound is not None:
            export_stimulus(out, sound)
        for file in regressors:
            blurred = load_arrays(file, *REGRESSORS, or_nothing=True)
            export_regressors(out, file.stem, blurred)
        if score is not None:
            with open_arrays(score) as saved:
                pieces = Pieces.of_arrays(saved)
            export_score(out, *load_score(score), pieces)
        if quality is not None:
            export_maps(out, load_arrays(quality, *QUALITY))
        if aligned is not None and model is not None:
            export_prediction(out, *_predicted(aligned, model))


def _predicted(aligned: Path, model: Path):
    """BOLD of every TR (n_subjects, n_trs, n_kept), and what it was predicted from."""
    from giblet.alignment.aligned import film_data
    from giblet.autoencoder.autoencoder import Autoencoder
    from giblet.autoencoder.inference import bottlenecks, predict_bold
    from giblet.io.arrays import load_arrays
    from giblet.io.schema import ALIGNED

    arrays, autoencoder = load_arrays(aligned, *ALIGNED), Autoencoder.from_pretrained(model)
    data = film_data(arrays, autoencoder.config.hrf_placement == "inputs")
    return predict_bold(autoencoder, bottlenecks(autoencoder, data), data.run), arrays


def export_predictions(
    aligned: Path,
    model: Path,
    features: list[Path],
    stimuli: Path,
    clips: Path,
    predictions: OutputFile,
    n_parcels: int = 1000,
) -> None:
    """Write BOLD predicted for clips, in the format of Algonauts 2025.

    A dictionary subject → clip → samples × parcels, in a .npy, or a .zip with one .npy, in standard
    deviations of training TRs. Clips need not have been scanned; all are stimuli of the run.

    Example: giblet export_predictions --aligned aligned/encodec.nc --model model/encodec
        --features trs/encodec.nc trs/video.nc trs/text.nc --stimuli stimuli.tsv --clips clips.tsv
        --predictions fmri_predictions_friends_s7.zip
    """
    from giblet.autoencoder.autoencoder import Autoencoder
    from giblet.autoencoder.inference import bottlenecks, predict_bold
    from giblet.brain.stimulus_clock import StimulusClock
    from giblet.errors import GibletError
    from giblet.export.predictions import (
        check_ending,
        join_features,
        predict_clips,
        read_clips,
        save_predictions,
    )
    from giblet.io.arrays import load_arrays
    from giblet.io.schema import ALIGNED

    check_ending(predictions)
    autoencoder = Autoencoder.from_pretrained(model)
    if autoencoder.config.hrf_placement == "inputs":
        raise GibletError("hrf_placement: inputs reads regressors of scans; clips have none")
    arrays = load_arrays(aligned, *ALIGNED)
    if "bold" not in arrays:
        raise GibletError(f"{aligned}: has no scans: the model predicts no BOLD")
    clock = StimulusClock.read(stimuli, float(arrays.attrs["t_r"]))
    wanted = read_clips(clips, clock, arrays["subject"].values.astype(str).tolist())
    film = join_features([load_arrays(file, "tr", or_nothing=True) for file in features])

    def predict(data):
        return predict_bold(autoencoder, bottlenecks(autoencoder, data), data.run)

    made = predict_clips(predict, film, arrays, wanted, clock, n_parcels)
    save_predictions(made, predictions)
