"""The command that identifies clips from single places in the brain."""

from pathlib import Path

from giblet.commands.option_help import OutputFile
from giblet.config.config import Config


def searchlight(
    aligned: Path, model: Path, scores: OutputFile, config: Config, regions: Path | None = None
) -> None:
    """Identify clips from each region, parcel or sphere of voxels: a table.

    ``--regions`` is a label image, or a folder of simulated brains. Without places in the brain
    there are regions alone.

    Example: giblet searchlight --aligned mel.nc --model model --scores searchlight.tsv
    """
    from giblet.alignment.aligned import film_data
    from giblet.autoencoder.autoencoder import Autoencoder
    from giblet.autoencoder.inference import bottlenecks
    from giblet.brain.regions import find_regions
    from giblet.errors import GibletError
    from giblet.evaluation.searchlight import find_places, searchlight, searchlight_table
    from giblet.io.arrays import load_arrays
    from giblet.io.schema import ALIGNED
    from giblet.io.tables import save_table

    arrays = load_arrays(aligned, *ALIGNED)
    if "bold" not in arrays:
        raise GibletError("searchlight needs a scan: there is no BOLD beside this film")
    autoencoder = Autoencoder.from_pretrained(model)
    data = film_data(arrays, autoencoder.config.hrf_placement == "inputs")
    named = {} if regions is None else find_regions(arrays, regions)
    places = find_places(arrays, named, config.searchlight)
    options = (config.decoding, config.searchlight, config.scan, config.seed)
    t_r = float(arrays.attrs["t_r"])
    rows = searchlight(bottlenecks(autoencoder, data), data, places, t_r, *options)
    save_table(searchlight_table(arrays.attrs["encoding_mode"], rows), scores)
