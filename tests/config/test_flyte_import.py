"""A configuration of flytectl or flytekit is enough to reach the same Flyte Admin."""

from pathlib import Path
from typing import Any

import pytest

from exporter.config.load import decode
from exporter.config.settings import AdminSettings, AuthSettings
from tests.config.theirs import Theirs


@pytest.fixture
def place(tmp_path: Path) -> Theirs:
    """Return a directory of its own for each test."""
    return Theirs(tmp_path)


_CLIENT = """\
admin:
  endpoint: dns:///flyte.example.com
  authType: ClientSecret
  clientId: robot
  clientSecretLocation: /run/secrets/flyte
  insecure: false
"""
_INI = """\
[platform]
url = flyte.example.com:443

[credentials]
auth_mode = client_credentials
client_id = robot
client_secret_location = /run/secrets/flyte
scopes = all, offline
"""


def test_a_client_with_a_secret_in_a_file(place: Theirs) -> None:
    """As flytectl runs in a pipeline."""
    assert place.admin(_CLIENT) == AdminSettings(
        endpoint="dns:///flyte.example.com:443",
        auth=AuthSettings(
            type="client_secret", client_id="robot", client_secret_file=Path("/run/secrets/flyte")
        ),
    )


def test_everything_that_flytectl_says_about_a_client(place: Theirs) -> None:
    """Each key of its admin section that says how to reach Admin has its place with us."""
    theirs = """\
admin:
  endpoint: dns:///flyte.example.com:8443
  authType: clientsecret
  clientId: robot
  clientSecretEnvVar: ROBOT_SECRET
  scopes: [all]
  audience: https://flyte.example.com
  useAudienceFromAdmin: true
  tokenUrl: https://idp.example.com/token
  authorizationHeader: X-Flyte
  proxyCommand: [iap-token, --audience, flyte]
  httpProxyURL: http://proxy:3128
  caCertFilePath: /etc/ca.pem
  maxRetries: 4
  perRetryTimeout: 15s
  maxMessageSizeBytes: 1000000
  pkceConfig: {timeout: 2m}
"""
    assert place.admin(theirs) == AdminSettings(
        endpoint="dns:///flyte.example.com:8443",
        ca_file=Path("/etc/ca.pem"),
        auth=AuthSettings(
            type="client_secret",
            client_id="robot",
            client_secret_env="ROBOT_SECRET",
            scopes=("all",),
            audience="https://flyte.example.com",
            token_url="https://idp.example.com/token",
            header="x-flyte",
            proxy_command=("iap-token", "--audience", "flyte"),
            http_proxy_url="http://proxy:3128",
        ),
    )


def test_an_external_command(place: Theirs) -> None:
    """What belongs to another way of authentication is left out, not refused."""
    theirs = """\
admin:
  endpoint: localhost:30080
  insecure: true
  authType: ExternalCommand
  command: [flyte-token, --quiet]
  clientId: flytectl
  scopes: [all]
"""
    assert place.admin(theirs) == AdminSettings(
        endpoint="localhost:30080",
        insecure=True,
        auth=AuthSettings(type="external_command", command=("flyte-token", "--quiet")),
    )


def test_an_ini_file_of_flytekit(place: Theirs) -> None:
    """Any file whose name does not end in yaml or yml is one."""
    assert place.admin(_INI, name="config") == AdminSettings(
        endpoint="flyte.example.com:443",
        auth=AuthSettings(
            type="client_secret",
            client_id="robot",
            client_secret_file=Path("/run/secrets/flyte"),
            scopes=("all", "offline"),
        ),
    )


def test_a_command_in_an_ini_file(place: Theirs) -> None:
    """Lists are parted by commas there, and a lone % means itself."""
    theirs = """\
[platform]
url: flyteadmin:81
insecure: True
[credentials]
AUTH_MODE = external_process
command = token,--format,%s
proxy_command = iap-token
[images]
x = 50%
"""
    assert place.admin(theirs, name="flytekit.config") == AdminSettings(
        endpoint="flyteadmin:81",
        insecure=True,
        auth=AuthSettings(
            type="external_command",
            command=("token", "--format", "%s"),
            proxy_command=("iap-token",),
        ),
    )


