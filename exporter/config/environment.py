"""
A variable such as `FLYTE_EXPORTER__SCRAPE__INTERVAL` wins over the file.

Two underscores part the words, because Kubernetes gives every container variables such as
`FLYTE_EXPORTER_PORT` when a Service is called flyte-exporter.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import NamedTuple

from exporter.config import document
from exporter.config.problems import Problem, shown
from exporter.config.settings import SECTIONS

_PREFIX = "FLYTE_EXPORTER__"


class Override(NamedTuple):
    """The value that one variable gives to one setting."""

    variable: str
    value: object


class Overrides(NamedTuple):
    """What the environment says."""

    values: dict[tuple[str, str], Override]
    """By section and key."""
    problems: tuple[Problem, ...]


def variable_for(section: str, key: str) -> str:
    """Return the name of the variable that sets *key* of *section*."""
    return f"{_PREFIX}{section.upper()}__{key.upper()}"


def read(environ: Mapping[str, str]) -> Overrides:
    """Collect the variables with our prefix, each value read as YAML."""
    settings = {
        variable_for(section, key): (section, key)
        for section, model in SECTIONS.items()
        for key in model.model_fields
    }
    values: dict[tuple[str, str], Override] = {}
    problems: list[Problem] = []
    for variable, text in environ.items():
        if not variable.startswith(_PREFIX):
            continue
        if variable not in settings:
            problems.append(_unknown(variable, list(settings)))
            continue
        value, sentences = _value(text)
        values[settings[variable]] = Override(variable, value)
        path = ".".join(settings[variable])
        problems += [Problem(sentence=each, path=path, variable=variable) for each in sentences]
    return Overrides(values, tuple(problems))


def _value(text: str) -> tuple[object, list[str]]:
    try:
        read_text = document.read(text)
    except document.MalformedError as error:
        return document.UNREAD, [error.fault.sentence]
    return read_text.value, [fault.sentence for fault in read_text.faults]


def _unknown(variable: str, known: list[str]) -> Problem:
    # The prefix is left out, or every two names would look alike.
    names = [name.removeprefix(_PREFIX) for name in known]
    near = get_close_matches(variable.removeprefix(_PREFIX).upper(), names, n=1, cutoff=0.75)
    advice = f"did you mean {_PREFIX}{near[0]}?" if near else f"the form is {_PREFIX}SECTION__KEY."
    return Problem(sentence=f"unknown key; {advice}", variable=shown(variable))
