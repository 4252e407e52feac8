"""What adversarial training and each loss bring to a model that has learned for a while.

    python benchmarks/music_adversarial.py DATA --start FOLDER --start-minutes 60
        --out adversarial.tsv --minutes 20 [--seeds 0 1 2] [--losses none gan ...]

DATA has MIDI in train/ and validation/. The start is trained once, without any extra loss, and
saved in FOLDER; one that is there is used. From it each row goes on for the same minutes of
processor time with one extra loss: ``none`` is what the others must beat, and it makes more steps,
for the extra losses take time. A row that the table has is skipped: a run can be stopped and
continued. Minutes are counted as in ``music_minutes.py``; KL's weight stays what it is at the end.

- gan: discriminators on three scales, all from the beginning; gan_without_r1,
  gan_without_features (no feature matching, discriminators' or musical), gan_weak (weights of .1)
- rhythm, harmony (dissonance and key), voice_leading: constraints, ``--constraint`` nats a unit
  (voice leading a tenth of it: its unit is a semitone)
- token_weights: 3, 2 and 1.5 for notes, timing and velocity
- uncertainty: a learned weight for each kind of token

Columns: ``nats`` per validation token as `model.nats` has them (with latents: one z of the prior),
``nats_own_z`` with the piece's own posterior means, ``bought_other`` and ``bought_prior`` the nats
a token that these save over another piece's z and over a prior z, and overlaps (0 to 1, mgeval's
overlapping area) of generated pieces with human ones: of distances between their histograms of
pitch classes, of their onsets per second and of their histograms of velocity. Row ``human``: other
human pieces in the place of the generated ones, the highest that can be hoped for; row ``start``:
before. Three seeds differ in batches, dropout and drawn pieces, not in the start.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from music_minutes import append_rows, finished, read_pieces, train_model

from giblet.io.tables import load_yaml
from giblet.music.adversarial import AdversarialSettings
from giblet.music.discriminators import DEFAULT_SCALES
from giblet.music.latents import LatentSettings
from giblet.music.losses import ConstraintWeights, TokenWeights
from giblet.music.metrics import overlapping_area
from giblet.music.model import MusicTransformerVAEGAN
from giblet.music.notes import Notes
from giblet.music.objective import LossSettings, Objective
from giblet.music.recipe import MusicSettings, parse_recipe
from giblet.music.scoring import excerpt, latent_scores
from giblet.music.tokens import VOCABULARY, tokenize

LOSSES = (
    "none",
    "gan",
    "gan_without_r1",
    "gan_without_features",
    "gan_weak",
    "rhythm",
    "harmony",
    "voice_leading",
    "token_weights",
    "uncertainty",
)
MODES = ("transformer", "vae")
FEATURES = ("pitch_classes", "onset_density", "velocity")
GENERATED_SECONDS = 15.0


def gan_settings(loss: str) -> AdversarialSettings | None:
    """Discriminators of a row, which all begin at once; None for rows without."""
    if not loss.startswith("gan"):
        return None
    scales = {
        name: scale.model_copy(update={"from_step": 0}) for name, scale in DEFAULT_SCALES.items()
    }
    changes = {
        "gan": {},
        "gan_without_r1": {"r1_weight": 0.0},
        "gan_without_features": {"feature_weight": 0.0, "music_weight": 0.0},
        "gan_weak": {"weight": 0.1, "feature_weight": 0.1, "music_weight": 0.1},
    }
    return AdversarialSettings(scales=scales, **changes[loss])


def objective_of(loss: str, base: LossSettings, constraint: float) -> Objective:
    """What a row learns from."""
    none = dict.fromkeys(ConstraintWeights.model_fields, 0.0)
    constraints = {
        "rhythm": {"rhythm": constraint},
        "harmony": {"dissonance": constraint, "key": constraint},
        "voice_leading": {"voice_leap": constraint / 10},
    }
    if loss in constraints:
        weights = ConstraintWeights(**none | constraints[loss])
        base = base.model_copy(update={"constraints": weights})
    if loss == "token_weights":
        base = base.model_copy(update={"token_weights": TokenWeights()})
    if loss == "uncertainty":
        base = base.model_copy(update={"token_weights": "learned"})
    return Objective(base, gan_settings(loss))


def features_of(notes: Notes) -> dict[str, np.ndarray]:
    """What pieces are compared by: shares, and onsets per second (logarithm)."""
    classes = np.bincount(notes.pitch % 12, minlength=12)
    bins = np.searchsorted(VOCABULARY.velocity_edges, notes.velocity, side="right")
    loudness = np.bincount(bins, minlength=VOCABULARY.n_velocities)
    n_onsets = len(np.unique(notes.onset))
    return {
        "pitch_classes": classes / len(notes),
        "onset_density": np.log([n_onsets / max(notes.end - notes.onset[0], 0.1)]),
        "velocity": loudness / len(notes),
    }


def overlap_with_human(pieces: Sequence[Notes], human: Sequence[Notes]) -> dict[str, float]:
    """Overlapping area of distances between human pieces, and between them and ``pieces``."""
    made, own = (
        [features_of(notes) for notes in each if len(notes) > 1] for each in (pieces, human)
    )
    areas = {}
    for name in FEATURES:
        if not made:
            areas[f"overlap_{name}"] = float("nan")
            continue
        a, b = (np.stack([row[name] for row in rows]) for rows in (made, own))
        between = np.linalg.norm(a[:, None] - b, axis=-1).ravel()
        within = np.linalg.norm(b[:, None] - b, axis=-1)[np.triu_indices(len(b), 1)]
        areas[f"overlap_{name}"] = overlapping_area(between, within)
    return areas


def measure(
    model: MusicTransformerVAEGAN, pieces: dict[str, Notes], human: Sequence[Notes], seed: int
) -> dict[str, float]:
    """The columns of one model."""
    model.eval()
    nats = n_tokens = 0
    for notes in pieces.values():
        tokens = tokenize(notes)
        found = model.nats(tokens, notes.beats, float(notes.onset[0]))
        nats, n_tokens = nats + found.sum(dtype=float), n_tokens + len(tokens)
    bought = dict.fromkeys(("nats_own_z", "bought_other", "bought_prior"), float("nan"))
    if model.latents is not None:
        table = latent_scores(model, pieces).set_index("metric")["value"]
        bought["nats_own_z"] = table["nats_per_token"]
        for kind in ("other", "prior"):
            bought[f"bought_{kind}"] = table[f"nats_bought, {kind}, all"]
    drawn = model.generate(GENERATED_SECONDS, len(human), top_p=1.0, seed=seed)
    return {"nats": nats / n_tokens, **bought, **overlap_with_human(drawn, human)}


def started(folder: Path, train: Sequence[Notes], settings: MusicSettings, options):
    """The model that every row goes on from: the saved one, or one trained now and saved."""
    if (folder / "config.json").exists():
        return MusicTransformerVAEGAN.from_pretrained(folder)
    torch.manual_seed(options.start_seed)
    model = MusicTransformerVAEGAN(settings.model)
    objective = Objective(settings.losses, None)
    minutes, seed = options.start_minutes, options.start_seed
    print(f"start: {minutes} minutes", flush=True)
    train_model(model, objective, train, settings.data, settings.schedule, minutes, seed)
    model.save_pretrained(folder)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--start", type=Path, required=True, help="folder of a saved model")
    parser.add_argument("--start-minutes", type=float, default=30.0)
    parser.add_argument("--start-seed", type=int, default=1000)
    parser.add_argument("--mode", choices=MODES, default="vae", help="of a start to train")
    parser.add_argument("--out", type=Path, required=True, help="TSV that rows are added to")
    parser.add_argument("--minutes", type=float, required=True, help="of training, each row")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--losses", nargs="+", choices=LOSSES, default=LOSSES)
    parser.add_argument("--constraint", type=float, default=0.1)
    parser.add_argument("--recipe", type=Path, help="YAML as of giblet music train")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pieces", type=int, default=24, help="validation pieces for nats")
    parser.add_argument("--generated", type=int, default=32, help="pieces for the overlaps")
    parser.add_argument("--training-pieces", type=int, help="default: all")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    recipe = load_yaml(options.recipe) if options.recipe else {"data": {"batch_size": 4}}
    settings = parse_recipe(recipe, str(options.recipe))
    latents = (settings.model.latents or LatentSettings()) if options.mode == "vae" else None
    bare = settings.model.model_copy(update={"latents": latents, "gan": None})
    settings = settings.model_copy(update={"model": bare})

    rows = [("human", 0), ("start", 0)]
    rows += [(loss, seed) for seed in options.seeds for loss in options.losses]
    done = finished(options.out, ["loss", "seed"])
    rows = [(loss, seed) for loss, seed in rows if (loss, str(seed)) not in done]
    if not rows:
        return
    validation = read_pieces(options.data / "validation", None)
    chosen = dict(list(validation.items())[:: max(1, len(validation) // options.pieces)])
    cut = [excerpt(notes, GENERATED_SECONDS) for notes in validation.values()]
    human, others = cut[::2][: options.generated], cut[1::2][: options.generated]
    train = list(read_pieces(options.data / "train", options.training_pieces).values())
    empty = {"nats": float("nan"), "nats_own_z": float("nan")}
    empty |= {"bought_other": float("nan"), "bought_prior": float("nan")}
    for loss, seed in rows:
        print(f"{loss}, seed {seed} …", flush=True)
        facts, begin = {"steps": 0, "train_s": 0.0, "last_loss": float("nan")}, time.process_time()
        if loss == "human":
            scores = empty | overlap_with_human(others, human)
        else:
            model = started(options.start, train, settings, options)
            if loss != "start":
                objective = objective_of(loss, settings.losses, options.constraint)
                extra = objective.kind_weights
                facts = train_model(
                    model,
                    objective,
                    train,
                    settings.data,
                    settings.schedule,
                    options.minutes,
                    seed,
                    kl_from=1.0,
                    extra=extra,
                )
            scores = measure(model, chosen, human, seed)
        row = {"loss": loss, "seed": seed, "mode": options.mode, "minutes": options.minutes}
        append_rows(options.out, [{**row, **scores, **facts, "all_s": time.process_time() - begin}])


if __name__ == "__main__":
    main()