def test_the_environment_of_flytekit_alone() -> None:
    """A pod that is set up for flytekit needs nothing more from us than a file."""
    environ = {
        "FLYTE_PLATFORM_URL": "dns:///flyte.example.com:443",
        "FLYTE_PLATFORM_CA_CERT_FILE_PATH": "/etc/ca.pem",
        "FLYTE_CREDENTIALS_CLIENT_ID": "robot",
        "FLYTE_CREDENTIALS_CLIENT_SECRET": "q7-secret",
        "FLYTE_CREDENTIALS_SCOPES": "all,offline",
        "FLYTE_CREDENTIALS_AUDIENCE": "flyte",
        "FLYTE_CREDENTIALS_PROXY_COMMAND": "iap-token,--quiet",
    }
    ours = decode(b"log: {level: debug}", file=Path("ours.yaml"), environ=environ)
    assert ours.admin == AdminSettings(
        endpoint="dns:///flyte.example.com:443",
        ca_file=Path("/etc/ca.pem"),
        auth=AuthSettings(
            type="client_secret",
            client_id="robot",
            client_secret_env="FLYTE_CREDENTIALS_CLIENT_SECRET",
            scopes=("all", "offline"),
            audience="flyte",
            proxy_command=("iap-token", "--quiet"),
        ),
    )
    assert "q7-secret" not in repr(ours)


def test_ours_wins_over_variables_and_those_over_the_file(place: Theirs) -> None:
    """For each setting by itself."""
    theirs = _CLIENT + "  audience: file\n  tokenUrl: https://file\n  scopes: [file]\n"
    ours = "  auth: {token_url: https://ours, audience: ours}\n"
    admin = place.admin(
        theirs,
        ours,
        FLYTE_CREDENTIALS_CLIENT_ID="variable",
        FLYTE_CREDENTIALS_AUDIENCE="variable",
        FLYTE_EXPORTER__ADMIN__AUTH__AUDIENCE="our-variable",
        FLYTE_EXPORTER__ADMIN__ENDPOINT="flyteadmin:81",
    )
    assert admin.endpoint == "flyteadmin:81"
    assert admin.auth == AuthSettings(
        type="client_secret",
        client_id="variable",
        client_secret_file=Path("/run/secrets/flyte"),
        token_url="https://ours",
        audience="our-variable",
        scopes=("file",),
    )


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        ("{type: none}", AuthSettings()),
        (
            "{type: token_file, token_file: /token}",
            AuthSettings(type="token_file", token_file=Path("/token")),
        ),
        (
            "{type: client_secret, client_secret_env: OURS}",
            AuthSettings(type="client_secret", client_id="robot", client_secret_env="OURS"),
        ),
        (
            "{client_secret_file: /ours}",
            AuthSettings(type="client_secret", client_id="robot", client_secret_file=Path("/ours")),
        ),
    ],
)
def test_our_way_of_authentication_leaves_out_what_belongs_to_theirs(
    place: Theirs, ours: str, expected: AuthSettings
) -> None:
    """So that one setting of ours is enough to do otherwise."""
    assert place.admin(_CLIENT, f"  auth: {ours}\n").auth == expected


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [
        ("caCertFilePath: /ca", "insecure: true", {"insecure": True}),
        ("insecureSkipVerify: true", "insecure: true", {"insecure": True}),
        ("caCertFilePath: /ca", "insecure_skip_verify: true", {"insecure_skip_verify": True}),
        ("insecureSkipVerify: true", "ca_file: /ours", {"ca_file": Path("/ours")}),
        ("insecure: true", "insecure: false", {}),
    ],
)
def test_our_way_of_transport_leaves_out_what_contradicts_it(
    place: Theirs, theirs: str, ours: str, expected: dict[str, Any]
) -> None:
    """As above."""
    admin = place.admin(f"admin: {{endpoint: 'a:1', {theirs}}}", f"  {ours}\n")
    assert admin == AdminSettings(endpoint="a:1", **expected)


