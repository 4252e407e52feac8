"""``config/README.md`` and a JSON schema for editors, written from the settings' descriptions."""

import json

from giblet.config.config import Config, all_settings


def settings_page() -> str:
    """The text of ``config/README.md``: a table of every setting."""
    rows = [
        f"| `{name}` | {_kind(schema)} | `{json.dumps(schema['default'])}` "
        f"| {schema['description']} |\n"
        for name, schema in all_settings(Config)
    ]
    return _PAGE + "".join(rows)


def settings_schema() -> str:
    """The text of ``workflow/schemas/config.schema.json``: what editors and validators read.

    giblet itself checks a config with the same classes, and says more.
    """
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(head | Config.model_json_schema(), indent=2) + "\n"


_PAGE = """# Settings

`config.yaml` holds what differs from the defaults below; `--configfile mine.yaml` and
`--config t_r=2.0 training='{max_epochs: 5}'` come on top. A name with a dot is a key inside a
section: `training.max_epochs` is `training: {max_epochs: 5}`. A misspelt key, a wrong type or a
value out of range is an error before anything runs.

This page is written by code. After a change of the settings in `giblet/config`:
`python -c "from giblet.config.docs import *; print(settings_page(), end='')" > config/README.md`
and `settings_schema()` the same way > `workflow/schemas/config.schema.json`. Editors take that file
when a config begins with `# yaml-language-server: $schema=../workflow/schemas/config.schema.json`.

| key | value | default | meaning |
|---|---|---|---|
"""
_KINDS = {
    "array": "list",
    "boolean": "true, false",
    "integer": "whole number",
    "number": "number",
    "string": "text",
}
_LIMITS = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}


def _kind(schema: dict) -> str:
    """
    >>> _kind({"type": "number", "minimum": 0.1, "maximum": 60}), _kind({"enum": ["a", "b"]})
    ('number ≥ 0.1 and ≤ 60', 'a, b')
    """
    if "anyOf" in schema:
        return " or ".join(map(_kind, schema["anyOf"]))
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return ", ".join(schema["enum"])
    limits = [f"{sign} {schema[name]:g}" for name, sign in _LIMITS.items() if name in schema]
    return " ".join([_KINDS.get(schema["type"], schema["type"]), " and ".join(limits)]).strip()
