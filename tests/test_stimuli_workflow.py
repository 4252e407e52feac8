"""The workflow on three sounds and a film that two SIMULATED people met, in two runs each."""

import av
import numpy as np
import pandas as pd
import pytest
import soundfile
from tiny_pipeline import ask, planned, random_piece, snakemake

from giblet.brain.stimulus_clock import StimulusClock
from giblet.io.arrays import load_arrays
from giblet.io.tables import load_table
from giblet.music.midi import write_midi

T_R, SECONDS, RATE = 1.5, 12.0, 16000
SETTINGS = {
    "film": "demo",  # the default: none of its own
    "stimuli": "sounds",
    "bold": "runs.tsv",
    "events": {"stimulus": "{kind}_{number}", "average_repeats": True},
    "splits": {"test_stimuli": ["wave_2"], "validation_stimuli": ["noise_2"], "gap_seconds": 3},
    "quality": {"n_permutations": 10, "n_shifts": 50, "n_iter": 2},
    "decoding": {"n_permutations": 20, "clip_seconds": 4.5},
    "score": "auto",
    "music": {"model": "none"},
}
RUNS = {"run-1": ["noise_1", "wave_1", "noise_2"], "run-2": ["wave_2", "noise_1", "wave_2"]}


def write_sounds(folder):
    """Four sounds whose level goes up and down, each at its own pace; one has pictures.

    Beside some lie words and a score, the same one beside both waves.
    """
    rng, times = np.random.default_rng(0), np.arange(round(SECONDS * RATE)) / RATE
    (folder / "sounds").mkdir()
    for n, name in enumerate(["noise_1", "noise_2", "wave_1", "wave_2"]):
        carrier = rng.normal(0, 0.3, len(times))
        if name.startswith("wave"):
            carrier = np.sin(2 * np.pi * (200 + 150 * n) * times)
        level = 0.05 + 0.3 * (1 + np.sin(2 * np.pi * times / (4 + n)))
        path = folder / "sounds" / f"{name}.wav"
        if name == "wave_1":
            write_film(path.with_suffix(".mkv"), carrier * level)
        else:
            soundfile.write(path, carrier * level, RATE)
        words = [
            (1 + 2 * n, 0.5, word) for n, word in enumerate(["we", "hear", "what", "they", "hear"])
        ]
        table = pd.DataFrame(words, columns=["onset", "duration", "text"])
        if name != "noise_2":
            table.to_csv(path.with_suffix(".tsv"), sep="\t", index=False)
            write_midi(random_piece(round(SECONDS), min(n, 2)), path.with_suffix(".mid"))


