"""Held-out music and its code, from the files that commands read."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from giblet.config.config import Config
from giblet.errors import GibletError

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from giblet.alignment.dataset import FilmData
    from giblet.alignment.pieces import FilmPieces
    from giblet.audio.processor import AudioProcessor
    from giblet.autoencoder.autoencoder import Autoencoder
    from giblet.evaluation.held_out_score import HeldOutScore
    from giblet.evaluation.score_codes import ScoreCode
    from giblet.music.model import MusicTransformerVAEGAN
    from giblet.music.notes import Notes
    from giblet.music.pieces import Pieces


def aligned_score(score: Path, aligned: Path, arrays: "xr.Dataset") -> "Notes":
    """The notes on the film's clock; ``arrays`` are those of the file ``aligned``.

    GibletError where the score was read for another film, or for fewer TRs.
    """
    from giblet.music.score_files import load_score

    piece, facts = load_score(score)
    if facts.get("film_input") != arrays.attrs.get("input"):
        raise GibletError(
            f"{score}: the score was read for {facts.get('film', 'another film')}, and {aligned} "
            f"is of {arrays.attrs.get('film', 'another film')}: run read_score and sync_align again"
        )
    if int(facts["n_trs"]) <= (last := arrays["tr"].values[-1]):
        raise GibletError(
            f"{score}: the score is laid out over {facts['n_trs']} TRs, and {aligned} goes up to "
            f"TR {last}: run read_score again"
        )
    return piece.moved(float(facts["score_offset"]))


def held_out_music(
    piece: "Notes",
    arrays: "xr.Dataset",
    data: "FilmData",
    wave: "np.ndarray",
    processor: "AudioProcessor",
    config: Config,
    pieces: "Pieces | None" = None,
) -> "HeldOutScore":
    """The held-out TRs of a piece, or of several ``pieces``, on the film's clock.

    ``wave`` (n_samples,): the whole film's sound at ``processor.sample_rate``.
    """
    from giblet.evaluation.brain_scores import film_stretch
    from giblet.evaluation.held_out_score import HeldOutScore

    trs = arrays["tr"].values
    return HeldOutScore(
        piece,
        film_stretch(wave, trs[data.where("test")], processor),
        processor.sample_rate,
        data,
        trs,
        float(arrays.attrs["t_r"]),
        config.decoding.clip_seconds,
        pieces,
    )


def score_pieces(score: Path) -> "Pieces | None":
    """The pieces of a file of ``read_score``; None of a single one."""
    from giblet.io.arrays import open_arrays
    from giblet.music.pieces import Pieces

    with open_arrays(score) as saved:
        return Pieces.of_arrays(saved)


def film_pieces(pieces: "Pieces", n_trs: int, t_r: float) -> "FilmPieces":
    """The pieces of a film's first ``n_trs`` TRs."""
    import numpy as np

    from giblet.alignment.pieces import FilmPieces

    of_trs = pieces.of_trs(np.arange(n_trs), t_r).clip(0)
    music = pieces.same_music if pieces.music is None else pieces.music
    return FilmPieces(pieces.names, of_trs, music)


def latent_model(config: Config) -> "MusicTransformerVAEGAN | None":
    """The model that ``music.latent_model`` names; None for none."""
    return music_model("music.latent_model", config.music.latent_model, ("vae", "vae_gan"))


def score_code(
    held: "HeldOutScore", autoencoder: "Autoencoder", latents: "MusicTransformerVAEGAN | None"
) -> "ScoreCode":
    """The latents of a music model, or without one the readout of the autoencoder.

    GibletError where the autoencoder was trained without a score.
    """
    from giblet.evaluation.score_codes import LatentCode, RollCode

    if latents is not None:
        return LatentCode(latents, held.piece, held.apart, held.trs, held.t_r)
    logging.getLogger(__name__).info(
        "music.latent_model is none: BOLD is decoded as the model's bottleneck, which reads "
        "out a piano roll; there are no levels of latents"
    )
    return RollCode(autoencoder, held.data, held.t_r)


def music_model(key: str, name: str, modes: tuple[str, ...]):
    """The music model that the config names by ``key``; None for none."""
    from giblet.music.model import load

    if name == "none":
        return None
    if (model := load(name)).mode not in modes:
        raise GibletError(f"{key} {name}: a model of mode {model.mode}, not {' or '.join(modes)}")
    return model