@pytest.mark.parametrize("word", ["ClientSecret", "CLIENTSECRET", "basic", "Client_Credentials"])
@pytest.mark.parametrize("where", ["yaml", "ini", "variable"])
def test_words_for_a_client_with_a_secret(place: Theirs, word: str, where: str) -> None:
    """For flytectl there is one, for flytekit three, and upper and lower case do not matter."""
    secret = {"FLYTE_CREDENTIALS_CLIENT_SECRET_LOCATION": "/secret"}
    match where:
        case "yaml":
            theirs = f"admin: {{endpoint: 'a:1', clientId: x, authType: {word}}}"
            admin = place.admin(theirs, **secret)
        case "ini":
            theirs = f"[platform]\nurl=a:1\n[credentials]\nclient_id=x\nauth_mode={word}\n"
            admin = place.admin(theirs, name="config", **secret)
        case _:
            theirs = "admin: {endpoint: 'a:1', clientId: x, authType: ExternalCommand}"
            admin = place.admin(theirs, FLYTE_CREDENTIALS_AUTH_MODE=word, **secret)
    assert admin.auth == AuthSettings(
        type="client_secret", client_id="x", client_secret_file=Path("/secret")
    )


def test_what_flytectl_assumes_beside_its_auth_type(place: Theirs) -> None:
    """Its own name for a client, and where Flyte's charts mount the secret."""
    admin = place.admin("admin: {endpoint: 'flyteadmin:81', authType: ClientSecret}")
    assert admin.auth == AuthSettings(
        type="client_secret",
        client_id="flytepropeller",
        client_secret_file=Path("/etc/secrets/client_secret"),
    )


@pytest.mark.parametrize(
    ("theirs", "environ"),
    [
        ("admin: {endpoint: 'flyteadmin:81'}", {}),
        ("admin: {endpoint: 'flyteadmin:81', clientId: flytectl, scopes: [all]}", {}),
        ("admin: {endpoint: 'flyteadmin:81', clientSecretLocation: '', authType:}", {}),
        ("admin: {endpoint: 'flyteadmin:81'}", {"FLYTE_CREDENTIALS_CLIENT_SECRET": ""}),
    ],
)
def test_without_auth_type_and_secret_nothing_is_assumed(
    place: Theirs, theirs: str, environ: dict[str, str]
) -> None:
    """Admin says whether it wants a token."""
    assert place.admin(theirs, **environ).auth == AuthSettings()


_SOURCES = {
    "variable": ("client_secret_env", "NAMED"),
    "location": ("client_secret_file", Path("/secret")),
    "secret": ("client_secret_env", "FLYTE_CREDENTIALS_CLIENT_SECRET"),
}


@pytest.mark.parametrize("named", ["", ", authType: Pkce", ", authType: ClientSecret"])
@pytest.mark.parametrize(
    ("sources", "chosen"),
    [
        ("variable location secret", "variable"),
        ("location secret", "location"),
        ("secret", "secret"),
        ("variable secret", "variable"),
    ],
)
def test_the_first_secret_counts(place: Theirs, sources: str, chosen: str, named: str) -> None:
    """A variable that is named, then a file, then flytekit's own. A secret is there to be used."""
    theirs = f"admin: {{endpoint: 'a:1', clientId: x{named}"
    theirs += ", clientSecretEnvVar: NAMED" if "variable" in sources else ""
    theirs += ", clientSecretLocation: /secret" if "location" in sources else ""
    environ = {"FLYTE_CREDENTIALS_CLIENT_SECRET": "q7"} if "secret" in sources else {}
    key, value = _SOURCES[chosen]
    assert place.admin(theirs + "}", **environ).auth == AuthSettings.model_validate(
        {"type": "client_secret", "client_id": "x", key: value}
    )


