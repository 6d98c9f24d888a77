"""
Kinds of text: names, web addresses, commands.

Where a kind is confidential, a message says what was expected and not what was found.
"""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from exporter.config.problems import without_credentials
from exporter.config.values import HOST_NAME, LIST, Confidential, Expected, FilePath, unfit

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_METADATA_KEY = re.compile(r"[a-z0-9_.-]+")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
"""As RFC 6749 has it: printable ASCII without blank, quote and backslash."""
_WORD = re.compile(r"[^\s\x00-\x1f\x7f]+")


def read_name(value: str) -> str:
    """Read a name that somebody else made: any printable text without blanks around it."""
    if not value or value != value.strip() or not value.isprintable():
        raise unfit()
    return value


def read_host_name(value: str) -> str:
    """Read the name of a host, as it stands in a certificate."""
    if not HOST_NAME.fullmatch(value):
        raise unfit(advice="leave out scheme and port" if ":" in value else "")
    return value


def read_url(value: str) -> str:
    """Read a web address that begins with http:// or https://."""
    try:
        parts = urlsplit(value)
        usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    else:
        usable = usable and parts.scheme in {"http", "https"}
    if not usable or not _WORD.fullmatch(value):
        raise unfit()
    # Where the user information ends would otherwise be anybody's guess, and so what to hide.
    if "@" in parts.path + parts.query + parts.fragment:
        raise unfit(advice='write "@" behind the host as "%40"')
    return value


def read_variable_name(value: str) -> str:
    """Read the name of an environment variable."""
    if not _VARIABLE.fullmatch(value):
        raise unfit(advice="the secret itself does not stand here")
    return value


def read_metadata_key(value: str) -> str:
    """Read a key of gRPC metadata that may carry text."""
    if not _METADATA_KEY.fullmatch(value):
        fits = _METADATA_KEY.fullmatch(value.lower())
        raise unfit(advice="write it in lower case" if fits else "")
    if value.endswith("-bin"):
        raise unfit(advice='a key that ends in "-bin" holds bytes')
    if value.startswith("grpc-"):
        raise unfit(advice='a key that begins with "grpc-" is reserved')
    return value


def read_argument(value: str) -> str:
    """Read a program or an argument of one."""
    if not value or "\0" in value:
        raise unfit()
    return value


def read_scope(value: str) -> str:
    """Read one OAuth2 scope."""
    if not _SCOPE.fullmatch(value):
        raise unfit(advice="write one scope as one item" if " " in value else "")
    return value


Name = Annotated[str, AfterValidator(read_name), Expected('text such as "flyte-exporter"')]
Audience = Annotated[
    str, AfterValidator(read_name), Expected('text such as "https://flyte.example.com"')
]
HostName = Annotated[
    str, AfterValidator(read_host_name), Expected('a host name, such as "flyte.example.com"')
]
_Url = Annotated[str, AfterValidator(read_url), Confidential(without_credentials)]
TokenUrl = Annotated[
    _Url, Expected('an http or https URL, such as "https://idp.example.com/token"')
]
ProxyUrl = Annotated[
    _Url, Expected('an http or https URL, such as "http://proxy.example.com:3128"')
]
CollectorUrl = Annotated[_Url, Expected('an http or https URL, such as "http://collector:4317"')]
VariableName = Annotated[
    str,
    AfterValidator(read_variable_name),
    Expected('the name of an environment variable, such as "FLYTE_CLIENT_SECRET"'),
    Confidential(),
]
MetadataKey = Annotated[
    str,
    AfterValidator(read_metadata_key),
    Expected('a metadata key in lower case, such as "flyte-authorization"'),
    Confidential(),
]
SecretPath = Annotated[FilePath, Confidential()]
Argument = Annotated[str, AfterValidator(read_argument), Expected("text (numbers in quotes)")]
Command = Annotated[
    tuple[Argument, ...],
    LIST,
    Expected('a list of a program and its arguments, such as ["/usr/local/bin/token", "--quiet"]'),
    Confidential(lambda command: (*command[:1], *("***" for _ in command[1:]))),
]
Scope = Annotated[str, AfterValidator(read_scope), Expected('a scope such as "all"')]
Scopes = Annotated[tuple[Scope, ...], LIST, Expected('a list of scopes, such as ["all"]')]
