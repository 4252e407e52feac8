"""The ladder for print: spectrogram strips of the same seconds, with one number each."""

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from giblet.report.ladder import Ladder, Score, Strip
from giblet.report.pictures import Picture, ink
from giblet.report.strips import band_edges

LONG = 40  # characters
_VALUE, _NULL = "#1b82c5", "#59636e"


def ladder_figure(ladder: Ladder) -> Picture:
    """A row per strip: its spectrogram, and its number with interval, chance and comparisons."""
    rows = [_row(strip, strip.score) for strip in ladder.strips]
    size = (6.4, 1.4 + 0.95 * len(ladder.strips))
    chosen = f" ({ladder.choice})" if ladder.choice else ""
    who = f" From BOLD: {ladder.heard}." if ladder.heard else ""
    note = (
        f"{ladder.title} of {ladder.source}: {ladder.span}{chosen}.{who} All at the level of the "
        f"original; dB below its loudest band. Right: {ladder.unit}, 95 % interval; dashed: "
        "chance; grey: 95 % of permutations of the clips; ticks: shuffled BOLD and retrieval; "
        "rings: single subjects. Grey band and rings where they are known."
    )
    draw = partial(draw_ladder, ladder=ladder)
    return Picture("ladder", "From the sound to the brain, step by step", draw, size,
                   pd.DataFrame(rows), note)  # fmt: skip


def _row(strip: Strip, score: Score | None) -> dict:
    row: dict = {"step": strip.name, "about": strip.gloss}
    if score is not None:
        row |= {"note": score.why} if score.why else {}
        row |= {"value": score.place / 100, "low": score.low / 100, "high": score.high / 100}
        row |= {name: place / 100 for name, _text, place in score.marks}
    return row


def draw_ladder(axes: Axes, ladder: Ladder) -> None:
    """The strips share one time axis, one frequency axis and one colour bar."""
    figure, n = axes.figure, len(ladder.strips)
    axes.remove()
    every = figure.subplots(n, 2, sharex="col", width_ratios=(3.2, 1), squeeze=False)
    loudest, hz = ladder.strips[0].levels.max(), band_edges(ladder.sample_rate)
    for (left, right), strip in zip(every, ladder.strips, strict=True):
        edges = np.linspace(0, 100, strip.levels.shape[1] + 1)
        options = {"vmin": -ladder.range_db, "vmax": 0, "cmap": "magma", "rasterized": True}
        shades = left.pcolormesh(edges, hz, strip.levels - loudest, **options)
        left.set(yscale="log", ylim=(hz[0], hz[-1]))
        heights = [hz[0] * (hz[-1] / hz[0]) ** (height / 100) for _, height in ladder.frequencies]
        left.set_yticks(heights, [text for text, _ in ladder.frequencies])
        left.minorticks_off()
        named = f"{strip.name} ({strip.gloss})"
        left.set_title(strip.name if len(named) > LONG else named, loc="left", size="medium")
        _draw_score(right, strip.score, ladder.chance)
    every[-1, 0].set_xticks([place for _, place in ladder.ticks], [t for t, _ in ladder.ticks])
    every[-1, 0].set_xlabel(f"minutes and seconds of {ladder.axis}")
    has_chance = np.isfinite(ladder.chance)
    every[-1, 1].set_xlabel("clips identified (%)" if has_chance else "STOI × 100")
    figure.supylabel("kHz", size="medium")
    options = {"location": "bottom", "shrink": 0.5, "aspect": 40, "pad": 0.02}
    figure.colorbar(shades, ax=every, label="dB below the loudest band of the original", **options)


def _draw_score(axes: Axes, score: Score | None, chance: float) -> None:
    axes.set(xlim=(-6, 110), ylim=(-1, 1), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.set_facecolor("none")
    if np.isfinite(chance):
        axes.axvline(chance, color=ink(), linewidth=0.8, linestyle="--")
    if score is None:
        return
    if score.few:
        axes.annotate(score.why.replace(" are ", "\nare "), (52, 0), ha="center", va="center")
        return
    if np.isfinite(score.null).all():
        axes.fill_betweenx([-0.3, 0.3], *score.null, color=ink(), alpha=0.2, linewidth=0)
    if np.isfinite(score.low):
        axes.hlines(0, score.low, score.high, color=_VALUE, linewidth=1.5)
    below = np.full(len(score.subjects), -0.5)
    axes.plot(score.subjects, below, "o", color=_VALUE, fillstyle="none", markersize=3)
    axes.plot(score.place, 0, "o", color=_VALUE)
    axes.annotate(score.text, (score.place, 0.3), (0, 2), textcoords="offset points", ha="center")
    for _name, _text, place in score.marks:
        axes.vlines(place, -0.35, 0.35, color=_NULL, linewidth=1.2)
