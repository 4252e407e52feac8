"""A figure, drawn for the page (SVG in the page's ink) and for print (SVG and PDF in black).

The same input gives the same bytes.
"""

import io
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
from matplotlib import rc_context, rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from giblet.brain.nifti import save_volume
from giblet.parallel import worker_processes
from giblet.report.embedded_fonts import fonts_subset_once
from giblet.report.strips import smaller_images

PRINT_POINTS = {89: 7, 183: 8}  # width of a figure in print (mm) → size of its letters (pt)
PAGE_POINTS = 10
CAPTIONS = "captions.md"

_MM_PER_INCH = 25.4
_INK = "#123456"  # stands for the page's text colour, which a dark page changes
_INK_CSS = ":root{--ink:#24292f}@media(prefers-color-scheme:dark){:root{--ink:#d7dce2}}"
_METADATA = {"svg": {"Date": None, "Creator": None}, "pdf": {"CreationDate": None}}
_SAFE = " /:;=,()!@*+$?[]{}|^"  # in a data URI within double quotes; quoting is shorter than base64
_ON_SCREEN = {"dpi": 150, "facecolor": "none"}
_entered = ExitStack()  # for as long as a process lives


@dataclass(frozen=True)
class Picture:
    """A figure of the page, and of the folder of figures.

    name
        Of its files, without an ending.
    title
        Its caption on the page.
    draw
        Draws it on axes; more axes may be added to their figure. Text is in `ink`. A function of
        a module, or a `functools.partial` of one: it may be called in another process.
    size
        Width and height on the page, inches.
    table
        The numbers that are drawn.
    note
        What the caption adds in print and below the figure: samples, thresholds, error rates.
    keeps_shape
        Whether its height grows with its width.
    lossless
        Whether its images keep every pixel on the page.
    volume
        Of a map: its values (i, j, k), NaN outside the brain, and its affine (mm).
    """

    name: str
    title: str
    draw: Callable[[Axes], None]
    size: tuple[float, float]
    table: pd.DataFrame
    note: str = ""
    keeps_shape: bool = False
    lossless: bool = True
    volume: tuple[np.ndarray, np.ndarray] | None = None

    @cached_property
    def uri(self) -> str:
        """As SVG data URI, without dates, in the page's ink."""
        with rc_context(style(_INK, PAGE_POINTS)):
            figure = _drawn(self.draw, self.size)
            target = io.StringIO()
            figure.savefig(target, format="svg", metadata=_METADATA["svg"], **_ON_SCREEN)
        svg = smaller_images(target.getvalue(), self.lossless)
        svg = re.sub(r' d="[^"]*"', _shortened, svg).replace(_INK, "var(--ink)")
        svg = svg.replace('<style type="text/css">', f'<style type="text/css">{_INK_CSS}', 1)
        return "data:image/svg+xml," + quote(svg.replace("\n", " "), safe=_SAFE)

    @property
    def files(self) -> list[tuple[str, str]]:
        """Names of its files in the folder of figures, and what each is."""
        drawn = [
            (f"{self.name}_{width}mm.{kind}", f"{kind.upper()} {width} mm")
            for width in PRINT_POINTS
            for kind in _METADATA
        ]
        maps = [(f"{self.name}.nii.gz", "NIfTI")] if self.volume else []
        return [*drawn, (f"{self.name}.csv", "CSV"), *maps]

    def save(self, folder: Path) -> None:
        """Write its `files` to ``folder``."""
        figure, drawn_points = None, 0.0
        for width, points in PRINT_POINTS.items():
            size = self._print_size(width, points)
            with rc_context(style("black", points)):
                if figure is None or not self.keeps_shape:
                    figure = _drawn(self.draw, size)
                else:  # maps take longest to draw, and their parts keep their places
                    _resize(figure, size, points / drawn_points)
                drawn_points = points
                for kind, metadata in _METADATA.items():
                    file = folder / f"{self.name}_{width}mm.{kind}"
                    figure.savefig(file, metadata=metadata, dpi=300, facecolor="none")
                    figure.set_layout_engine("none")  # it is laid out: the same in both files
        self.table.to_csv(folder / f"{self.name}.csv", index=False, float_format="%.6g")
        if self.volume:
            save_volume(folder / f"{self.name}.nii.gz", *self.volume)

    def _print_size(self, width: float, points: float) -> tuple[float, float]:
        inches = width / _MM_PER_INCH
        if self.keeps_shape:
            return inches, inches * self.size[1] / self.size[0]
        return inches, self.size[1] * points / PAGE_POINTS


