"""
How Flyte Admin is reached, and how we prove who we are.

A rule between two settings is checked at the later one, and only when both could be read. So one
look tells everything that is wrong.
"""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from exporter.config.section import Section
from exporter.config.text import (
    Audience,
    Command,
    HostName,
    MetadataKey,
    Name,
    ProxyUrl,
    Scopes,
    SecretPath,
    TokenUrl,
    VariableName,
)
from exporter.config.values import (
    Confidential,
    Endpoint,
    FilePath,
    PositiveDuration,
    Rate,
    conflict,
    unfit,
)

KEYS_OF_TYPE = {
    "client_secret": (
        "client_id",
        "client_secret_file",
        "client_secret_env",
        "token_url",
        "scopes",
        "audience",
        "http_proxy_url",
    ),
    "external_command": ("command",),
    "token_file": ("token_file",),
    "none": (),
}
"""What each `admin.auth.type` reads, besides what all of them do."""

_TYPE_OF_KEY = {key: kind for kind, keys in KEYS_OF_TYPE.items() for key in keys}
_ONLY_WITH_TLS = ("insecure_skip_verify", "client_cert_file", "client_key_file", "server_name")
_WITHOUT_TLS = (
    "is about TLS, which admin.insecure turns off; remove this, or set admin.insecure to false."
)


class AuthSettings(Section):
    """
    How we prove to Flyte Admin, and to a proxy before it, who we are.

    No setting takes a secret itself: name the file or the environment variable that holds it.
    [Authentication](authentication.md) shows what to write for each kind of Admin.
    """

    type: Literal["none", "client_secret", "external_command", "token_file"] = "none"
    """
    Where the access token comes from.

    `client_secret` asks an identity provider by OAuth2 client credentials; `external_command` runs
    a program that prints one; `token_file` reads one that somebody else keeps fresh. An Admin
    without authentication is told by its answer, and gets no token whatever stands here.
    """
    client_id: Name | None = None
    """Who we are to the identity provider. Needed for `client_secret`."""
    client_secret_file: SecretPath | None = None
    """
    File with the client's secret; blanks and line ends around it do not count.

    It is read when a token is asked for, not when we start, so it may come later and may change.
    `client_secret` needs this or `client_secret_env`.
    """
    client_secret_env: VariableName | None = None
    """
    Name of the environment variable with the client's secret.

    Prefer `client_secret_file`: a variable cannot change while we run, and children inherit it.
    """
    token_url: TokenUrl | None = None
    """
    Token endpoint of the identity provider; by default the one that Flyte Admin names.

    For `client_secret`.
    """
    scopes: Scopes = ()
    """Scopes to ask for; by default those that Flyte Admin names. For `client_secret`."""
    audience: Audience | None = None
    """
    Audience to ask for; by default the one that Flyte Admin names, if any. For `client_secret`.

    Auth0 and some others hand out no usable token without it.
    """
    command: Command = ()
    """
    Program, and its arguments, that prints an access token. Needed for `external_command`.

    It is run without a shell, so write `["sh", "-c", "…"]` where one is wanted. What it prints to
    stderr is never logged.
    """
    token_file: SecretPath | None = None
    """
    File with an access token, read again whenever it changes. Needed for `token_file`.

    It need not be there when we start.
    """
    proxy_command: Command = ()
    """
    Program, and its arguments, that prints a token for an identity-aware proxy before Flyte Admin.

    The token is sent as `proxy-authorization`, beside whatever `type` says.
    """
    header: MetadataKey | None = None
    """
    Metadata key that carries the access token; by default the one that Flyte Admin names.

    That is `flyte-authorization`, unless Admin is told otherwise.
    """
    http_proxy_url: ProxyUrl | None = None
    """
    Proxy for requests to the token endpoint, for `client_secret`.

    Calls to Flyte Admin do not use it: gRPC heeds `https_proxy` and `no_proxy` instead.
    """

    @field_validator("type", mode="before")
    @classmethod
    def _not_in_a_browser(cls, value: object) -> object:
        if isinstance(value, str) and value.lower() in {"pkce", "deviceflow"}:
            raise unfit(
                advice="it asks a person to log in, and nobody does that here: use client_secret or"
                " external_command"
            )
        return value

    @field_validator(*_TYPE_OF_KEY)
    @classmethod
    def _of_use_for_type(cls, value: object, info: ValidationInfo) -> object:
        """Refuse what the chosen type does not read."""
        owner = _TYPE_OF_KEY[str(info.field_name)]
        kind = info.data.get("type", owner)
        if value and kind != owner:
            sentence = (
                f'has no effect while admin.auth.type is "{kind}"; '
                f'set that to "{owner}", or remove this.'
            )
            raise conflict(sentence, other="type")
        return value

    @field_validator("client_id", "command", "token_file")
    @classmethod
    def _needed_for_type(cls, value: object, info: ValidationInfo) -> object:
        """Miss what the chosen type cannot do without."""
        kind = info.data.get("type")
        if not value and kind == _TYPE_OF_KEY[str(info.field_name)]:
            sentence = f'type "{kind}" needs admin.auth.{info.field_name}; set it as well.'
            raise conflict(sentence, other="type")
        return value

    @field_validator("client_secret_env")
    @classmethod
    def _one_secret(cls, value: str | None, info: ValidationInfo) -> str | None:
        """Have one secret, from one place."""
        if info.data.get("type") != "client_secret" or "client_secret_file" not in info.data:
            return value
        in_file = info.data["client_secret_file"] is not None
        if value is not None and in_file:
            sentence = "admin.auth.client_secret_file names a secret too; keep one of the two."
            raise conflict(sentence, other="client_secret_file")
        if value is None and not in_file:
            sentence = (
                'type "client_secret" needs admin.auth.client_secret_file or '
                "admin.auth.client_secret_env; set one of the two."
            )
            raise conflict(sentence, other="type")
        return value

    @field_validator("header")
    @classmethod
    def _header_carries_a_token(cls, value: str | None, info: ValidationInfo) -> str | None:
        """Refuse a header that nothing is sent in, or that the proxy's token is sent in."""
        if value is None:
            return value
        if info.data.get("type") == "none":
            sentence = (
                'has no effect while admin.auth.type is "none", which sends no token; remove it.'
            )
            raise conflict(sentence, other="type")
        if value == "proxy-authorization" and info.data.get("proxy_command"):
            sentence = (
                "carries the token of admin.auth.proxy_command already; choose another key, or "
                "leave this to Flyte Admin."
            )
            raise conflict(sentence, other="proxy_command")
        return value


