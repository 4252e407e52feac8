"""Figures of a run's results, for a notebook: the ladder from film to brain, and maps."""

import io
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from giblet.errors import GibletError
from giblet.report.strips import (
    HOP_SECONDS,
    MARKS_HZ,
    RANGE_DB,
    band_edges,
    level_gains,
    strip_levels,
)
from giblet.timing import count_samples

LADDER = ("original", "codec", "stimulus", "brain")
_METRIC, _CHANCE = "identification_sound_10way", 0.1


class NotebookFigure(Figure):
    """A figure that a notebook shows, also where pyplot was never imported."""

    def _repr_png_(self) -> bytes:
        target = io.BytesIO()
        self.savefig(target, format="png", dpi=110)
        return target.getvalue()


class Plots:
    """Figures (matplotlib) of a run's results (`giblet.notebook.results.Results`)."""

    def __init__(self, results: Any):
        self._results = results

    def __repr__(self) -> str:
        return "Plots(ladder, map)"

    def ladder(
        self, begin: float | None = None, seconds: float = 8.0, feature_type: str | None = None
    ) -> Figure:
        """The same seconds of held-out sound from the film to the brain, as spectrograms.

        Beside each, how often the right clip of ten is identified from the sound. ``begin``: s of
        held-out sound; None: its middle. All have one level and one colour scale: dB below the
        loudest of the original.
        """
        run = self._results
        names = [column for column in LADDER if run.has_sound(column, feature_type)]
        if not names:
            raise GibletError(f"{run.folder}: no sound to draw a ladder of")
        sounds = [run.audio(column, feature_type) for column in names]
        rate = sounds[0].sample_rate
        if begin is None:
            begin = max(0.0, (sounds[0].seconds - seconds) / 2)
        first = count_samples(begin, rate)
        waves = [np.asarray(s)[first : first + count_samples(seconds, rate)] for s in sounds]
        if not len(waves[0]):
            raise GibletError(f"the held-out sound ends at {sounds[0].seconds:.1f} s")
        gains = level_gains(waves)
        levels = [strip_levels(g * w, rate) for g, w in zip(gains, waves, strict=True)]
        hz, loudest = band_edges(rate), levels[0].max()
        figure = NotebookFigure(figsize=(7.2, 1.2 + 1.2 * len(names)), layout="constrained")
        every = figure.subplots(len(names), 2, sharex="col", width_ratios=(4, 1), squeeze=False)
        for (strip, dot), name, db in zip(every, names, levels, strict=True):
            times = begin + HOP_SECONDS * (np.arange(db.shape[1] + 1) - 0.5)
            shades = strip.pcolormesh(
                times, hz, db - loudest, vmin=-RANGE_DB, vmax=0, cmap="magma", rasterized=True
            )
            strip.set_yscale("log")
            strip.set_ylim(hz[0], hz[-1])
            ticks = [tick for tick in MARKS_HZ if tick < hz[-1]]
            strip.set_yticks(ticks, [f"{tick / 1000:g}" for tick in ticks])
            strip.minorticks_off()
            strip.set_title(run.label(name, feature_type), loc="left", fontsize=9)
            self._draw_share(dot, name, feature_type)
        every[-1, 0].set_xlabel("s of held-out film")
        every[-1, 1].set_xlabel("right clip of ten")
        figure.supylabel("kHz", fontsize=9)
        figure.colorbar(shades, ax=every[:, 0], label="dB", fraction=0.03)
        return figure

    def _draw_share(self, axes, column: str, feature_type: str | None) -> None:
        """A dot with its interval, and the shuffled BOLD's beside the brain's."""
        axes.set(xlim=(-0.03, 1.03), ylim=(-1, 1), yticks=[])
        axes.axvline(_CHANCE, color="0.6", lw=1, ls=":")
        if not self._results.has_scores:
            return
        shuffled = f"{column}_shuffled"
        score = self._results.score
        rows = [score(name, _METRIC, feature_type) for name in (column, shuffled)]
        for y, row in enumerate(rows):
            if row is None:
                continue
            colour = "0.6" if y else "k"
            axes.plot([row["low"], row["high"]], [-0.5 * y] * 2, color=colour)
            axes.plot(row["value"], -0.5 * y, "o", color=colour, mfc="w" if y else colour)
            axes.annotate(f"{row['value']:.2f}", (row["value"], -0.5 * y), (0, 5), ha="center",
                          textcoords="offset points", fontsize=8, color=colour)  # fmt: skip

    def map(
        self, name: str, subject: str | None = None, threshold: float | None = None, **options
    ) -> Figure:
        """A map of ``quality`` on a glass brain: of one subject, or the mean over all.

        Values below ``threshold`` are not shown (None: below a hundredth of the largest).
        ``options``: of ``nilearn.plotting.plot_glass_brain``.
        """
        from nilearn.plotting import plot_glass_brain

        from giblet.brain.nifti import to_nifti

        values = self._results.map(name)
        about = "mean over subjects"
        if subject is not None:
            known = list(values["subject"].values.astype(str)) if "subject" in values.dims else []
            if subject not in known:
                raise GibletError(f"no subject {subject} in {name}: {', '.join(known) or 'none'}")
            values, about = values.sel(subject=subject), subject
        elif "subject" in values.dims:
            values = values.mean("subject")
        else:
            about = "all subjects"
        image = to_nifti(values, self._results.space)
        largest = float(np.abs(image.get_fdata()).max())
        if not largest:
            raise GibletError(f"{name} has no value but 0")
        if self._results.is_simulated:
            about += ", SIMULATED"
        figure = NotebookFigure(figsize=(9, 2.8))
        figure.suptitle(f"{name}, {about}", fontsize=10)
        is_signed = float(image.get_fdata().min()) < 0
        chosen = {"display_mode": "lyrz", "colorbar": True, "plot_abs": False, "vmax": largest}
        chosen |= {"threshold": largest / 100 if threshold is None else threshold}
        chosen |= {"symmetric_cbar": is_signed, "cmap": "RdBu_r" if is_signed else "inferno_r"}
        plot_glass_brain(image, figure=figure, **(chosen | options))
        return figure
