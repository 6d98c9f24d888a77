"""What flytectl and flytekit call the ways to reach Flyte Admin, and where they write them."""

import configparser
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from exporter.config import document
from exporter.config.problems import Place, Problem, found


class Option(NamedTuple):
    """One thing to say, by the names that it has in each place."""

    key: str | None
    """Below `admin` in a YAML file."""
    section: str = ""
    name: str = ""
    """Of an option in a section of an INI file; empty when only YAML has it."""

    @property
    def variable(self) -> str:
        """The environment variable; empty when there is none."""
        return f"FLYTE_{self.section}_{self.name}".upper() if self.name else ""


class Given(NamedTuple):
    """What is said about an option, and where."""

    value: object
    place: Place
    in_yaml: bool = False
    """Whether flytectl's defaults hold beside it."""


ENDPOINT = Option("endpoint", "platform", "url")
INSECURE = Option("insecure", "platform", "insecure")
SKIP_VERIFY = Option("insecureSkipVerify", "platform", "insecure_skip_verify")
CA_FILE = Option("caCertFilePath", "platform", "ca_cert_file_path")
HTTP_PROXY = Option("httpProxyURL", "platform", "http_proxy_url")
AUTH_TYPE = Option("authType", "credentials", "auth_mode")
CLIENT_ID = Option("clientId", "credentials", "client_id")
SECRET = Option(None, "credentials", "client_secret")
SECRET_LOCATION = Option("clientSecretLocation", "credentials", "client_secret_location")
SECRET_VARIABLE = Option("clientSecretEnvVar", "credentials", "client_secret_env_var")
SCOPES = Option("scopes", "credentials", "scopes")
AUDIENCE = Option("audience", "credentials", "audience")
COMMAND = Option("command", "credentials", "command")
PROXY_COMMAND = Option("proxyCommand", "credentials", "proxy_command")
TOKEN_URL = Option("tokenUrl")
HEADER = Option("authorizationHeader")

OPTIONS = (
    *(ENDPOINT, INSECURE, SKIP_VERIFY, CA_FILE, HTTP_PROXY, AUTH_TYPE, CLIENT_ID, SECRET),
    *(
        SECRET_LOCATION,
        SECRET_VARIABLE,
        SCOPES,
        AUDIENCE,
        COMMAND,
        PROXY_COMMAND,
        TOKEN_URL,
        HEADER,
    ),
)
"""All that is read; whatever else stands there is left alone."""

_OF_KEY = {option.key.lower(): option for option in OPTIONS if option.key}
# configparser takes both, and ends an option's name at the first.
_INI_LINE = re.compile(r"(?P<name>[^\s=:#;\[][^=:]*?)\s*[=:]\s*")
_INI_SECTION = re.compile(r"\[(?P<name>.+)\]")


def from_environment(environ: Mapping[str, str]) -> dict[Option, Given]:
    """Return what the `FLYTE_` variables say; of that with the secret only its name."""
    given = {
        option: Given(environ[option.variable], Place(variable=option.variable))
        for option in OPTIONS
        if option.variable in environ
    }
    if SECRET in given and given[SECRET].value:
        given[SECRET] = given[SECRET]._replace(value=SECRET.variable)
    return given


def from_file(content: bytes, file: Path) -> tuple[dict[Option, Given], list[Problem]]:
    """
    Return what a configuration of flytectl or flytekit says, and what of it cannot be read.

    Args:
        content: YAML, or INI unless the name of the file ends in `yaml` or `yml`.
        file: Its name.
    """
    try:
        text = document.decoded(content)
        if file.name.endswith(("yaml", "yml")):
            return _from_yaml(document.read(text), file)
    except document.MalformedError as error:
        return {}, [
            _place(file, error.fault.line, error.fault.column).problem(error.fault.sentence)
        ]
    return _from_ini(text, file)