class AdminSettings(Section):
    """How Flyte Admin is reached."""

    endpoint: Endpoint
    """
    gRPC address of Flyte Admin, with its port.

    The port is required because gRPC dials 443 when none is given. With the prefix `dns:///` the
    name is resolved again when a connection breaks, so that a moved Admin is found. It may also
    come from `config_file`.
    """
    insecure: bool = False
    """
    Whether to connect without TLS.

    Off by default, so that nobody sends anything in the clear without having said so.
    """
    timeout: PositiveDuration = timedelta(seconds=15)
    """
    Deadline of each call to Flyte Admin.

    A page takes milliseconds on a healthy Admin; one that takes longer than this is in trouble,
    and is better asked again at the next poll.
    """
    config_file: FilePath | None = None
    """
    A configuration of flytectl (YAML) or flytekit (INI) that says how to reach Flyte Admin.

    What is set here, or in `FLYTE_EXPORTER__` variables, wins over it. A leading `~` is the home
    directory. [Authentication](authentication.md) lists what is read from it.
    """
    insecure_skip_verify: bool = False
    """
    Whether to trust whatever certificate Flyte Admin shows first.

    Python's gRPC cannot skip verification; this fetches the certificate before the first
    connection and trusts it from then on. Whoever sits in between at that moment is trusted too:
    `ca_file` is the better way.
    """
    ca_file: FilePath | None = None
    """
    Certificates (PEM) of the authorities that may vouch for Flyte Admin; by default the system's.

    They may vouch for the token endpoint too, beside the system's. Read again when it changes.
    """
    client_cert_file: FilePath | None = None
    """Our own certificate (PEM), where Flyte Admin or a mesh wants one; read again on rotation."""
    client_key_file: SecretPath | None = None
    """Private key (PEM) of `client_cert_file`; the two go together."""
    server_name: HostName | None = None
    """Name to look for in Flyte Admin's certificate, when it is not that of the endpoint."""
    rate_limit: Rate = 50.0
    """
    How many calls to Flyte Admin may begin in a second, retries included.

    Each idle target costs two calls an interval: at the default of 30 s, 50/s carries 750 targets.
    """
    burst: Annotated[int, Field(ge=1, le=10_000)] = 100
    """
    How many calls may begin at once before `rate_limit` slows them down.

    Enough for a start, when every target is asked about for the first time.
    """
    max_concurrency: Annotated[int, Field(ge=1, le=64)] = 8
    """
    How many calls may be under way at the same time.

    Bounds the load on Admin's database, which all calls end up at.
    """
    auth: Annotated[AuthSettings, Confidential()] = AuthSettings()
    """How we prove who we are."""

    @field_validator(*_ONLY_WITH_TLS)
    @classmethod
    def _only_with_tls(cls, value: object, info: ValidationInfo) -> object:
        """Refuse settings of TLS where there is none."""
        if value and info.data.get("insecure"):
            raise conflict(_WITHOUT_TLS, other="insecure")
        return value

    @field_validator("auth")
    @classmethod
    def _authorities_have_somebody_to_vouch_for(
        cls, value: AuthSettings, info: ValidationInfo
    ) -> AuthSettings:
        """Refuse authorities where neither Admin nor a token endpoint shows a certificate."""
        if info.data.get("insecure") and info.data.get("ca_file") and value.type != "client_secret":
            raise conflict(_WITHOUT_TLS, other="ca_file", at_other=True)
        return value

    @field_validator("ca_file")
    @classmethod
    def _authorities_are_asked(cls, value: object, info: ValidationInfo) -> object:
        """Refuse authorities that nobody asks."""
        if value and info.data.get("insecure_skip_verify"):
            sentence = (
                "is not asked while admin.insecure_skip_verify is true; remove that, and these "
                "authorities decide."
            )
            raise conflict(sentence, other="insecure_skip_verify")
        return value

    @field_validator("client_key_file")
    @classmethod
    def _certificate_and_key(cls, value: object, info: ValidationInfo) -> object:
        """Have both a certificate and its key, or neither."""
        if "client_cert_file" not in info.data:
            return value
        certificate = info.data["client_cert_file"]
        if value and not certificate:
            sentence = (
                "is of no use without admin.client_cert_file, its certificate; set it as well."
            )
            raise conflict(sentence, other="client_cert_file")
        if certificate and not value:
            sentence = (
                "the certificate is of no use without admin.client_key_file, its private "
                "key; set it as well."
            )
            raise conflict(sentence, other="client_cert_file")
        return value
