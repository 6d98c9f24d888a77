"""
A configuration of flytectl or flytekit says how to reach Flyte Admin, in our words.

Our own settings win over the `FLYTE_` variables, and those over the file. What would not be of use
beside a setting of ours is left out; what contradicts itself over there is told.
"""

from collections.abc import Mapping
from typing import NamedTuple

from pydantic_core import PydanticCustomError

from exporter.config import flyte_options as flyte
from exporter.config.admin import KEYS_OF_TYPE
from exporter.config.document import UNREAD, KeyPath
from exporter.config.environment import Supplied
from exporter.config.flyte_options import Given, Option
from exporter.config.problems import Place, Problem, found, shown, without_credentials
from exporter.config.values import read_endpoint, read_path

_CONFIG_FILE: KeyPath = ("admin", "config_file")
_ENDPOINT: KeyPath = ("admin", "endpoint")
_INSECURE: KeyPath = ("admin", "insecure")
_SKIP_VERIFY: KeyPath = ("admin", "insecure_skip_verify")
_CA_FILE: KeyPath = ("admin", "ca_file")
_AUTH: KeyPath = ("admin", "auth")
_TYPE: KeyPath = (*_AUTH, "type")
_SECRET_FILE: KeyPath = (*_AUTH, "client_secret_file")
_SECRET_ENV: KeyPath = (*_AUTH, "client_secret_env")

_TYPES = {
    **dict.fromkeys(("clientsecret", "client_credentials", "basic"), "client_secret"),
    **dict.fromkeys(("externalcommand", "external_process"), "external_command"),
    **dict.fromkeys(("pkce", "standard", "deviceflow"), "interactive"),
}
"""What each authType comes to; upper and lower case do not matter."""

_OFF = {"", "0", "false", "off", "no"}
_ON = {"1", "true", "on", "yes"}

# What flytectl assumes beside authType: ClientSecret.
_DEFAULT_CLIENT = "flytepropeller"
_DEFAULT_LOCATION = "/etc/secrets/client_secret"


class Imported(NamedTuple):
    """What the other configuration says."""

    values: dict[KeyPath, Supplied]
    """By the path of our setting; nothing that is set here already."""
    problems: tuple[Problem, ...]


def read(own: Mapping[KeyPath, Supplied], environ: Mapping[str, str]) -> Imported:
    """
    Read the file that `admin.config_file` names, and the variables.

    `FLYTECTL_CONFIG` names it where neither `admin.config_file` nor `admin.endpoint` is set: a file
    that nobody chose must not decide which credentials go to an Admin that somebody did.

    Args:
        own: What is set here, by the path of the setting.
        environ: Environment variables.
    """
    values: dict[KeyPath, Supplied] = {}
    file = own.get(_CONFIG_FILE)
    if file is None and environ.get("FLYTECTL_CONFIG") and _ENDPOINT not in own:
        file = Supplied(environ["FLYTECTL_CONFIG"], Place(variable="FLYTECTL_CONFIG"))
        values[_CONFIG_FILE] = file
    given, problems = ({}, []) if file is None else _read_file(file)
    if problems:
        # What could not be read there is not also called missing.
        values[_ENDPOINT] = Supplied(UNREAD, problems[0])
    translation = _Translation({**given, **flyte.from_environment(environ)}, own)
    translation.translate()
    values |= translation.values
    return Imported(
        {path: supplied for path, supplied in values.items() if path not in own},
        (*problems, *translation.problems),
    )


def _read_file(named: Supplied) -> tuple[dict[Option, Given], list[Problem]]:
    try:
        path = read_path(named.value)
    except PydanticCustomError:
        # No path: the setting itself is found wanting.
        return {}, []
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return {}, [
            named.place.problem(
                f"{shown(without_credentials(str(path)))} cannot be read: {reason}."
            )
        ]
    return flyte.from_file(content, path)


