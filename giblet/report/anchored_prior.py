"""The curve of the anchored prior: a figure, a table, and one word for what was heard."""

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from giblet.report.extras import TextTable
from giblet.report.material import Material
from giblet.report.pictures import Picture, ink
from giblet.report.systems import SYSTEMS
from giblet.report.tables import number
from giblet.stats.permutation import holm

SOUND, SLOW, NOVELTY = "identification_sound_10way", "identification_10way", "novelty"
BRAINS = {"brain": "brain_shuffled", "brain_group": "brain_group_shuffled"}
TRUE, ORIGINAL = "true_slow_part", "original"
STYLES = {
    "brain": ("#1b82c5", "o-"),
    "brain_group": ("#009E73", "s-"),
    TRUE: ("#D55E00", "^-"),
    "brain_shuffled": ("#777777", "x:"),
    "brain_group_shuffled": ("#aaaaaa", "+:"),
}
LABELS = {name: SYSTEMS[name].label for name in STYLES if name != TRUE}
LABELS[TRUE] = "True slow part (ceiling)"
LARGEST_P, NEW_SHARE, CHANCE = 0.05, 0.5, 0.1
RETRIEVED, RECONSTRUCTED = "retrieved", "reconstructed"
CHANCE_WORD, NO_WORD = "not above chance", "not scored"


def with_prior(material: Material) -> bool:
    """Pages about results of the rule ``anchored_prior`` have the section."""
    return material.extras.prior is not None


def prior_section(material: Material) -> dict:
    """Variables of the section; ``material.extras.prior`` is there."""
    table = material.extras.prior
    kind = " (simulated brains)" if material.simulated else ""
    return {
        "heading": f"Retrieved or reconstructed{kind}",
        "bank": str(table["bank"].iloc[0]),
        "words": words(table),
        "share": f"{100 * NEW_SHARE:.0f} %",
        "prior_figures": prior_figures(material),
        "table": prior_text(table, kind),
        "of_bottleneck": of_bottleneck(table),
    }


def points(table: pd.DataFrame) -> pd.DataFrame:
    """The figure's points: ``column strength identified low high p novelty`` and their ends.

    The null has the novelty of its brain: it is the same sounds, at other moments.
    """
    sound, new = (table[table["metric"] == name] for name in (SOUND, NOVELTY))
    of_brain = {null: brain for brain, null in BRAINS.items()}
    key = sound["column"].replace(of_brain)
    values = ["value", "low", "high"]
    names = {"value": "novelty", "low": "novelty_low", "high": "novelty_high"}
    new = new[["column", "strength", *values]].rename(columns=names | {"column": "of"})
    joined = sound.assign(of=key).merge(new, on=["of", "strength"], how="left")
    joined = joined.rename(columns={"value": "identified"})
    kept = ["column", "strength", "identified", "low", "high", "p", *names.values()]
    return joined[kept].reset_index(drop=True)


def word(table: pd.DataFrame, column: str) -> tuple[str, float]:
    """One of the words for a brain column by its points, and the strength that earns it.

    At each strength clips are above chance if p < .05 after Holm's correction over strengths.
    Then the sound is ``reconstructed`` if its novelty is at least half of that of the film's own
    sound, else ``retrieved``. Of strengths the one that identifies best among those with the
    better word.

    >>> rows = [("brain", 0.0, SOUND, 0.5, 0.001), ("brain", 0.0, NOVELTY, 0.01, np.nan),
    ...         ("brain", 1.0, SOUND, 0.4, 0.001), ("brain", 1.0, NOVELTY, 0.5, np.nan),
    ...         ("original", np.nan, NOVELTY, 0.6, np.nan)]
    >>> names = ["column", "strength", "metric", "value", "p"]
    >>> table = pd.DataFrame(rows, columns=names).assign(low=np.nan, high=np.nan)
    >>> word(table, "brain"), word(table[table["strength"] != 1], "brain")
    (('reconstructed', 1.0), ('retrieved', 0.0))
    """
    shown = points(table)
    shown = shown[shown["column"] == column]
    if shown.empty:
        return NO_WORD, np.nan
    clear = shown[holm(shown["p"].to_numpy(float)) < LARGEST_P]
    if clear.empty:
        return CHANCE_WORD, np.nan
    original = table[(table["column"] == ORIGINAL) & (table["metric"] == NOVELTY)]["value"]
    new = clear[clear["novelty"] >= NEW_SHARE * original.iloc[0]]
    chosen, best = (RETRIEVED, clear) if new.empty else (RECONSTRUCTED, new)
    return chosen, float(best.loc[best["identified"].idxmax(), "strength"])


