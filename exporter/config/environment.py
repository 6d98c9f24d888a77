"""
A variable such as `FLYTE_EXPORTER__SCRAPE__INTERVAL` wins over the file.

Two underscores part the words, because Kubernetes gives every container variables such as
`FLYTE_EXPORTER_PORT` when a Service is called flyte-exporter.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import NamedTuple

from exporter.config import advice, document
from exporter.config.document import KeyPath
from exporter.config.problems import Place, Problem, dotted, shown
from exporter.config.tree import SETTINGS

_PREFIX = "FLYTE_EXPORTER__"


class Supplied(NamedTuple):
    """A value that does not come from the configuration file itself."""

    value: object
    place: Place


class Overrides(NamedTuple):
    """What the environment says."""

    values: dict[KeyPath, Supplied]
    """By the path of the setting."""
    problems: tuple[Problem, ...]


def variable_for(path: KeyPath) -> str:
    """Return the name of the variable that gives the setting at *path* its value."""
    return _PREFIX + "__".join(str(part).upper() for part in path)


def read(environ: Mapping[str, str]) -> Overrides:
    """Collect the variables with our prefix, each value read as YAML."""
    settings = {variable_for(path): path for path in SETTINGS}
    values: dict[KeyPath, Supplied] = {}
    problems: list[Problem] = []
    for variable, text in environ.items():
        if not variable.startswith(_PREFIX):
            continue
        if variable not in settings:
            problems.append(_unknown(variable, list(settings)))
            continue
        value, sentences = _value(text)
        place = Place(path=dotted(settings[variable]), variable=variable)
        values[settings[variable]] = Supplied(value, place)
        problems += map(place.problem, sentences)
    return Overrides(values, tuple(problems))


def _value(text: str) -> tuple[object, list[str]]:
    try:
        read_text = document.read(text)
    except document.MalformedError as error:
        return document.UNREAD, [error.fault.sentence]
    return read_text.value, [fault.sentence for fault in read_text.faults]


def _unknown(variable: str, known: list[str]) -> Problem:
    # The prefix is left out, or every two names would look alike.
    name = variable.removeprefix(_PREFIX).upper()
    near = get_close_matches(name, [each.removeprefix(_PREFIX) for each in known], n=1, cutoff=0.75)
    if secret := advice.for_secret(name.rpartition("__")[2].lower()):
        meant = secret
    elif near:
        meant = f"did you mean {_PREFIX}{near[0]}?"
    else:
        meant = f"the form is {_PREFIX}SECTION__KEY."
    return Problem(sentence=f"unknown key; {meant}", variable=shown(variable))
