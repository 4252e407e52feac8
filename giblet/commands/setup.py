"""Commands before the first run: check the installation and the data, write a config."""

import sys
from pathlib import Path

from giblet.commands.option_help import OutputFile


def doctor(source: Path | None = None, /, config: Path | None = None) -> None:
    """Check the installation and a config; estimate time, memory and disk.

    Without a config the demo's; for a film, an audio file, a BIDS folder or a table of runs the
    one that ``giblet init`` would write. Nothing is run: estimates per rule are from the headers
    of film and scans. The exit code is 1 where something would stop the run.

    Example: giblet doctor --config config.yaml
    """
    from giblet.commands.doctor.environment import describe_machine
    from giblet.commands.doctor.estimates import describe_needs
    from giblet.config.config import readable_config
    from giblet.errors import GibletError
    from giblet.io.tables import load_yaml
    from giblet.log import visible

    written = _settings_of(source) if config is None else load_yaml(config)
    settings, mistakes, wrong = readable_config(written)
    mistakes = [f"config: {line}" for line in mistakes]
    if settings is None:
        raise GibletError("; ".join(mistakes))
    print("\n".join(describe_machine()), flush=True)
    lines, problems = describe_needs(settings, wrong, mistakes)
    name = config or source or "the demo"
    print("\n".join(map(visible, ["", f"{name} (dataset {settings.dataset})", *lines])))
    if problems:
        raise GibletError(f"{len(problems)} of the lines above would stop the run")


def _settings_of(source: Path | None) -> dict:
    """Settings of a config, or those that `init` would write."""
    import yaml

    from giblet.commands.first_config import first_config
    from giblet.io.tables import load_yaml

    if source is None:
        return {}
    if source.suffix.lower() in (".yaml", ".yml", ".json"):
        return load_yaml(source)
    return yaml.safe_load(first_config(source))


def init(
    source: Path,
    /,
    film: Path | None = None,
    annotations: Path | None = None,
    output: OutputFile = Path("config.yaml"),
) -> None:
    """Write a config for a film, an audio file, a BIDS folder or a table of runs.

    Comments in it name the files that were found and the seconds of film that each run showed; the
    next commands are printed. An existing file is not overwritten.

    Example: giblet init path/to/fmriprep --film film.mp4 --output config.yaml
    """
    import yaml

    from giblet.commands.doctor.film_check import NO_FILM
    from giblet.commands.first_config import LEFT_OUT, NOT_READY, STOP, WARNING, first_config
    from giblet.errors import GibletError
    from giblet.io.atomic import replacing
    from giblet.log import plain_line

    if output.exists():
        raise GibletError(f"{output}: is there already; give another name as --output")
    text = first_config(source, str(output), film, annotations)
    with replacing(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(text, end="", flush=True)
    commands = [line.removeprefix("# ") for line in text.splitlines()[1:3]]
    message = f"{plain_line(str(output))} is written: look through it. Next:"
    print(f"\n{message}", *commands, sep="\n    ", file=sys.stderr)
    for line in text.splitlines():
        for mark in (STOP, NOT_READY, LEFT_OUT, WARNING):
            if (at := line.find(f"# {mark}")) >= 0:
                print(f"\n{line[at + 2 :]}", file=sys.stderr)
    if yaml.safe_load(text).get("film") == "none":
        advice = f"set film: in {plain_line(str(output))}, or give --film"
        print(f"\n{NO_FILM.format(advice)}", file=sys.stderr)
