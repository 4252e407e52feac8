"""Nats of validation music under models of equal size that were trained for equal minutes.

    python benchmarks/music_peers.py DATA --out peers.tsv --minutes 60
        [--models counts_5 gpt2_1024 transformer_window ...] [--recipe FILE]

DATA has MIDI in train/ and validation/. A model that the table has rows of is skipped: a run can be
stopped and continued. Minutes are of processor time of the training steps; the learning rate falls
with the share that is used. Batches, optimiser, augmentation and dropout are the same for
all networks: those of the recipe (default: 4 crops of 1,024 tokens). One row for each way to score:

- counts_1 (unigram), counts_2, counts_5: count models of giblet's 774 tokens; midilike_counts_5:
  of MIDI-Like tokens.
- gpt2_512, gpt2_1024: GPT-2 of Hugging Face, 4 layers of width 256 with learned positions up to so
  many tokens, of miditok's MIDI-Like tokens; gpt2_774: of giblet's tokens, 1,024 positions.
- <mode>_<attention>: giblet's models. Mode vae_gan has discriminators in training.

``scored``: ``streamed`` through caches, or in ``windows`` as long as the training's crops, the
second half of each scored. Every token of whole validation pieces is scored once. Attention
that reaches further than the crops hears distances when streamed that it never learned.

``known``: ``beats`` when the network sees the phases of beat and bar, ``no beats`` when it does
not. MIDI-Like has its time in beats, so it knows the tempo map by construction, like ``beats``. For
the modes with latents ``drawn z`` has one z from the prior, which on average bounds the nats from
above; ``own z + KL`` is the ELBO, a bound from above, too; ``own z`` alone is no bound: z has heard
the piece.

All score the same notes: those that giblet's tokens hold (unisons merged). MIDI-Like rounds their
onsets and ends to 1/24 of a beat, at most 8 beats a token (on 20 validation pieces 99.9 % of the
onsets lie on that grid); giblet rounds to 1/64 s. Both have six bins of velocity; MIDI-Like repeats
the velocity at every note. No nats are counted for EOS in either, nor for the first BOS. All
models know the grammar of their tokens when they are scored: what cannot follow has no probability.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from music_minutes import adamw, append_rows, finished, read_pieces, train_for, train_model
from torch import nn
from torch.nn import functional

from giblet.io.tables import load_yaml
from giblet.music.adversarial import AdversarialSettings
from giblet.music.attention import AttentionSettings
from giblet.music.count_models import TokenCounts
from giblet.music.data import augmented
from giblet.music.grammar import possible_targets
from giblet.music.inputs import encoded
from giblet.music.latents import LatentSettings
from giblet.music.model import MusicTransformerVAEGAN
from giblet.music.notes import Notes
from giblet.music.objective import Objective
from giblet.music.recipe import MusicSettings, parse_recipe
from giblet.music.tokens import VOCABULARY, detokenize, tokenize
from giblet.music.windows import scoring_windows

KINDS = ("window", "multi_scale", "hierarchical", "full")
MODES = ("transformer", "vae", "vae_gan")
GRID = 24  # parts of a beat in MIDI-Like
PEERS = (
    "counts_1",
    "counts_2",
    "counts_5",
    "midilike_counts_5",
    "gpt2_512",
    "gpt2_1024",
    "gpt2_774",
)
OURS = tuple(f"{mode}_{kind}" for mode in MODES for kind in KINDS)
DEFAULT = (*PEERS, *(f"{mode}_window" for mode in MODES), *OURS[1:4])
Totals = dict[tuple[str, str], float]  # (scored, known) -> nats of all pieces


def exact_notes(notes: Notes) -> Notes:
    """The notes that giblet's tokens hold, at the exact moments of the piece."""
    held, first, step = detokenize(tokenize(notes)), notes.onset[0], VOCABULARY.step_seconds
    onset = notes.onset - first
    moments = np.concatenate([onset, onset + notes.duration])
    steps, where = np.unique(_nearest_steps(moments), return_index=True)  # onsets first
    within = 0.499999 * step  # of the step: no moment is rounded to another one later
    moments = np.clip(moments[where], steps * step - within, steps * step + within)

    def exact(seconds: np.ndarray) -> np.ndarray:
        wanted = _nearest_steps(seconds)
        at = np.minimum(np.searchsorted(steps, wanted), len(steps) - 1)
        return np.where(steps[at] == wanted, moments[at], seconds)

    loudest: dict[tuple[int, int], int] = {}
    keys = zip(_nearest_steps(onset).tolist(), notes.pitch.tolist(), strict=True)
    for key, velocity in zip(keys, notes.velocity.tolist(), strict=True):
        loudest[key] = max(velocity, loudest.get(key, 0))
    keys = zip(_nearest_steps(held.onset).tolist(), held.pitch.tolist(), strict=True)
    velocity = np.array([loudest[key] for key in keys])
    onset, end = exact(held.onset), exact(held.onset + held.duration)
    return Notes.from_unsorted(first + onset, end - onset, held.pitch, velocity, notes.beats)


