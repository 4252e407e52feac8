"""A figure of how a run's processor minutes grow with hours of film, people and voxels."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

LABELS = {"trs": "hours of film", "subjects": "people", "voxels": "voxels"}
_SHOWN = 5  # rules with most growth, beside the whole job


def exponent(sizes: np.ndarray, minutes: np.ndarray) -> float:
    """Slope of log minutes against log size, by least squares: 1 is linear.

    >>> round(exponent(np.array([1, 2, 4]), np.array([3.0, 6.0, 12.0])), 3)
    1.0
    """
    return float(np.polyfit(np.log(sizes), np.log(minutes), 1)[0])


def draw(measured: Mapping[str, Mapping[float, Mapping[str, float]]], t_r: float, file: Path):
    """Draw a panel for each of "trs", "subjects" and "voxels" that was measured.

    ``measured``: what grows → size → rule → processor seconds; the whole job is "whole job".
    Lines are the whole job and the rules that grow most; the legend has their `exponent`, which
    fixed costs (imports) make smaller. ``t_r`` in seconds.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    panels = figure.subplots(1, len(measured), sharey=True, squeeze=False)[0]
    for panel, (what, by_size) in zip(panels, measured.items(), strict=True):
        numbers = sorted(by_size)
        sizes = np.array(numbers, float) * (t_r / 3600 if what == "trs" else 1)
        names = set.intersection(*(set(by_size[n]) for n in numbers)) - {"whole job"}
        growth = {name: by_size[numbers[-1]][name] - by_size[numbers[0]][name] for name in names}
        most = sorted(growth, key=lambda name: -growth[name])[:_SHOWN]
        for name in ["whole job", *most]:
            minutes = np.array([by_size[n][name] for n in numbers]) / 60
            if not (minutes > 0).all():
                continue
            label = f"{name}: {exponent(sizes, minutes):.2f}"
            panel.loglog(
                sizes,
                minutes,
                marker="o",
                markersize=3,
                label=label,
                lw=2 if name[:5] == "whole" else 1,
            )
        panel.set_xlabel(LABELS[what])
        panel.set_xticks(sizes, [f"{size:.3g}" for size in sizes], minor=False)
        panel.minorticks_off()
        panel.legend(fontsize=6, title="exponent", title_fontsize=6)
    panels[0].set_ylabel("processor minutes")
    figure.savefig(file)