class _Translation:
    """
    One translation under way.

    Args:
        given: What the other configuration says, by the option.
        own: What is set here, by the path of the setting.
    """

    def __init__(self, given: Mapping[Option, Given], own: Mapping[KeyPath, Supplied]) -> None:
        # An option that is there and empty says nothing, except about a switch.
        switches = (flyte.INSECURE, flyte.SKIP_VERIFY)
        self.given = {
            option: it
            for option, it in given.items()
            if it.value is not None and (option in switches or it.value not in ("", []))
        }
        self.own = own
        self.values: dict[KeyPath, Supplied] = {}
        self.problems: list[Problem] = []

    def translate(self) -> None:
        """Fill in values and problems."""
        self._switch(_INSECURE, flyte.INSECURE)
        self._endpoint()
        self._list((*_AUTH, "proxy_command"), flyte.PROXY_COMMAND)
        kind = self._type()
        self._authentication(kind)
        # Of TLS, what our own settings leave a use for.
        plaintext = _INSECURE in self.own and self._is_on(_INSECURE)
        if not plaintext and _CA_FILE not in self.own:
            self._switch(_SKIP_VERIFY, flyte.SKIP_VERIFY)
        trusting = _SKIP_VERIFY in self.own and self._is_on(_SKIP_VERIFY)
        if not trusting and (kind == "client_secret" or not plaintext):
            self._copy(_CA_FILE, flyte.CA_FILE)

    def _authentication(self, kind: str | None) -> None:
        match kind:
            case "client_secret":
                self._client()
            case "external_command":
                self._list((*_AUTH, "command"), flyte.COMMAND)
        if kind in KEYS_OF_TYPE and kind != "none" and (header := self.given.get(flyte.HEADER)):
            value = header.value.lower() if isinstance(header.value, str) else header.value
            self._supply((*_AUTH, "header"), value, header)

    def _client(self) -> None:
        self._copy((*_AUTH, "client_id"), flyte.CLIENT_ID)
        self._copy((*_AUTH, "token_url"), flyte.TOKEN_URL)
        self._list((*_AUTH, "scopes"), flyte.SCOPES)
        self._copy((*_AUTH, "audience"), flyte.AUDIENCE)
        self._copy((*_AUTH, "http_proxy_url"), flyte.HTTP_PROXY)
        if _SECRET_FILE not in self.own and _SECRET_ENV not in self.own:
            self._secret()
        named = self.given.get(flyte.AUTH_TYPE)
        if named and named.in_yaml and self._kind(named) == "client_secret":
            if flyte.CLIENT_ID not in self.given:
                self._supply((*_AUTH, "client_id"), _DEFAULT_CLIENT, named)
            if not self._secret_given() and _SECRET_ENV not in self.own:
                self._supply(_SECRET_FILE, _DEFAULT_LOCATION, named)

    def _secret_given(self) -> Option | None:
        """Return where the secret is said to be; the first of these counts."""
        options = (flyte.SECRET_VARIABLE, flyte.SECRET_LOCATION, flyte.SECRET)
        return next((option for option in options if option in self.given), None)

    def _secret(self) -> None:
        match self._secret_given():
            case flyte.SECRET_VARIABLE:
                self._copy(_SECRET_ENV, flyte.SECRET_VARIABLE)
            case flyte.SECRET_LOCATION:
                self._copy(_SECRET_FILE, flyte.SECRET_LOCATION)
            case flyte.SECRET:
                given = self.given[flyte.SECRET]
                if given.place.variable:
                    self._copy(_SECRET_ENV, flyte.SECRET)
                    return
                sentence = (
                    "a secret that stands in a configuration is not read; move it to a file of its "
                    "own and name that with client_secret_location, or put it into the variable "
                    f"{flyte.SECRET.variable}."
                )
                self.problems.append(given.place.problem(sentence))
                self._supply(_SECRET_ENV, UNREAD, given)

    def _type(self) -> str | None:
        """Return how a token is had; None when that cannot be said."""
        if _TYPE in self.own:
            kind = self.own[_TYPE].value
            return kind if isinstance(kind, str) else None
        secret = self._secret_given()
        named = self.given.get(flyte.AUTH_TYPE)
        if named is None:
            if secret:
                self._supply(_TYPE, "client_secret", self.given[secret])
                return "client_secret"
            return "none"
        kind = self._kind(named)
        if kind == "interactive" and secret:
            # flytekit takes a secret that it finds for what is meant.
            kind = "client_secret"
        match kind:
            case "interactive":
                sentence = (
                    f"{found(named.value)} asks a person to log in, and nobody does that here; set "
                    "admin.auth.type to client_secret or external_command, or to none if Flyte "
                    "Admin wants no token."
                )
            case None:
                sentence = (
                    f'expected "ClientSecret" or "ExternalCommand", got {found(named.value)}.'
                )
            case _:
                self._supply(_TYPE, kind, named)
                return kind
        self.problems.append(named.place.problem(sentence))
        self._supply(_TYPE, UNREAD, named)
        return None

    def _kind(self, named: Given) -> str | None:
        return _TYPES.get(named.value.lower()) if isinstance(named.value, str) else None

    def _endpoint(self) -> None:
        given = self.given.get(flyte.ENDPOINT)
        if given is None or _ENDPOINT in self.own:
            return
        match given.value:
            case str() as text:
                value, sentence = _dialled(text, insecure=self._is_on(_INSECURE))
            case other:
                value, sentence = other, ""
        if sentence:
            self.problems.append(given.place.problem(sentence))
        self._supply(_ENDPOINT, value, given)

    def _is_on(self, path: KeyPath) -> bool:
        supplied = self.own.get(path) or self.values.get(path)
        return supplied is not None and supplied.value is True

    def _switch(self, path: KeyPath, option: Option) -> None:
        if given := self.given.get(option):
            word = given.value.strip().lower() if isinstance(given.value, str) else given.value
            match word:
                case str() if word in _ON | _OFF:
                    self._supply(path, word in _ON, given)
                case _:
                    self._supply(path, word, given)

    def _list(self, path: KeyPath, option: Option) -> None:
        if given := self.given.get(option):
            value = given.value
            if isinstance(value, str):
                value = [word.strip() for word in value.split(",") if word.strip()]
            self._supply(path, value, given)

    def _copy(self, path: KeyPath, option: Option) -> None:
        if given := self.given.get(option):
            self._supply(path, given.value, given)

    def _supply(self, path: KeyPath, value: object, given: Given) -> None:
        self.values[path] = Supplied(value, given.place)


def _dialled(text: str, *, insecure: bool) -> tuple[object, str]:
    """Return what gRPC is to dial for the endpoint *text*, or why it cannot be said."""
    scheme, separator, rest = text.partition("://")
    if separator and scheme.lower() in {"http", "https"}:
        if (scheme.lower() == "http") != insecure:
            return UNREAD, (
                f"begins with {scheme.lower()}://, but insecure is {str(insecure).lower()}; make "
                "the two agree."
            )
        text, port = rest.partition("/")[0], 80 if insecure else 443
    elif insecure:
        if _fits(text) or not _fits(f"{text}:443"):
            return text, ""
        return UNREAD, "has no port, and gRPC would dial 443, where TLS is spoken; add the port."
    else:
        port = 443
    return (text if _fits(text) else f"{text}:{port}" if _fits(f"{text}:{port}") else text), ""


def _fits(endpoint: str) -> bool:
    try:
        read_endpoint(endpoint)
    except PydanticCustomError:
        return False
    return True
