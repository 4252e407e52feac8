"""Verbs before the first run: what is here, what a run will need, a config to begin with."""

from pathlib import Path


def doctor(config: Path | None = None) -> None:
    """What is installed, and what a config will need in time, memory and disk.

    Without ``config`` the demo's. Nothing is run: the needs are estimates, by rule, from headers
    of the film and the scans. Ends with exit code 1 where something would stop the run.

    Example: giblet doctor --config config.yaml
    """
    from giblet.checks import GibletError
    from giblet.config import parse_config
    from giblet.installed import describe_machine
    from giblet.needs import describe_needs
    from giblet.store import load_yaml

    print("\n".join(describe_machine()), flush=True)
    settings = parse_config({} if config is None else load_yaml(config))
    lines, problems = describe_needs(settings)
    print("\n".join(["", f"{config or 'the demo'} (dataset {settings.dataset})", *lines]))
    if problems:
        raise GibletError(f"{len(problems)} of the lines above would stop the run")


def init(source: Path, /, output: Path = Path("config.yaml")) -> None:
    """Write a config for a film, a sound file or a BIDS folder.

    It says what was found, and where. A file that is there already is left alone.

    Example: giblet init film.mp4 --output config.yaml
    """
    from giblet.checks import GibletError
    from giblet.first_config import first_config
    from giblet.replacing import replacing

    if output.exists():
        raise GibletError(f"{output}: is there already; give another name as --output")
    text = first_config(source, str(output))
    with replacing(output) as temporary:
        temporary.write_text(text)
    print(text, end="")
