"""A file and the environment go in; settings come out, or every problem at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from exporter.config import advice, changes, document, environment, expectations, flyte_import
from exporter.config.document import UNREAD, Document, KeyPath
from exporter.config.environment import Supplied
from exporter.config.problems import ConfigError, Place, Problem, dotted, found
from exporter.config.section import Section
from exporter.config.settings import Settings
from exporter.config.tree import SECTIONS, SETTINGS, confidential, field_at, known


def load(path: Path, environ: Mapping[str, str], *, running: Settings | None = None) -> Settings:
    """
    Read the configuration.

    Args:
        path: The YAML file.
        environ: Environment variables; those named `FLYTE_EXPORTER__SECTION__KEY` win over it,
            and what flytekit reads from there is heeded where neither says otherwise.
        running: What this process runs with, if it is to go on with what is read.

    Raises:
        ConfigError: It cannot be used; holds everything that is wrong.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        sentence = f"cannot be read: {reason}."
        raise ConfigError([Problem(sentence=sentence, file=path)]) from error
    return decode(content, file=path, environ=environ, running=running)


def decode(
    content: bytes, *, file: Path, environ: Mapping[str, str], running: Settings | None = None
) -> Settings:
    """
    Read the configuration from the *content* of a file, and from a file of flytectl that it names.

    Args:
        content: YAML in UTF-8.
        file: The name that messages give it.
        environ: As for `load`.
        running: As for `load`.

    Raises:
        ConfigError: It cannot be used; holds everything that is wrong.
    """
    try:
        written = document.read(document.decoded(content))
    except document.MalformedError as error:
        raise ConfigError([_in_file(error.fault, file)]) from error
    overrides = environment.read(environ)
    own = _Sources(file, written, overrides.values)
    imported = flyte_import.read(own.of_admin(), environ)
    sources = _Sources(file, written, {**imported.values, **overrides.values})
    tree, problems = sources.merged()
    problems += [_in_file(fault, file) for fault in written.faults]
    problems += (*imported.problems, *overrides.problems)
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        details = error.errors(include_url=False)
        problems += [sources.problem(each) for each in details if _is_news(each)]
        raise ConfigError(_own_first(problems, file)) from error
    if running is not None:
        fixed = changes.refused(running, settings)
        problems += [sources.at(path, sentence) for path, sentence in fixed.items()]
    if problems:
        raise ConfigError(_own_first(problems, file))
    return settings