def write_film(path, sound):
    """Ten frames a second, each another grey."""
    with av.open(path, "w") as film:
        video = film.add_stream("ffv1", rate=10)
        video.width, video.height, video.pix_fmt = 32, 24, "bgr0"
        audio = film.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for n in range(round(10 * SECONDS)):
            grey = np.full((24, 32, 3), 2 * n, np.uint8)
            film.mux(video.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        samples = np.rint(sound * 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = RATE
        film.mux([*video.encode(None), *audio.encode(frame), *audio.encode(None)])


def write_scans(folder):
    """Eight parcels of slow noise in tables, and the events of each run, 15 s apart."""
    rng, rows = np.random.default_rng(1), []
    for subject in ("01", "02"):
        for run, heard in RUNS.items():
            name = f"sub-{subject}_{run}"
            noise = np.cumsum(rng.normal(0, 1, (40, 8)), axis=0) + rng.normal(100, 1, (40, 8))
            parcels = [f"parcel {n}" for n in range(8)]
            pd.DataFrame(noise, columns=parcels).to_csv(
                folder / f"{name}.tsv", sep="\t", index=False
            )
            events = [(15 * n, SECONDS, *sound.split("_")) for n, sound in enumerate(heard)]
            columns = ["onset", "duration", "kind", "number"]
            pd.DataFrame(events, columns=columns).to_csv(
                folder / f"{name}_events.tsv", sep="\t", index=False
            )
            rows.append((subject, run, f"{name}.tsv", T_R, f"{name}_events.tsv"))
    columns = ["subject", "run", "file", "t_r", "events"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "runs.tsv", sep="\t", index=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stimuli")
    write_sounds(folder)
    write_scans(folder)
    return folder


def test_the_stimuli_are_joined_before_all_else(folder):
    jobs = planned(folder, "brain_quality", **SETTINGS)
    assert jobs["join_stimuli"] == 1
    assert jobs["extract_codes"] == jobs["load_bold"] == jobs["brain_quality"] == 1
    assert jobs["extract_video"] == jobs["embed_text"] == jobs["read_score"] == 1
    less = planned(folder, "brain_quality", **SETTINGS | {"annotations": "none", "score": "none"})
    assert not {"embed_text", "read_score"} & set(less)


def test_stimuli_without_scans_and_missing_ones_are_one_line(folder):
    for changes, message in (
        ({"bold": "none"}, "stimuli need scans as bold"),
        ({"stimuli": "nowhere"}, "config: stimuli: nowhere: stimuli are a folder"),
        ({"annotations": "said.tsv"}, "annotations = 'said.tsv': goes with a film, not with stim"),
    ):
        done = ask(folder, "--dry-run", **SETTINGS | changes)
        assert done.returncode
        assert message in done.stdout


def small_models(folder):
    """Settings of random models of sound, pictures and words, in transformers' format."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    torch.manual_seed(0)
    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    small |= {"intermediate_size": 32}
    waves = {"conv_dim": (8, 8), "conv_stride": (5, 64), "conv_kernel": (10, 64)}
    waves |= {"num_feat_extract_layers": 2, "num_conv_pos_embeddings": 8}
    config = transformers.Wav2Vec2Config(**small, **waves, num_conv_pos_embedding_groups=2)
    transformers.Wav2Vec2Model(config).save_pretrained(folder / "wave")
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder / "wave")
    config = transformers.ViTConfig(**small, image_size=32, patch_size=8)
    transformers.ViTModel(config).save_pretrained(folder / "vit")
    size = {"height": 32, "width": 32}
    transformers.ViTImageProcessor(size=size).save_pretrained(folder / "vit")
    config = transformers.GPT2Config(vocab_size=6, n_embd=16, n_layer=2, n_head=2, n_positions=20)
    transformers.GPT2LMHeadModel(config).save_pretrained(folder / "gpt")
    words = {word: n for n, word in enumerate(["[UNK]", "[BOS]", "we", "hear", "what", "they"])}
    tokens = Tokenizer(models.WordPiece(words, unk_token="[UNK]"))
    tokens.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokens, unk_token="[UNK]", bos_token="[BOS]"
    )
    fast.save_pretrained(folder / "gpt")
    return {
        "sound_model": {"name": "wave", "layers": [1, 2], "step_seconds": 4, "context_seconds": 2},
        "picture_model": {"name": "vit", "layers": [1]},
        "word_model": {"name": "gpt", "layers": [1], "form": True},
    }


@pytest.mark.slow
def test_models_of_sound_pictures_and_words_read_each_stimulus(folder):
    """Each stimulus has features in its own TRs, of what it has, and none in silence."""
    models, sets = small_models(folder), ("sound_model", "picture_model", "word_model")
    rules = ("sound_features", "picture_features", "word_features")
    jobs = planned(folder, "brain_quality", **SETTINGS | models)
    assert [jobs[rule] for rule in rules] == [1, 1, 1]
    files = [f"results/tiny/trs/{name}.nc" for name in sets]
    done = snakemake(folder, *files, **SETTINGS | models)
    assert done.returncode == 0, done.stdout
    clock = StimulusClock.read(folder / "results" / "tiny" / "stimuli.tsv", T_R)
    assert clock.names == ("noise_1", "noise_2", "wave_1", "wave_2")
    for name, file in zip(sets, files, strict=True):
        found = load_arrays(folder / file)[name].values
        of_trs = clock.stimulus_of_trs(len(found))
        has = [bool(found[of_trs == k].any()) for k in range(4)]
        expected = {"picture_model": [False, False, True, False]}
        assert has == expected.get(name, [True, name == "sound_model", True, True])
        assert not found[of_trs == -1].any()


def test_a_word_model_of_stimuli_without_words_is_one_line(folder, tmp_path):
    (tmp_path / "sounds").mkdir()
    soundfile.write(tmp_path / "sounds" / "a.wav", np.zeros(RATE * 12), RATE)
    (tmp_path / "runs.tsv").write_bytes((folder / "runs.tsv").read_bytes())
    for path in folder.glob("sub-*.tsv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    done = ask(tmp_path, "--dry-run", "brain_quality", **SETTINGS | {"word_model": {"form": True}})
    assert done.returncode
    assert "config: word_model: no stimulus has words: put them beside its" in done.stdout


@pytest.mark.slow
def test_scans_and_sounds_of_stimuli_become_a_report(folder):
    done = snakemake(folder, "report", **SETTINGS)
    assert done.returncode == 0, done.stdout
    results = folder / "results" / "tiny"
    aligned = load_arrays(results / "aligned" / "encodec.nc")
    assert (
        aligned["stimulus"].values.tolist()
        == np.repeat(["noise_1", "noise_2", "wave_1", "wave_2"], 8).tolist()
    )
    part = dict(
        zip(aligned["stimulus"].values.tolist(), aligned["part"].values.tolist(), strict=True)
    )
    assert part["wave_2"] == "test"
    assert part["noise_2"] == "validation"
    assert soundfile.info(results / "audio/encodec/original.wav").duration == pytest.approx(12)
    inside = {name: aligned["stimulus"].values == name for name in np.unique(aligned["stimulus"])}
    for name, own in inside.items():
        assert aligned["video"].values[own].any() == (name == "wave_1")
        for modality in ("text", "score"):
            assert aligned[modality].values[own].any() == (name != "noise_2")
    assert "3 of 4 stimuli have none, and are black" in str(aligned.attrs["warnings"])
    assert "stimuli that train: wave_2 (of wave_1)" in str(aligned.attrs["warnings"])
    metrics = set(load_table(results / "brain_quality.tsv")["metric"])
    # too few TRs for ridge
    assert {"isc", "repeat_variance", "ceiling_single", "ceiling_repeats"} <= metrics
    page = (results / "report.html").read_text()
    assert "Repeated variance" in page
    assert "How much of <bdi>4 stimuli</bdi> can be heard" in page
    assert "of the film<" not in page
    assert set(load_table(results / "scores.tsv")["column"]) >= {"codec", "stimulus", "brain"}
    assert not len(load_table(results / "identified" / "encodec.tsv"))  # one is held out
    levels = snakemake(folder, "codec_ladder", **SETTINGS)
    assert levels.returncode == 0, levels.stdout
    profile = load_table(results / "codec_ladder.tsv")
    assert {"sound", "codebook", "cumulated", "film", "score"} <= set(profile["space"])
    assert np.isfinite(profile["r"]).any()
    again = snakemake(folder, "export", **SETTINGS)
    assert again.returncode == 0, again.stdout
    scores = {path.stem for path in (results / "bids" / "stimuli").glob("*.mid")}
    assert scores == {"noise_1", "wave_1", "wave_2"}  # each on its own clock
