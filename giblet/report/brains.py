"""What the BOLD of a page is: measured, simulated, or noise in its place."""

from collections.abc import Mapping

SIMULATED, NOISE, MEASURED, NONE = "simulated", "noise", "measured", "none"
BADGES = {SIMULATED: "Simulated BOLD", NOISE: "No data: noise"}
CAUTIONS = {
    SIMULATED: "Simulated BOLD was computed by a forward model, not measured: it says nothing "
    "about people.",
    NOISE: "BOLD was replaced by phase-randomised noise (scan.null): scores from it must be at "
    "chance.",
}
BOLD = {SIMULATED: "simulated BOLD", NOISE: "noise in place of BOLD"}


def brains(facts: Mapping) -> str:
    """``none``, ``simulated``, ``noise`` or ``measured``: the fact ``brains`` of
    `giblet.report.run_record.brains_of`, without it what ``has_bold`` and ``simulated`` say.

    >>> brains({"has_bold": True, "simulated": True, "brains": "noise"})
    'noise'
    >>> brains({"has_bold": True, "simulated": False})
    'measured'
    """
    if known := facts.get("brains"):
        return str(known)
    if not facts["has_bold"]:
        return NONE
    return SIMULATED if facts["simulated"] else MEASURED


def bold_name(facts: Mapping) -> str:
    """BOLD as a sentence names it.

    >>> bold_name({"has_bold": True, "simulated": True})
    'simulated BOLD'
    """
    return BOLD.get(brains(facts), "BOLD")
