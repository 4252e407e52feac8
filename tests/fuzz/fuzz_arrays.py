"""What the rules write for 90 s of a tone and scans of noise, by the verbs themselves."""

from pathlib import Path

import fuzz_seeds as seeds

SETTINGS = {
    "mel": {"n_mels": 8, "n_fft": 1024, "hop_length": 1024},
    "splits": {"gap_seconds": 3.0},
    "t_r": seeds.T_R,
    "video": {"height": 16, "width": 16},
}
MODEL = {
    "start_from": "none",
    "slot_frames": 8,
    "slot_dim": 8,
    "slot_video": 1,
    "slot_text": 1,
    "slot_width": 8,
    "frame_width": 8,
    "video_dim": 4,
    "text_dim": 4,
    "readout_rank": 2,
}


def write_arrays(folder: Path) -> None:
    """stream, trs, video, codes, bold, mel (regressors), aligned (.nc), model/ and codec/."""
    from giblet.commands import bottleneck, film, scans as brain
    from giblet.commands.codec import compress
    from giblet.config.config import parse_config

    config, film_file = parse_config(SETTINGS), folder / "film.mp4"
    seeds.film(film_file, "aac", "mpeg4", seconds=91.0)
    seeds.film(folder / "film.wav", "pcm_s16le", seconds=2.0)
    film.extract_mel(film_file, folder / "stream.nc", config)
    film.group_trs(folder / "stream.nc", folder / "trs.nc")
    film.extract_video(film_file, folder / "video.nc", config)
    compress(folder / "film.wav", folder / "codes.nc")
    seeds.table(folder / "bold.tsv")
    seeds.run_table(folder / "runs.tsv", "bold.tsv")
    brain.load_bold(folder / "runs.tsv", folder / "bold.nc", config)
    brain.convolve_hrf(folder / "trs.nc", folder / "bold.nc", folder / "mel.nc", config)
    inputs = (folder / name for name in ("trs.nc", "video.nc"))
    more = {"bold": folder / "bold.nc", "regressors": [folder / "mel.nc"]}
    bottleneck.sync_align(*inputs, folder / "aligned.nc", config, **more)
    write_model(folder / "aligned.nc", folder / "model")
    write_codec(folder / "codec")
    film_file.unlink()


def write_model(aligned: Path, folder: Path) -> None:
    from giblet.alignment.aligned import film_shapes
    from giblet.autoencoder.autoencoder import Autoencoder
    from giblet.config.sections import ModelConfig
    from giblet.io.arrays import load_arrays

    shapes = film_shapes(load_arrays(aligned), "spm", 0)
    Autoencoder(shapes, ModelConfig(**MODEL)).save_pretrained(folder)


def write_codec(folder: Path) -> None:
    from transformers import EncodecConfig, EncodecModel

    config = EncodecConfig(num_filters=2, hidden_size=8, num_lstm_layers=1)
    EncodecModel(config).save_pretrained(folder)