def ink() -> str:
    """The colour of text where a figure is being drawn."""
    return rcParams["text.color"]


def save_pictures(pictures: Iterable[Picture], folder: Path) -> None:
    """Write every picture to ``folder``, which exists, and their captions."""
    pictures = list(pictures)
    with fonts_subset_once():
        for picture in pictures:
            picture.save(folder)
    _save_captions(pictures, folder)


@contextmanager
def pictures_saved(pictures: Iterable[Picture], folder: Path, n_jobs: int) -> Iterator[None]:
    """`save_pictures` after the block; with several jobs from its beginning, by other processes.

    The block is one of ``n_jobs``. After it, this process saves what no other has begun. The files
    are the same for any ``n_jobs``. Raises as `giblet.parallel.worker_processes` does.
    """
    pictures = list(pictures)
    if n_jobs == 1:
        yield
        save_pictures(pictures, folder)
        return
    with worker_processes(n_jobs - 1, _begin_saving) as processes:
        # copies, as the block may draw a picture for the page while it is sent
        saved = [processes.submit(replace(one).save, folder) for one in pictures]
        yield
        with fonts_subset_once():
            for picture, one in zip(reversed(pictures), reversed(saved), strict=True):
                if one.cancel():
                    picture.save(folder)
        for one in saved:
            if not one.cancelled():
                one.result()
    _save_captions(pictures, folder)


def _save_captions(pictures: list[Picture], folder: Path) -> None:
    captions = [f"- **{one.name}**: {one.title}. {one.note}".strip() for one in pictures]
    text = "\n".join(["# Figures", "", *captions, ""])
    (folder / CAPTIONS).write_text(text, encoding="utf-8")


def _begin_saving() -> None:
    """For a process that only saves pictures."""
    _entered.enter_context(fonts_subset_once())


def _drawn(draw: Callable[[Axes], None], size: tuple[float, float]) -> Figure:
    figure = Figure(figsize=size, layout="constrained", facecolor="none")
    axes = figure.subplots()
    axes.set_facecolor("none")
    draw(axes)
    return figure


def _resize(figure: Figure, size: tuple[float, float], larger: float) -> None:
    """Give a figure another size (inches), and letters that are ``larger`` times as large."""
    for text in figure.findobj(Text):
        text.set_fontsize(text.get_fontsize() * larger)
    figure.set_size_inches(size)


def style(colour: str, points: float) -> dict:
    """matplotlib's settings while a figure is drawn: text and axes in ``colour``, no box."""
    names = ("axes.edgecolor", "axes.labelcolor", "legend.labelcolor", "text.color")
    return dict.fromkeys((*names, "xtick.color", "ytick.color"), colour) | {
        "axes.spines.right": False,
        "axes.spines.top": False,
        "font.size": points,
        "legend.frameon": False,
        "lines.markersize": 0.6 * points,
        "pdf.fonttype": 42,
        "svg.fonttype": "none",
        "svg.hashsalt": "giblet",
        "text.parse_math": False,
    }


def _shortened(outline: re.Match) -> str:
    """An outline in tenths of a point: enough for a screen, and a brain has many."""
    return re.sub(r"(\.\d)\d+", r"\1", outline[0])
