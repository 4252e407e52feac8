"""What `giblet doctor` says of scans before the run, for tables of properties."""

import re
from pathlib import Path

from giblet.commands.doctor.data_sizes import measure
from giblet.config.config import parse_config


def check_doctor(case, source: Path, t_r: float = 2.0, **scan) -> None:
    """Doctor stops where the run of a `Case` would, and warns where it would.

    ``scan``: keys of the config's section.
    """
    settings = {"film": "none", "bold": str(source), "dataset": "scans", "t_r": t_r, "scan": scan}
    _sizes, lines, problems = measure(parse_config(settings))
    if isinstance(case.right, str):
        assert any(re.search(case.right, problem) for problem in problems), problems
    else:
        assert not problems
        mark = "    WARNING: "
        warned = [line.removeprefix(mark) for line in lines if line.startswith(mark)]
        assert any(re.search(case.warning, line) for line in warned), warned
