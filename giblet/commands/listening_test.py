"""A listening test: a page for listeners, and the statistics of their answers."""

from pathlib import Path

from giblet.commands.option_help import OutputFile


def make(
    results: Path,
    page: OutputFile,
    key: OutputFile,
    feature_type: str = "encodec",
    clips: int = 10,
    rated_clips: int = 5,
    seconds: float = 4.0,
    seed: int = 0,
) -> None:
    """Write a page to send to listeners, and the key to their answers.

    First comparisons: which of two recordings is a decoded clip of? Then MUSHRA screens with a
    hidden reference and anchors. The page holds all sounds, needs no network and names no column;
    each listener saves a file of answers. Keep the key for `giblet listening_test score`.

    Example: giblet listening_test make --results results/demo --page test.html --key key.json
    """
    import numpy as np

    from giblet.io.atomic import replacing
    from giblet.io.tables import save_json
    from giblet.listening_test import trials
    from giblet.listening_test.page import render_test
    from giblet.timing import count_samples

    sounds, rate, facts = _results(results, feature_type)
    rng = np.random.default_rng(seed)
    n_samples = min(map(len, sounds.values()))
    starts = trials.clip_starts(n_samples, rate, seconds, clips)
    _warn_of_fewer(len(starts), clips)
    chosen = [column for column in trials.CHOSEN if column in sounds]
    rated = [column for column in trials.RATED if column in sounds]
    rated_numbers = np.linspace(0, len(starts) - 1, min(rated_clips, len(starts))).astype(int)
    screens = trials.choice_trials(chosen, len(starts), rng)
    screens += trials.rating_trials(rated, rated_numbers.tolist(), rng)
    length = count_samples(seconds, rate)
    waves = [trials.trial_waveforms(one, sounds, starts, length, rate) for one in screens]
    html, answers_key = render_test(screens, waves, rate, "Listening test")
    with replacing(page) as temporary:
        temporary.write_text(html, encoding="utf-8")
    settings = {"feature_type": feature_type, "seconds": seconds, "seed": seed, "sample_rate": rate}
    save_json(answers_key | facts | settings | {"clip_samples": starts.tolist()}, key)


def score(answers: Path, key: Path, scores: OutputFile) -> None:
    """Analyse the answers of a listening test, by listener and of all.

    Shares of right choices (a half is chance) and mean ratings, with 95 % intervals: of one
    listener binomial, of all from a mixed model of listeners and clips.

    Example: giblet listening_test score --answers answers --key key.json --scores listening.tsv
    """
    import pandas as pd

    from giblet.errors import GibletError
    from giblet.io.tables import load_json, save_table
    from giblet.listening_test.analysis import EVERYONE, choice_table, rating_table
    from giblet.listening_test.answers import load_answers

    content = load_json(key)
    if not {"test", "trials"} <= content.keys():
        raise GibletError(f"{key}: no key of a listening test, as `make` writes it")
    table = load_answers(answers, content)
    scored = pd.concat([choice_table(table), rating_table(table)], ignore_index=True)
    save_table(scored, scores)
    n_listeners = table["listener"].nunique()
    print(f"{n_listeners} listeners{', SIMULATED brains' if content.get('simulated') else ''}")
    for row in scored[scored["listener"] == EVERYONE].itertuples():
        unit = "of choices right" if row.kind == "choice" else "mean rating"
        print(f"{row.column}: {row.value:.3g} {unit}, 95 % {row.low:.3g} to {row.high:.3g}")


def _results(results: Path, feature_type: str) -> tuple[dict, int, dict]:
    """Sounds by column, their sample rate, and facts for the key."""
    from giblet.audio.files import read_sound
    from giblet.errors import GibletError
    from giblet.io.arrays import open_arrays
    from giblet.io.schema import ALIGNED
    from giblet.report.results import SAMPLE_RATE

    folder = results / "audio" / feature_type
    files = {file.stem: file for file in sorted(folder.glob("*.wav"))}
    if not {"original", "stimulus"} <= files.keys():
        raise GibletError(
            f"{folder}: no original.wav and stimulus.wav: run `snakemake reconstruct_audio` "
            "first, or name the other --feature-type"
        )
    with open_arrays(results / "aligned" / f"{feature_type}.nc", *ALIGNED) as aligned:
        simulated = "SIMULATED" in aligned.attrs.get("bold_source", "")
        facts = {"dataset": results.name, "film": aligned.attrs["film"], "simulated": simulated}
        facts["input"] = aligned.attrs["input"]
    return {name: read_sound(file, SAMPLE_RATE) for name, file in files.items()}, SAMPLE_RATE, facts


def _warn_of_fewer(n_clips: int, wanted: int) -> None:
    import logging

    if n_clips < wanted:
        message = "the held-out sound has room for %d clips, not %d"
        logging.getLogger(__name__).warning(message, n_clips, wanted)