@pytest.mark.parametrize(
    ("theirs", "insecure", "dialled"),
    [
        ("flyte.example.com", False, "flyte.example.com:443"),
        ("dns:///flyte.example.com", False, "dns:///flyte.example.com:443"),
        ("dns:///flyte.example.com:8443", False, "dns:///flyte.example.com:8443"),
        ("https://flyte.example.com", False, "flyte.example.com:443"),
        ("https://flyte.example.com/console", False, "flyte.example.com:443"),
        ("HTTPS://flyte.example.com:8443/", False, "flyte.example.com:8443"),
        ("http://flyte.example.com", True, "flyte.example.com:80"),
        ("http://localhost:30080", True, "localhost:30080"),
        ("[::1]", False, "[::1]:443"),
        ("unix:///run/flyte.sock", True, "unix:///run/flyte.sock"),
    ],
)
def test_forms_of_the_endpoint(place: Theirs, theirs: str, insecure: bool, dialled: str) -> None:
    """Web addresses lose their scheme, and what has no port gets that of the scheme."""
    admin = place.admin(f"admin: {{endpoint: '{theirs}', insecure: {str(insecure).lower()}}}")
    assert (admin.endpoint, admin.insecure) == (dialled, insecure)


@pytest.mark.parametrize(
    ("text", "on"),
    [
        *((text, False) for text in ("", "0", "false", "False", "OFF", "no")),
        *((text, True) for text in ("1", "true", "True", "on", "YES")),
    ],
)
def test_forms_of_a_switch(place: Theirs, text: str, on: bool) -> None:
    """As flytekit reads them; a misspelt one is refused, since it would turn TLS off."""
    theirs = "admin: {endpoint: 'a:1', insecure: true}"
    assert place.admin(theirs, FLYTE_PLATFORM_INSECURE=text).insecure is on
    assert place.admin(f"[platform]\nurl=a:1\ninsecure={text}\n", name="config").insecure is on


def test_the_rest_of_their_file_is_none_of_our_business(place: Theirs) -> None:
    """Other programs read it, by rules of their own."""
    theirs = """\
Logger: &level {level: 0, level: 1}
console: {endpoint: http://localhost:30080}
storage: !include storage.yaml
admin:
  Endpoint: dns:///localhost:30080
  insecure: yes
  defaultServiceConfig: !json "{}"
  deviceFlowConfig: *level
  disableIfHaveNoEndpoint: 1
  disableIfHaveNoEndpoint: 1
union: [x]
"""
    expected = AdminSettings(endpoint="dns:///localhost:30080", insecure=True)
    assert place.admin(theirs) == expected


def test_flytectl_config_names_the_file(tmp_path: Path) -> None:
    """As it does for flytectl and flytekit."""
    path = tmp_path / "config.yaml"
    path.write_text("admin: {endpoint: 'theirs:1', insecure: true}", encoding="utf-8")
    environ = {"FLYTECTL_CONFIG": str(path)}
    settings = decode(b"{}", file=Path("ours.yaml"), environ=environ)
    assert settings.admin == AdminSettings(endpoint="theirs:1", insecure=True, config_file=path)


@pytest.mark.parametrize("ours", ["endpoint: 'ours:1'", "config_file: {0}/ours.yaml"])
def test_flytectl_config_does_not_count_where_we_say_what_to_reach(
    tmp_path: Path, ours: str
) -> None:
    """A file that lies about on a laptop does not send its credentials to another Admin."""
    (tmp_path / "ours.yaml").write_text("admin: {endpoint: 'ours:1'}", encoding="utf-8")
    path = tmp_path / "config.yaml"
    path.write_text(_CLIENT, encoding="utf-8")
    content = f"admin: {{{ours.format(tmp_path)}}}".encode()
    admin = decode(content, file=Path("c"), environ={"FLYTECTL_CONFIG": str(path)}).admin
    assert (admin.endpoint, admin.auth) == ("ours:1", AuthSettings())


def test_the_home_directory_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~/.flyte/config.yaml` is where the file usually is."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".flyte").mkdir()
    (tmp_path / ".flyte" / "config.yaml").write_text(_CLIENT, encoding="utf-8")
    content = b"admin: {config_file: ~/.flyte/config.yaml}"
    assert decode(content, file=Path("c"), environ={}).admin.auth.client_id == "robot"