def _nearest_steps(seconds: np.ndarray) -> np.ndarray:
    """As giblet's tokens round them."""
    return np.floor(seconds / VOCABULARY.step_seconds + 0.5).astype(int)


class MidiLike:
    """miditok's MIDI-Like vocabulary, on the beats that our reader finds."""

    def __init__(self):
        from miditok import MIDILike, TokenizerConfig

        config = TokenizerConfig(
            pitch_range=(0, 127),
            beat_res={(0, 8): GRID},
            num_velocities=VOCABULARY.n_velocities,
            special_tokens=["PAD", "BOS", "EOS"],
            use_time_signatures=False,
        )
        self.tokenizer = MIDILike(config)
        self.n_ids = len(self.tokenizer)
        self.pad, self.bos, self.eos = (
            self.tokenizer[f"{name}_None"] for name in ("PAD", "BOS", "EOS")
        )

    def __call__(self, notes: Notes) -> np.ndarray:
        """Tokens (n_tokens,) int64 of a piece with beats."""
        import symusic

        places = [_beats_passed(notes, t) for t in (notes.onset, notes.onset + notes.duration)]
        begin, end = (np.rint(GRID * (p - places[0][0])).astype(np.int32) for p in places)
        bins = np.searchsorted(VOCABULARY.velocity_edges, notes.velocity, side="right")
        velocity = self.tokenizer.velocities[bins].astype(np.int8)  # giblet's bins
        columns = begin, np.maximum(end - begin, 1), notes.pitch.astype(np.int8), velocity
        score, track = symusic.Score(GRID), symusic.Track(program=0)
        track.notes = symusic.Note.from_numpy(*columns)
        score.tracks.append(track)
        (sequence,) = self.tokenizer(score)
        return np.array(sequence.ids)

    def n_notes(self, tokens: np.ndarray) -> int:
        """Number of NoteOns."""
        return int(self._is_kind("NoteOn")[tokens].sum())

    def possible(self, tokens: np.ndarray) -> np.ndarray:
        """Ids that may stand at each place of a piece: (n_tokens, n_ids) bool.

        Velocity follows NoteOn, and nothing else; a pitch begins if it does not sound, and ends if
        it does. BOS, EOS and PAD have their probability, as giblet's EOS has.
        """
        on, off = (np.flatnonzero(self._is_kind(kind)) for kind in ("NoteOn", "NoteOff"))
        sounding = np.cumsum(
            (tokens[:, None] == on).astype(np.int8) - (tokens[:, None] == off), axis=0
        )
        sounds = np.zeros((len(tokens), len(on)), bool)
        sounds[1:] = sounding[:-1] > 0
        after_on = np.append(False, self._is_kind("NoteOn")[tokens[:-1]])
        is_velocity = self._is_kind("Velocity")
        possible = after_on[:, None] == is_velocity
        possible[:, on] &= ~sounds
        possible[:, off] &= sounds
        return possible

    def _is_kind(self, kind: str) -> np.ndarray:
        return np.array([name.startswith(kind) for name in self.tokenizer.vocab])


