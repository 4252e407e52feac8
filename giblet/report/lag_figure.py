"""The film's sound and the BOLD that follows it, at the lag found: are they aligned?"""

from functools import partial

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from giblet.report.pictures import Picture, ink

_SOUND, _BOLD = "#D55E00", "#1b82c5"
MOST_SECONDS = 300.0  # of the film, drawn


def lag_figure(quality: xr.Dataset, simulated: bool) -> Picture | None:
    """Above, both series; below, how well they fit at each lag. None without a lag in the file.

    ``quality``: with ``lag_fit``, ``lag_sound`` and ``lag_bold`` of
    `giblet.alignment.lag.lag_arrays`; older results have none.
    """
    if "lag_fit" not in quality:
        return None
    series = pd.DataFrame(
        {
            "film_time": quality["lag_time"].values,
            "sound": quality["lag_sound"].values,
            "bold": quality["lag_bold"].values,
        }
    )
    curve = pd.DataFrame({"lag": quality["lag_shift"].values, "fit": quality["lag_fit"].values})
    interval = [float(quality[name]) for name in ("lag", "lag_low", "lag_high")]
    times = series["film_time"]
    length = float(times.iloc[-1] - times.iloc[0] + times.diff().median())
    shown = f"; the first {MOST_SECONDS:.0f} s are drawn" * (length > MOST_SECONDS)
    r = float(np.corrcoef(series["sound"], series["bold"])[0, 1])
    title = "Alignment: the film's sound and BOLD" + " (simulated)" * simulated
    note = (
        f"Sound level through the HRF, at the lag found ({interval[0]:.2f} s), and the voxels "
        "that fit it best: the two agree even where onsets are wrong. Weights of frequency bands "
        f"and voxels are fitted in one half of the scan and drawn in the other, r = {r:.2f}. "
        f"Both are z-scored in each half of the {length:.0f} s that were compared{shown}. Below, "
        "the check: fit is the squared correlation of sound and voxels, mean over voxels; over "
        "lags it should peak near 0; band: 95 % interval."
    )
    draw = partial(draw_lag, series=series, curve=curve, interval=interval)
    return Picture("alignment", title, draw, (6.4, 3.4), pd.concat([series, curve]), note)


def draw_lag(axes: Axes, series: pd.DataFrame, curve: pd.DataFrame, interval: list[float]) -> None:
    """``series``: ``film_time sound bold``; ``curve``: ``lag fit``; ``interval``: lag and ends."""
    figure = axes.figure
    axes.remove()
    above, below = figure.subplots(2, 1, height_ratios=(1.3, 1))
    begin = series["film_time"].iloc[0]
    shown = series[series["film_time"] <= begin + MOST_SECONDS]
    for name, label, colour in (("sound", "sound", _SOUND), ("bold", "BOLD", _BOLD)):
        above.plot(shown["film_time"], shown[name], color=colour, linewidth=1, label=label)
    above.set(xlabel="seconds of film", ylabel="z-score")
    below.plot(curve["lag"], curve["fit"], color=ink(), linewidth=1)
    value, low, high = interval
    below.axvspan(low, high, color=_BOLD, alpha=0.15)
    below.axvline(value, color=_BOLD)
    below.axvline(0, color=ink(), linewidth=0.6, linestyle="--")
    below.set(xlabel="lag of the scan behind the film (s)", ylabel="fit (mean r²)")
    for one in (above, below):
        one.set_facecolor("none")
    figure.legend(*above.get_legend_handles_labels(), loc="outside upper right", ncols=2)