@dataclass(frozen=True, slots=True)
class _Sources:
    """Where each value came from, so that a problem can be laid at its door."""

    file: Path
    document: Document
    supplied: Mapping[KeyPath, Supplied]
    """What does not come from the file, by the path of the setting."""

    def of_admin(self) -> dict[KeyPath, Supplied]:
        """Return what is set about Flyte Admin, and where."""
        return {
            path: Supplied(value, self._place(path))
            for path in SETTINGS
            if path[0] == "admin" and (value := self._value(path)) is not None
        }

    def _value(self, path: KeyPath) -> object:
        if path in self.supplied:
            return self.supplied[path].value
        value = self.document.value
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        return value

    def merged(self) -> tuple[dict[str, object], list[Problem]]:
        """Lay what is supplied over the file."""
        match self.document.value:
            case dict() as top:
                pass
            case None:
                sentence = "nothing is set in it; it must at least set admin.endpoint."
                raise ConfigError([Problem(sentence=sentence, file=self.file)])
            case document.Unread():
                raise ConfigError(_in_file(fault, self.file) for fault in self.document.faults)
            case other:
                # Somebody may have named the file that holds the secret.
                what = found(other, confidential=True)
                raise ConfigError([self.at((), f"expected a mapping of sections, got {what}.")])
        problems: list[Problem] = []
        return self._laid(top, (), Settings, problems), problems

    def _laid(
        self, given: object, path: KeyPath, model: type[Section], problems: list[Problem]
    ) -> dict[str, object]:
        """Return the section at *path* with what is supplied, for all the sections in it too."""
        match given:
            case dict():
                section: dict[str, object] = dict(given)
            # All keys of a section may be commented out.
            case None:
                section = {}
            case other:
                required = [key for key, it in model.model_fields.items() if it.is_required()]
                section = dict.fromkeys(required, UNREAD)
                if other is not UNREAD:
                    what = found(other, confidential=confidential(path))
                    sentence = f"expected a mapping of settings, got {what}."
                    problems.append(self.at(path, sentence))
        for key in model.model_fields:
            here = (*path, key)
            if here in SECTIONS:
                section[key] = self._laid(section.get(key), here, SECTIONS[here], problems)
            elif here in self.supplied:
                section[key] = self.supplied[here].value
        return section

    def problem(self, error: ErrorDetails) -> Problem:
        """Say what pydantic found, in our words and at its place."""
        path: KeyPath = error["loc"]
        facts = error.get("ctx", {})
        match error["type"]:
            case "extra_forbidden":
                return self.at(path, f"unknown key; {advice.for_unknown(path)}", of_key=True)
            case "missing":
                sentence = f"must be set to {expectations.of_field(field_at(path))}."
                return self.at(path, sentence)
            case "conflict":
                other = (*path[:-1], facts["other"])
                here = self._is_set(path) and not facts["at_other"]
                return self.at(path if here else other, facts["sentence"])
            case "unfit":
                return self._unfit(path, error["input"], facts)
            case _:
                return self._unfit(path, error["input"], {})

    def _unfit(self, path: KeyPath, value: object, facts: Mapping[str, object]) -> Problem:
        item = facts.get("item")
        if isinstance(item, int) and isinstance(value, list):
            path, value = (*path, item), value[item]
        of_kind = expectations.of_item if isinstance(path[-1], int) else expectations.of_field
        advised = f"; {facts['advice']}" if facts.get("advice") else ""
        expected = facts.get("expected") or of_kind(field_at(path))
        what = found(value, confidential=confidential(path))
        return self.at(path, f"expected {expected}, got {what}{advised}.")

    def _is_set(self, path: KeyPath) -> bool:
        return path in self.supplied or self.document.place(path) is not None

    def at(self, path: KeyPath, sentence: str, *, of_key: bool = False) -> Problem:
        """Return what is wrong with the value at *path*, where that came from."""
        return self._place(path, of_key=of_key).problem(sentence)

    def _place(self, path: KeyPath, *, of_key: bool = False) -> Place:
        """Return where the value at *path* came from, or else where it is missing."""
        if supplied := self.supplied.get(_setting(path)):
            return supplied.place
        # What is not there is missed where its section is.
        sections = (path[:length] for length in range(len(path) - 1, 0, -1))
        places = (self.document.place(section, of_key=True) for section in sections)
        place = self.document.place(path, of_key=of_key) or next(filter(None, places), None)
        line, column = place or (None, None)
        return Place(path=dotted(path), file=self.file, line=line, column=column)


def _in_file(fault: document.Fault, file: Path) -> Problem:
    path = dotted(known(fault.path))
    return Problem(
        sentence=fault.sentence, path=path, file=file, line=fault.line, column=fault.column
    )


def _own_first(problems: list[Problem], file: Path) -> list[Problem]:
    """Put the problems of *file* before those of a file that it names."""
    return sorted(problems, key=lambda problem: problem.file != file)


def _is_news(error: ErrorDetails) -> bool:
    """Whether *error* is about more than a value that could not be read, which a fault says."""
    return error["input"] is not UNREAD or error["type"] == "extra_forbidden"


def _setting(path: KeyPath) -> KeyPath:
    """Return the path of the setting that *path* leads to or into."""
    return next((path[:end] for end in range(1, len(path)) if path[:end] in SETTINGS), path)
