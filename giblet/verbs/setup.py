"""Verbs before the first run: what is here, what a run will need, a config to begin with."""

import sys
from pathlib import Path


def doctor(source: Path | None = None, /, config: Path | None = None) -> None:
    """What is installed, and what a config will need in time, memory and disk.

    Without one the demo's; of a film, a sound file or a BIDS folder, what ``giblet init`` would
    write. Nothing is run: the needs are estimates, by rule, from headers of the film and the
    scans. Ends with exit code 1 where something would stop the run.

    Example: giblet doctor --config config.yaml
    """
    from giblet.checks import GibletError
    from giblet.config import parse_config
    from giblet.installed import describe_machine
    from giblet.logbook import visible
    from giblet.needs import describe_needs
    from giblet.store import load_yaml

    settings = parse_config(_settings_of(source) if config is None else load_yaml(config))
    print("\n".join(describe_machine()), flush=True)
    lines, problems = describe_needs(settings)
    name = config or source or "the demo"
    print("\n".join(map(visible, ["", f"{name} (dataset {settings.dataset})", *lines])))
    if problems:
        raise GibletError(f"{len(problems)} of the lines above would stop the run")


def _settings_of(source: Path | None) -> dict:
    """What a config says, or what `init` would write."""
    import yaml

    from giblet.first_config import first_config
    from giblet.store import load_yaml

    if source is None:
        return {}
    if source.suffix.lower() in (".yaml", ".yml", ".json"):
        return load_yaml(source)
    return yaml.safe_load(first_config(source))


def init(source: Path, /, output: Path = Path("config.yaml")) -> None:
    """Write a config for a film, a sound file or a BIDS folder.

    It says what was found and where, and what to do next. A file that is there is left alone.

    Example: giblet init film.mp4 --output config.yaml
    """
    from giblet.checks import GibletError
    from giblet.first_config import first_config
    from giblet.logbook import plain_line
    from giblet.replacing import replacing

    if output.exists():
        raise GibletError(f"{output}: is there already; give another name as --output")
    text = first_config(source, str(output))
    with replacing(output) as temporary:
        temporary.write_text(text)
    print(text, end="", flush=True)
    commands = [line.removeprefix("# ") for line in text.splitlines()[1:3]]
    said = f"{plain_line(str(output))} is written: look through it. Next:"
    print(f"\n{said}", *commands, sep="\n    ", file=sys.stderr)
