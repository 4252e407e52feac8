"""A page of a thousand stimuli stays readable: what has a row or a line each is capped."""

import re

import numpy as np
import pandas as pd
from report.test_page import render

from giblet.report.extras import Extras

N = 1000


def test_warnings_of_many_runs_are_three_and_how_many_more(rng):
    """1,000 SIMULATED stimuli in 20 runs of two people; each table of events has its warning."""
    part = np.repeat(["train", "validation", "test"], [700, 150, 150])
    begin = 6.0 * np.arange(N)
    runs = [f"run-{k // 50 + 1:02d}" for k in range(N)]
    columns = {"start": begin, "end": begin + 1.5, "part": rng.permutation(part), "run": runs}
    files = [f"sub-{s:02d}_run-{r:02d}_events.tsv" for s in (1, 2) for r in range(1, 21)]
    warnings = [f"{file}: {n} stimuli end up to {n} ms too late" for n, file in enumerate(files)]
    extras = Extras(timeline=pd.DataFrame(columns))
    html = render(rng, extras=extras, warnings=[*warnings, "sub-01 moved"])
    listed = re.findall(r"<li>(.*?)</li>", html.split('id="warnings"')[1].split("</section>")[0])
    assert listed[:3] == warnings[-3:]  # the worst
    assert listed[3].startswith("… and 37 more like &#34;sub-02_run-18_events.tsv: 37 stimuli")
    assert listed[4:] == ["sub-01 moved"]
    assert ">41 warnings</a>" in html  # all are counted
    assert len(html) < 12e6
