"""The command of the anchored prior."""

from pathlib import Path

from giblet.commands.option_help import OutputFile, OutputFolder
from giblet.config.config import Config


def anchored_prior(
    film: Path,
    aligned: Path,
    model: Path,
    sounds: OutputFolder,
    curve: OutputFile,
    config: Config,
    bank: Path | None = None,
    regions: Path | None = None,
) -> None:
    """Retrieve clips by the decoded slow part, refine them, and score each strength.

    ``--curve``: identification by sound (faithfulness) and novelty at each of ``prior.strengths``,
    for brains, their null and the true slow part. ``--bank`` may not hold the film: an audio
    fingerprint finds copies. ``--regions`` is for ``decoding.region``.

    Example: giblet anchored_prior --film film.mp4 --aligned mel.nc --model model --sounds prior
        --curve prior.tsv
    """
    import pandas as pd

    from giblet.alignment.aligned import film_data, film_sound
    from giblet.audio.files import write_sound
    from giblet.audio.processor import AudioProcessor
    from giblet.audio.sound_fingerprint import Fingerprint
    from giblet.autoencoder.autoencoder import Autoencoder
    from giblet.brain.regions import find_regions
    from giblet.errors import GibletError
    from giblet.evaluation.anchored_prior import anchored_prior, curve_table
    from giblet.evaluation.bank import check_bank
    from giblet.evaluation.bank_sounds import bank_of_folder, bank_of_training
    from giblet.io.arrays import load_arrays, save_arrays
    from giblet.io.atomic import replacing_folder
    from giblet.io.schema import ALIGNED
    from giblet.io.tables import save_table

    arrays = load_arrays(aligned, *ALIGNED)
    if "bold" not in arrays:
        raise GibletError(f"{aligned}: anchored_prior needs a scan, and there is none")
    processor = AudioProcessor.from_config(config, arrays.attrs["encoding_mode"])
    autoencoder = Autoencoder.from_pretrained(model)
    data = film_data(arrays, autoencoder.config.hrf_placement == "inputs")
    sound = film_sound(film, arrays, processor.sample_rate, config.audio_track)
    if bank is None:
        clips, record = bank_of_training(arrays, data, autoencoder)
    else:
        clips, record = bank_of_folder(bank, processor, autoencoder, config.prior)
    fingerprint = Fingerprint.of(sound, processor.sample_rate)
    check_bank(record, fingerprint, arrays["tr"].values[data.where("test")])
    named = find_regions(arrays, regions) if config.decoding.region else None
    made = anchored_prior(arrays, data, autoencoder, processor, sound, clips, config, named)
    with replacing_folder(sounds) as folder:
        for name, wave in made.sounds.items():
            write_sound(folder / f"{name}.wav", wave, processor.sample_rate)
        save_table(pd.DataFrame(made.retrieved), folder / "retrieved.tsv")
        save_arrays(record.arrays(), folder / "bank.nc")
    save_table(curve_table(processor.encoding_mode, clips.name, made.rows), curve)
