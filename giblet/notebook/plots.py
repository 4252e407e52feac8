"""Figures of a run's results, for a notebook: the ladder from film to brain, and maps."""

import io
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import rc_context
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from giblet.brain.cortex import vertex_counts
from giblet.errors import GibletError, unknown_name
from giblet.notebook.ladder_material import ladder_material
from giblet.report.brain_figures import bar_label, place_drawing
from giblet.report.brain_maps import VIEWS
from giblet.report.ladder import ladder
from giblet.report.ladder_figure import ladder_figure
from giblet.report.pictures import PAGE_POINTS, style
from giblet.report.scan_quality import BrainResults, measure_label
from giblet.report.surface_maps import why_no_mesh
from giblet.timing import count_samples, samples_duration

_CAPTION_WIDTH = 112  # characters
_TESTS = {  # endings of maps of p; the longer first
    "_p_max": "family-wise p",
    "_p_tfce": "TFCE, family-wise p",
    "_p": "p",
    "_q": "q",
}


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
        """The page's ladder: the same seconds from the film to the brain, as spectrograms.

        ``begin``: s of held-out sound; None: the page's segment, whatever ``seconds``. Beside each
        strip is one score over all held-out sound. GibletError where there is no sound.
        """
        run = self._results
        material = ladder_material(run, run.sound_folder(feature_type).name)
        moment, rate = None, material.sample_rate
        if begin is not None:
            length = samples_duration(material.n_samples, rate)
            if not 0 <= begin < length or seconds <= 0:
                raise GibletError(
                    f"no sound from {begin:g} s on for {seconds:g} s: held-out sound has 0 to "
                    f"{length:.1f} s"
                )
            end = min(count_samples(begin + seconds, rate), material.n_samples)
            moment = count_samples(begin, rate), end
        if (steps := ladder(material, moment)) is None:
            raise GibletError(f"{run.folder}: no sound to draw a ladder of")
        picture = ladder_figure(steps)
        caption = fill(picture.note, _CAPTION_WIDTH)
        with rc_context(style("black", PAGE_POINTS)):
            width, height = picture.size
            figure = NotebookFigure(figsize=(width, height + 0.8), layout="constrained")
            picture.draw(figure.subplots())
            figure.suptitle(
                f"{picture.title}: {steps.title[0].lower()}{steps.title[1:]}", size="medium"
            )
            figure.supxlabel(caption, size="x-small", x=0.01, ha="left", ma="left")
        return figure

    def map(
        self, name: str, subject: str | None = None, threshold: float | None = None, **options
    ) -> Figure:
        """A map of ``quality`` on a glass brain: of one subject, or the mean over all.

        p and q are drawn as −log10. Values below ``threshold`` are not shown (None: below a
        hundredth of the largest). ``options``: of ``nilearn.plotting.plot_glass_brain``. Scans on
        a surface are drawn on the cortex, values above 0 alone, without options.

        GibletError for no such map or subject, and where there is nothing to draw.
        """
        run = self._results
        base, test = _split(name)
        values, who = _of_subject(run.map(name), name, subject)
        label = bar_label(name).replace("\n", " ") if name.startswith(("isc", "r_")) else ""
        if test:
            values, label = -xr.apply_ufunc(np.log10, values.clip(min=1e-12)), f"−log10 {test[-1]}"
        title = f"{measure_label(base)}{': ' * bool(test)}{test}, {who}"
        title += ", SIMULATED" if run.is_simulated else ""
        largest = float(np.abs(values).max())
        if not largest > 0:
            raise GibletError(f"{name} has no value but 0, nothing to draw")
        threshold = largest / 100 if threshold is None else threshold
        if vertex_counts(run.space.attrs) is not None:
            return _on_cortex(run, values, threshold, label, title)
        return _on_glass(run, values, threshold, label, title, options)


def _of_subject(values: xr.DataArray, name: str, subject: str | None) -> tuple[xr.DataArray, str]:
    """A map (voxel,) of one subject or of all, and whose it is."""
    known = list(values["subject"].values.astype(str)) if "subject" in values.dims else []
    if subject is not None:
        if subject not in known:
            if not known:
                raise GibletError(f"{name} is of all subjects together: leave subject out")
            raise unknown_name(f"subject {subject} in {name}", subject, known)
        return values.sel(subject=subject), subject
    if not known:
        return values, "subjects together"
    n = len(known)
    return values.mean("subject"), f"mean over {n} subjects" if n > 1 else "one subject"


def _split(name: str) -> tuple[str, str]:
    """A map's measure, and which p or q of it the map has.

    >>> _split("r_all_q"), _split("isc_p_tfce"), _split("isc")
    (('r_all', 'q'), ('isc', 'TFCE, family-wise p'), ('isc', ''))
    """
    ending = next((end for end in _TESTS if name.endswith(end)), "")
    return name.removesuffix(ending), _TESTS.get(ending, "")


def _on_glass(
    run: Any, values: xr.DataArray, threshold: float, label: str, title: str, options: dict
) -> Figure:
    from nibabel import Nifti1Image
    from nilearn.plotting import plot_glass_brain

    from giblet.brain.nifti import to_nifti

    image = to_nifti(values, run.space)
    shown = np.nan_to_num(image.get_fdata())
    largest, is_signed = float(np.abs(shown).max()), float(shown.min()) < 0
    low, cmap = (-largest, "RdBu_r") if is_signed else (0.0, "YlOrRd")
    chosen: dict[str, Any] = {"display_mode": "lyrz", "plot_abs": False, "threshold": threshold}
    chosen |= {"vmin": low, "vmax": largest, "cmap": cmap, "colorbar": False} | options
    figure = NotebookFigure(figsize=(9, 2.9))
    figure.suptitle(title, fontsize=10)
    axes = figure.add_axes((0.0, 0.0, 0.9, 0.92))
    plot_glass_brain(Nifti1Image(shown, image.affine), figure=figure, axes=axes, **chosen)
    if not chosen["colorbar"]:
        colours = Normalize(chosen["vmin"], chosen["vmax"]), chosen["cmap"]
        bar = figure.add_axes((0.91, 0.12, 0.015, 0.7))
        figure.colorbar(ScalarMappable(*colours), cax=bar, label=label)
    return figure


def _on_cortex(run: Any, values: xr.DataArray, threshold: float, label: str, title: str) -> Figure:
    if why := why_no_mesh(run.space):
        raise GibletError(why)
    shown = values.where(values >= threshold).values
    if not np.isfinite(shown).any():
        raise GibletError(f"no value of {threshold:g} or more to draw")
    brain = BrainResults(run.quality, pd.DataFrame(), run.space)
    figure = NotebookFigure(figsize=(9, 2.6))
    largest = float(np.nanmax(shown))
    draw = place_drawing(brain, shown, None, tuple(VIEWS), largest=largest, label=label)
    draw(figure.subplots())
    figure.suptitle(title, fontsize=10)
    return figure