def _from_yaml(read: document.Document, file: Path) -> tuple[dict[Option, Given], list[Problem]]:
    problems = [
        _place(file, fault.line, fault.column, _dotted(fault.path)).problem(fault.sentence)
        for fault in read.faults
        if _concerns_us(fault.path)
    ]
    given: dict[Option, Given] = {}
    match read.value:
        case {"admin": dict() as admin}:
            for key, value in admin.items():
                if option := _OF_KEY.get(key.lower()):
                    line, column = read.place(("admin", key)) or (None, None)
                    place = _place(file, line, column, f"admin.{option.key}")
                    given[option] = Given(value, place, in_yaml=True)
        case dict() as top:
            if top.get("admin") not in {None, document.UNREAD}:
                line, column = read.place(("admin",)) or (None, None)
                what = found(top["admin"], confidential=True)
                sentence = f"expected a mapping of settings, got {what}."
                problems.append(_place(file, line, column, "admin").problem(sentence))
        case None | document.Unread():
            pass
        case other:
            what = found(other, confidential=True)
            problems.append(
                _place(file, 1, 1).problem(f"expected a mapping with a section admin, got {what}.")
            )
    return given, problems


def _from_ini(text: str, file: Path) -> tuple[dict[Option, Given], list[Problem]]:
    # What flytekit would interpolate, a lone % for instance, is nothing that anybody means.
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        # The error quotes the line, and a secret may be on it.
        return {}, [_ini_problem(error, file)]
    given: dict[Option, Given] = {}
    problems: list[Problem] = []
    for option in OPTIONS:
        value = parser.get(option.section, option.name, fallback=None) if option.name else None
        if value is None:
            continue
        line, column = _ini_place(text, option)
        place = _place(file, line, column, f"{option.section}.{option.name}")
        if "\n" in value:
            # An indented line, perhaps one that was to be another option, and a secret.
            problems.append(
                place.problem("goes on in the next line; write it in one, and indent none.")
            )
        else:
            given[option] = Given("***" if option is SECRET and value else value, place)
    return given, problems


def _ini_problem(error: configparser.Error, file: Path) -> Problem:
    match error:
        case configparser.MissingSectionHeaderError(lineno=line):
            sentence = (
                "not an INI file: a section such as [platform] must come first; a YAML file needs "
                "a name that ends in .yaml or .yml."
            )
        case configparser.ParsingError(errors=[(line, _), *_]):
            sentence = "not an INI file: expected NAME = VALUE on this line."
        case configparser.DuplicateSectionError(lineno=line):
            sentence = "this section is there already; keep one."
        case configparser.DuplicateOptionError(lineno=line):
            sentence = "this option is set already; keep one."
        case _:
            line, sentence = None, "not an INI file."
    return _place(file, line, None).problem(sentence)


def _ini_place(text: str, option: Option) -> tuple[int | None, int | None]:
    """Find *option*, since configparser does not say where it was."""
    for section, name, line, column in _ini_lines(text):
        if (section, name) == (option.section, option.name):
            return line, column
    return None, None


def _ini_lines(text: str) -> Iterator[tuple[str, str, int, int]]:
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _INI_SECTION.match(line):
            section = header["name"]
        elif option := _INI_LINE.match(line):
            yield section, option["name"].lower(), number, option.end() + 1


def _concerns_us(path: document.KeyPath) -> bool:
    """Whether what stands at *path* of a YAML file is read; other programs mind the rest."""
    match path:
        case () | ("admin",):
            return True
        case ("admin", str() as key, *_):
            return key.lower() in _OF_KEY
        case _:
            return False


def _dotted(path: document.KeyPath) -> str:
    match path:
        case ("admin", str() as key, *_):
            return f"admin.{_OF_KEY[key.lower()].key}"
        case _:
            return "admin" if path else ""


def _place(file: Path, line: int | None, column: int | None, path: str = "") -> Place:
    return Place(path=path, file=file, line=line, column=column)