def _beats_passed(notes: Notes, seconds: np.ndarray) -> np.ndarray:
    beats = notes.beats.seconds
    at = np.clip(np.searchsorted(beats, seconds, side="right") - 1, 0, len(beats) - 2)
    return at + (seconds - beats[at]) / (beats[at + 1] - beats[at])


class Giblet774:
    """giblet's vocabulary in the same form."""

    n_ids, pad, bos, eos = VOCABULARY.n_ids, VOCABULARY.pad, VOCABULARY.bos, VOCABULARY.eos

    def __call__(self, notes: Notes) -> np.ndarray:
        return tokenize(notes).astype(np.int64)

    def n_notes(self, tokens: np.ndarray) -> int:
        return int(VOCABULARY.is_note_on(tokens).sum())

    def possible(self, tokens: np.ndarray) -> np.ndarray:
        inputs = np.concatenate([[VOCABULARY.bos], tokens[:-1]])
        return possible_targets(torch.from_numpy(inputs)).numpy()


def gpt2(n_ids: int, context: int) -> nn.Module:
    """GPT-2 with random weights, as wide and deep as giblet's default."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=n_ids,
        n_positions=context,
        n_embd=256,
        n_layer=4,
        n_head=4,
        attn_pdrop=0.0,  # as giblet's; with it torch's fast attention on CPUs is not used
        use_cache=False,
        bos_token_id=None,
        eos_token_id=None,
    )
    return GPT2LMHeadModel(config)


def random_crops(
    pieces: Sequence[Notes], tokenizer, context: int, settings: MusicSettings, seed: int
) -> Iterator[torch.Tensor]:
    """Batches (n, context + 1) of ids with augmentation, as many tokens as the recipe's have."""
    data, rng = settings.data, np.random.default_rng(seed)
    lengths = np.array([len(tokenize(notes)) for notes in pieces], float)
    n = max(1, data.batch_size * data.crop_tokens // context)
    while True:
        batch = np.full((n, context + 1), tokenizer.pad)
        for row in batch:
            notes = pieces[rng.choice(len(pieces), p=lengths / lengths.sum())]
            changed = augmented(notes, data, rng)
            if changed.beats is None:  # MIDI-Like always has beats; they are as slow as the notes
                changed = replace(notes, pitch=changed.pitch, velocity=changed.velocity)
            ids = np.concatenate([[tokenizer.bos], tokenizer(changed), [tokenizer.eos]])
            start = rng.integers(max(1, len(ids) - context))
            cut = ids[start : start + context + 1]
            row[: len(cut)] = cut
        yield torch.from_numpy(batch)


@torch.inference_mode()
def windowed_nats(
    logits_of: Callable[[slice], torch.Tensor], targets: torch.Tensor, length: int
) -> float:
    """Nats of ``targets`` (n,) int64, each scored once, with at least half a window before it.

    ``logits_of`` maps a slice of at most ``length`` places to logits (n_places, n_ids).
    """
    total = 0.0
    for window in scoring_windows(len(targets), length, length // 2):
        logits = logits_of(slice(window.start, window.stop))[window.scored - window.start :]
        scored = targets[window.scored : window.stop]
        total += functional.cross_entropy(logits.float(), scored, reduction="sum").item()
    return total


def gpt2_nats(model: nn.Module, tokens: np.ndarray, tokenizer, context: int) -> float:
    """Nats of a whole piece (n_tokens,), BOS before it."""
    targets, possible = torch.from_numpy(tokens), torch.from_numpy(tokenizer.possible(tokens))
    inputs = torch.cat([torch.tensor([tokenizer.bos]), targets[:-1]])

    def logits_of(part: slice) -> torch.Tensor:
        return model(inputs[None, part]).logits[0].masked_fill(~possible[part], -torch.inf)

    return windowed_nats(logits_of, targets, context)


def our_windowed_nats(
    model: MusicTransformerVAEGAN, notes: Notes, length: int, with_beats: bool
) -> float:
    """The same of one of giblet's; what it hears of a window begins with the window."""
    piece = encoded(notes if with_beats else replace(notes, beats=None))
    z = model.as_latents(model.drawn_latents(0.0))

    def logits_of(part: slice) -> torch.Tensor:
        batch = {key: values[None, part] for key, values in piece.items()}
        batch["origin"] = batch["seconds"][:, :1]
        return model.transformer.logits(model(batch, z=z), batch["possible"])[0]

    return windowed_nats(logits_of, piece["targets"][:-1], length)  # without EOS


def own_z_nats(
    model: MusicTransformerVAEGAN, notes: Notes, generator: torch.Generator
) -> tuple[float, float]:
    """Nats of a piece given z drawn from its posteriors, and KL in nats."""
    with torch.inference_mode():
        batch = {key: values[None] for key, values in encoded(notes).items()}
        posteriors = model.posteriors(batch, generator)
        kl = sum(float(values.sum()) for values in model.latents.kl(posteriors).values())
    z = {name: posterior.z[0].numpy() for name, posterior in posteriors.items()}
    nats = model.nats(tokenize(notes), notes.beats, float(notes.onset[0]), z)
    return float(nats.sum(dtype=float)), kl


def score_ours(model: MusicTransformerVAEGAN, pieces: Sequence[Notes], length: int) -> Totals:
    """Totals of one of giblet's models, in every way."""
    is_vae = model.latents is not None
    totals: Totals = {}

    def add(scored: str, known: str, nats: float) -> None:
        totals[scored, known] = totals.get((scored, known), 0.0) + nats

    suffix = ", drawn z" if is_vae else ""
    for at, notes in enumerate(pieces):
        tokens, first = tokenize(notes), float(notes.onset[0])
        add("streamed", "beats" + suffix, float(model.nats(tokens, notes.beats, first).sum()))
        add("streamed", "no beats" + suffix, float(model.nats(tokens).sum()))
        add("windows", "beats" + suffix, our_windowed_nats(model, notes, length, True))
        add("windows", "no beats" + suffix, our_windowed_nats(model, notes, length, False))
        if is_vae:
            nats, kl = own_z_nats(model, notes, torch.Generator().manual_seed(at))
            add("streamed", "beats, own z", nats)
            add("streamed", "beats, own z + KL", nats + kl)
    return totals


def our_settings(base: MusicSettings, mode: str, kind: str) -> MusicSettings:
    """The recipe with a mode and an attention; what it has of latents and discriminators stays."""
    attention = base.model.transformer.attention.model_copy(update={"kind": kind})
    AttentionSettings.model_validate(attention.model_dump())
    transformer = base.model.transformer.model_copy(update={"attention": attention})
    latents = None if mode == "transformer" else base.model.latents or LatentSettings()
    gan = (base.model.gan or AdversarialSettings()) if mode == "vae_gan" else None
    parts = {"transformer": transformer, "latents": latents, "gan": gan}
    return base.model_copy(update={"model": base.model.model_copy(update=parts)})


def fit_and_score(name: str, pieces: dict, settings: MusicSettings, options) -> tuple[dict, Totals]:
    """What is known of a model's training, and its totals on validation."""
    train, validation = list(pieces["train"].values()), list(pieces["validation"].values())
    tokenizer = MidiLike() if name in ("midilike_counts_5", "gpt2_512", "gpt2_1024") else None
    tokenizer = tokenizer or Giblet774()
    tokens = [tokenizer(notes) for notes in validation]
    facts = {
        "tokens": type(tokenizer).__name__,
        "n_tokens": sum(map(len, tokens)),
        "n_notes": sum(map(tokenizer.n_notes, tokens)),
        "parameters": 0,
        "steps": 0,
        "train_s": 0.0,
        "last_loss": float("nan"),
    }
    if "counts" in name:
        counts = TokenCounts([tokenizer(notes) for notes in train], int(name[-1]), tokenizer.n_ids)
        known = "beats" if name == "midilike_counts_5" else "no beats"
        total = sum(counts.nats(t, tokenizer.possible(t)).sum() for t in tokens)
        return facts, {("streamed", known): float(total)}
    torch.manual_seed(options.seed)
    schedule = settings.schedule
    if name.startswith("gpt2"):
        context = 512 if name == "gpt2_512" else 1024
        model = gpt2(tokenizer.n_ids, context).train()

        def loss_of(batch, step, share):
            logits = model(batch[:, :-1]).logits.float()
            return functional.cross_entropy(
                logits.flatten(0, 1), batch[:, 1:].flatten(), ignore_index=tokenizer.pad
            )

        crops = random_crops(train, tokenizer, context, settings, options.seed)
        facts |= train_for(options.minutes, adamw(model, schedule), schedule, crops, loss_of)
        model.eval()
        nats = sum(gpt2_nats(model, t, tokenizer, context) for t in tokens)
        known = "no beats" if name == "gpt2_774" else "beats"
        totals = {(f"windows of {context}", known): nats}
    else:
        mode, kind = next((m, k) for m in MODES for k in KINDS if name == f"{m}_{k}")
        settings = our_settings(settings, mode, kind)
        model = MusicTransformerVAEGAN(settings.model)
        objective = Objective(settings.losses, settings.model.gan, settings.model.transformer.width)
        data = settings.data
        facts |= train_model(model, objective, train, data, schedule, options.minutes, options.seed)
        if options.models_folder:
            model.save_pretrained(options.models_folder / name)
        totals = score_ours(model, validation, data.crop_tokens)
    return facts | {"parameters": sum(p.numel() for p in model.parameters())}, totals


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="TSV that rows are added to")
    parser.add_argument("--minutes", type=float, required=True, help="of training, each model")
    parser.add_argument("--models", nargs="+", choices=(*PEERS, *OURS), default=DEFAULT)
    parser.add_argument("--models-folder", type=Path, help="giblet's models are saved there")
    parser.add_argument("--recipe", type=Path, help="YAML as of giblet music train")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pieces", type=int, help="validation pieces; default: all")
    parser.add_argument("--training-pieces", type=int, help="default: all")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    recipe = {"data": {"batch_size": 4}}
    if options.recipe:
        recipe = load_yaml(options.recipe)
    settings = parse_recipe(recipe, str(options.recipe))
    done = {name for (name,) in finished(options.out, ["model"])}
    wanted = [name for name in options.models if name not in done]
    if not wanted:
        return
    pieces = {
        part: {k: exact_notes(v) for k, v in read_pieces(options.data / part, n).items()}
        for part, n in (("train", options.training_pieces), ("validation", options.pieces))
    }
    seconds = sum(notes.end - notes.onset[0] for notes in pieces["validation"].values())
    n_notes = sum(map(len, pieces["validation"].values()))
    for name in wanted:
        print(f"{name} …", flush=True)
        begin = time.process_time()
        facts, totals = fit_and_score(name, pieces, settings, options)
        if facts["n_notes"] != n_notes:
            raise SystemExit(f"{name}: {facts['n_notes']} notes in its tokens, not {n_notes}")
        rows = [
            {
                "model": name,
                "scored": scored,
                "known": known,
                "nats_per_token": total / facts["n_tokens"],
                "nats_per_note": total / n_notes,
                "nats_per_second": total / seconds,
                "minutes": options.minutes if facts["steps"] else 0.0,
                "seed": options.seed,
                **facts,
                "all_s": time.process_time() - begin,
            }
            for (scored, known), total in totals.items()
        ]
        append_rows(options.out, rows)


if __name__ == "__main__":
    main()