def words(table: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Of every brain column its label, its word, and at which strength."""
    columns = [name for name in BRAINS if (table["column"] == name).any()]
    found = [(LABELS[name], *word(table, name)) for name in columns]
    return [
        (label, text, "" if np.isnan(strength) else f"at strength {strength:g}")
        for label, text, strength in found
    ]


def of_bottleneck(table: pd.DataFrame) -> str:
    """Identification by sound, at the best strength, as a share of that by the slow part."""
    sentences = []
    for column in BRAINS:
        own = table[table["column"] == column]
        slow = own.loc[own["metric"] == SLOW, "value"]
        sound = own.loc[own["metric"] == SOUND, "value"]
        if len(slow) and len(sound) and slow.iloc[0] > 0:
            share = sound.max() / slow.iloc[0]
            sentences.append(
                f"{LABELS[column]}: {number(sound.max(), 3)} of clips are "
                f"identified by sound at the best strength, {number(slow.iloc[0], 3)} by the slow "
                f"part (ratio {share:.2f})."
            )
    return " ".join(sentences)


def prior_figures(material: Material) -> list[Picture]:
    """Faithfulness against novelty; none without a table, or where no clips were identified."""
    table = material.extras.prior
    if table is None or points(table).empty:
        return []
    title = "Faithfulness against novelty" + " (simulated)" * material.simulated
    note = (
        "One line per system, one point per strength from 0 (the retrieved clip, filled) to 1 "
        "(free). Vertical: clips identified by sound, 10-way, with 95 % intervals over clips; "
        "dashed: chance. Horizontal: 1 - correlation of mel levels with the most similar clip of "
        "the bank; dotted: the original held-out sound."
        + " The brains are SIMULATED."
        * material.simulated
    )
    draw = partial(_draw, table=table)
    return [Picture("anchored_prior", title, draw, (5.6, 3.6), points(table), note)]


def _draw(axes: Axes, table: pd.DataFrame) -> None:
    shown = points(table)
    for column, (colour, style) in STYLES.items():
        rows = shown[shown["column"] == column].sort_values("strength")
        if rows.empty:
            continue
        ends = np.abs(rows[["low", "high"]].to_numpy() - rows[["identified"]].to_numpy()).T
        axes.errorbar(
            rows["novelty"],
            rows["identified"],
            yerr=ends,
            fmt=style,
            color=colour,
            label=LABELS[column],
            markerfacecolor="none",
            linewidth=1,
            elinewidth=0.5,
        )
        first = rows.iloc[0]
        if first["strength"] == 0:
            axes.plot(first["novelty"], first["identified"], style[0], color=colour)
    axes.axhline(CHANCE, color=ink(), linewidth=0.8, linestyle="--")
    original = table[(table["column"] == ORIGINAL) & (table["metric"] == NOVELTY)]["value"]
    axes.axvline(original.iloc[0], color=ink(), linewidth=0.8, linestyle=":")
    axes.set(xlabel="novelty", ylabel="clips identified by sound", ylim=(0, 1.03))
    axes.set_facecolor("none")
    axes.figure.legend(loc="outside upper center", ncols=2, fontsize="small")


def prior_text(table: pd.DataFrame, kind: str = "") -> TextTable:
    """Every point of the figure, and identification by the slow part."""
    header = ["System", "Strength", "Identified by sound", "95 %", "p", "Novelty", "95 %"]
    rows = [
        [
            LABELS[row.column],
            f"{row.strength:g}",
            number(row.identified, 3),
            _interval(row.low, row.high),
            number(row.p, 4),
            number(row.novelty, 3),
            _interval(row.novelty_low, row.novelty_high),
        ]
        for row in points(table).itertuples()
    ]
    return TextTable(f"The prior at every strength{kind}", header, rows)


def _interval(low: float, high: float) -> str:
    return "" if np.isnan(low) else f"{number(low, 3)} to {number(high, 3)}"
