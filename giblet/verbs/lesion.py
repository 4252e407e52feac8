"""The verb that silences regions of the brain."""

from pathlib import Path

from giblet.config import Config


def lesion(
    film: Path,
    aligned: Path,
    model: Path,
    audio: Path,
    scores: Path,
    config: Config,
    regions: Path | None = None,
) -> None:
    """What goes from the decoded sound with each region: wav files and a table.

    ``regions``: a label image, or a folder of simulated brains; without it each parcel is one.

    Example: giblet lesion --film film.mp4 --aligned mel.nc --model model --regions atlas.nii.gz
        --audio lesion --scores lesion.tsv
    """
    import pandas as pd

    from giblet.aligned import film_data, film_sound
    from giblet.audio.files import write_sound
    from giblet.audio.processor import AudioProcessor
    from giblet.contents import ALIGNED
    from giblet.incoming import file_name
    from giblet.lesion import lesion
    from giblet.models.autoencoder import Autoencoder
    from giblet.regions import find_regions
    from giblet.replacing import replacing_folder
    from giblet.store import load_arrays, save_table

    arrays = load_arrays(aligned, *ALIGNED)
    autoencoder = Autoencoder.from_pretrained(model)
    data = film_data(arrays, autoencoder.config.hrf_placement == "inputs")
    found = {} if data.bold is None else find_regions(arrays, regions)
    processor = AudioProcessor.from_config(config, arrays.attrs["encoding_mode"])
    sound = film_sound(film, arrays, processor.sample_rate)
    options = (found, config.decoding, config.lesion, config.seed)
    sounds, rows = lesion(arrays, data, autoencoder, processor, sound, *options)
    with replacing_folder(audio) as folder:
        for name, waveform in sounds.items():
            write_sound(folder / f"{file_name(name)}.wav", waveform, processor.sample_rate)
    save_table(pd.DataFrame(rows), scores)
