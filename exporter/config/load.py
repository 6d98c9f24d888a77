"""A file and the environment go in; settings come out, or every problem at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from exporter.config import document, environment, expectations
from exporter.config.document import UNREAD, Document, KeyPath
from exporter.config.environment import Overrides
from exporter.config.problems import ConfigError, Problem, dotted, found
from exporter.config.settings import SECTIONS, Settings


def load(path: Path, environ: Mapping[str, str]) -> Settings:
    """
    Read the configuration.

    Args:
        path: The YAML file.
        environ: Environment variables; those named `FLYTE_EXPORTER__SECTION__KEY` win over it.

    Raises:
        ConfigError: It cannot be used; holds everything that is wrong.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        sentence = f"cannot be read: {reason}."
        raise ConfigError([Problem(sentence=sentence, file=path)]) from error
    return decode(content, file=path, environ=environ)


def decode(content: bytes, *, file: Path, environ: Mapping[str, str]) -> Settings:
    """
    Read the configuration from the *content* of a file.

    Args:
        content: YAML in UTF-8.
        file: The name that messages give it.
        environ: As for `load`.

    Raises:
        ConfigError: It cannot be used; holds everything that is wrong.
    """
    text = _text(content, file)
    try:
        written = document.read(text)
    except document.MalformedError as error:
        raise ConfigError([_in_file(error.fault, file)]) from error
    sources = _Sources(file, written, environment.read(environ))
    tree, problems = sources.merged()
    problems += [_in_file(fault, file) for fault in written.faults]
    problems += sources.overrides.problems
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        details = error.errors(include_url=False)
        problems += [sources.problem(each) for each in details if _is_news(each)]
        raise ConfigError(problems) from error
    if problems:
        raise ConfigError(problems)
    return settings


@dataclass(frozen=True, slots=True)
class _Sources:
    """Where each value came from, so that a problem can be laid at its door."""

    file: Path
    document: Document
    overrides: Overrides

    def merged(self) -> tuple[dict[str, object], list[Problem]]:
        """Lay the environment over the file."""
        match self.document.value:
            case dict() as top:
                pass
            case None:
                sentence = "nothing is set in it; it must at least set admin.endpoint."
                raise ConfigError([Problem(sentence=sentence, file=self.file)])
            case document.Unread():
                raise ConfigError(_in_file(fault, self.file) for fault in self.document.faults)
            case other:
                sentence = f"expected a mapping of sections, got {found(other)}."
                raise ConfigError([self._at((), sentence)])
        problems: list[Problem] = []
        tree: dict[str, object] = dict(top)
        for name, model in SECTIONS.items():
            section: dict[str, object] = {}
            match top.get(name):
                case dict() as given:
                    section.update(given)
                # All keys of a section may be commented out.
                case None:
                    pass
                case other:
                    required = [key for key, it in model.model_fields.items() if it.is_required()]
                    section.update(dict.fromkeys(required, UNREAD))
                    if other is not UNREAD:
                        sentence = f"expected a mapping of settings, got {found(other)}."
                        problems.append(self._at((name,), sentence))
            tree[name] = section
            for key in model.model_fields:
                if override := self.overrides.values.get((name, key)):
                    section[key] = override.value
        return tree, problems

    def problem(self, error: ErrorDetails) -> Problem:
        """Say what pydantic found, in our words and at its place."""
        path: KeyPath = error["loc"]
        facts = error.get("ctx", {})
        match error["type"]:
            case "extra_forbidden":
                return self._at(path, f"unknown key; {_known(path)}", of_key=True)
            case "missing":
                sentence = f"must be set to {expectations.of_field(_field(path))}."
                return self._at(path, sentence)
            case "conflict":
                other = (path[0], facts["other"])
                return self._at(path if self._is_set(path) else other, facts["sentence"])
            case "unfit":
                return self._unfit(path, error["input"], facts)
            case _:
                return self._unfit(path, error["input"], {})

    def _unfit(self, path: KeyPath, value: object, facts: Mapping[str, object]) -> Problem:
        item = facts.get("item")
        if isinstance(item, int) and isinstance(value, list):
            path, value = (*path, item), value[item]
        of_kind = expectations.of_item if path[2:] else expectations.of_field
        advice = f"; {facts['advice']}" if facts.get("advice") else ""
        expected = facts.get("expected") or of_kind(_field(path))
        return self._at(path, f"expected {expected}, got {found(value)}{advice}.")

    def _is_set(self, path: KeyPath) -> bool:
        return path[:2] in self.overrides.values or self.document.place(path) is not None

    def _at(self, path: KeyPath, sentence: str, *, of_key: bool = False) -> Problem:
        """Place *sentence* at the variable that holds the value, or else in the file."""
        for setting, override in self.overrides.values.items():
            if path[:2] == setting:
                return Problem(sentence=sentence, path=dotted(path), variable=override.variable)
        # What is not there is missed where its section is.
        place = self.document.place(path, of_key=of_key) or self.document.place(
            path[:1], of_key=True
        )
        line, column = place or (None, None)
        return Problem(
            sentence=sentence, path=dotted(path), file=self.file, line=line, column=column
        )


def _text(content: bytes, file: Path) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        problem = Problem(
            sentence="not UTF-8 text; save it in that encoding.",
            file=file,
            line=before.count(b"\n") + 1,
            column=len(before) - before.rfind(b"\n"),
        )
        raise ConfigError([problem]) from error


def _in_file(fault: document.Fault, file: Path) -> Problem:
    return Problem(
        sentence=fault.sentence,
        path=dotted(fault.path),
        file=file,
        line=fault.line,
        column=fault.column,
    )


def _is_news(error: ErrorDetails) -> bool:
    """Whether *error* is about more than a value that could not be read, which a fault says."""
    return error["input"] is not UNREAD or error["type"] == "extra_forbidden"


def _field(path: KeyPath) -> FieldInfo:
    section, key = path[:2]
    return SECTIONS[str(section)].model_fields[str(key)]


def _known(path: KeyPath) -> str:
    """Say which key may have been meant by the last one of *path*."""
    known = sorted(SECTIONS[str(path[0])].model_fields if len(path) > 1 else SECTIONS)
    if near := get_close_matches(str(path[-1]), known, n=1):
        return f'did you mean "{near[0]}"?'
    return f"known keys: {', '.join(known)}."
