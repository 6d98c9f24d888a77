"""Settings that do not go together are told, all of them, each where it can be mended."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from exporter.config.load import decode
from exporter.config.problems import ConfigError
from exporter.config.settings import AdminSettings, AuthSettings


def _problems(content: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        decode(content.encode(), file=Path("config.yaml"), environ=environ or {})
    return [str(problem) for problem in caught.value.problems]


def test_all_contradictions_are_told_at_once() -> None:
    """Beside values that are wrong in themselves, and without guesses about those."""
    assert _problems(
        """\
admin:
  endpoint: flyteadmin
  insecure: true
  insecure_skip_verify: true
  server_name: flyte.example.com
  client_key_file: key.pem
  auth:
    type: client_secret
    token_url: idp
    command: [token]
    header: X-Token
"""
    ) == [
        (
            'config.yaml:2:13: admin.endpoint: expected HOST:PORT, such as "dns:///flyteadmin:81",'
            ' got "flyteadmin"; add the port; gRPC would dial 443.'
        ),
        (
            "config.yaml:4:25: admin.insecure_skip_verify: is about TLS, which admin.insecure turns"
            " off; remove this, or set admin.insecure to false."
        ),
        (
            "config.yaml:5:16: admin.server_name: is about TLS, which admin.insecure turns off;"
            " remove this, or set admin.insecure to false."
        ),
        (
            "config.yaml:6:20: admin.client_key_file: is about TLS, which admin.insecure turns off;"
            " remove this, or set admin.insecure to false."
        ),
        (
            'config.yaml:8:11: admin.auth.type: type "client_secret" needs admin.auth.client_id;'
            " set it as well."
        ),
        (
            'config.yaml:8:11: admin.auth.type: type "client_secret" needs'
            " admin.auth.client_secret_file or admin.auth.client_secret_env; set one of the two."
        ),
        (
            "config.yaml:9:16: admin.auth.token_url: expected an http or https URL, such as"
            ' "https://idp.example.com/token", got text that is not shown here.'
        ),
        (
            "config.yaml:10:14: admin.auth.command: has no effect while admin.auth.type is"
            ' "client_secret"; set that to "external_command", or remove this.'
        ),
        (
            "config.yaml:11:13: admin.auth.header: expected a metadata key in lower case, such as"
            ' "flyte-authorization", got text that is not shown here; write it in lower case.'
        ),
    ]


def test_an_unreadable_type_is_the_only_thing_told() -> None:
    """What the other settings are for is not known then."""
    (problem,) = _problems(
        "admin: {endpoint: a:1, auth: {type: oauth, client_id: x, command: [y], header: z}}"
    )
    assert "admin.auth.type: expected" in problem


def test_what_a_variable_lacks_is_told_at_the_variable() -> None:
    """The type came from there, and so did the need."""
    variable = "FLYTE_EXPORTER__ADMIN__AUTH__TYPE"
    assert _problems("admin: {endpoint: a:1}", {variable: "token_file"}) == [
        (
            f'environment variable {variable}: type "token_file" needs admin.auth.token_file;'
            " set it as well."
        )
    ]


def test_a_variable_may_supply_what_the_file_lacks() -> None:
    """Settings of a section in a section come from both."""
    environ = {
        "FLYTE_EXPORTER__ADMIN__AUTH__COMMAND": "[token, --quiet]",
        "FLYTE_EXPORTER__ADMIN__AUTH__HEADER": "x-token",
    }
    content = b"admin: {endpoint: a:1, auth: {type: external_command}}"
    settings = decode(content, file=Path("config.yaml"), environ=environ)
    assert settings.admin.auth == AuthSettings(
        type="external_command", command=("token", "--quiet"), header="x-token"
    )


def test_a_section_whose_keys_are_commented_out_has_its_defaults() -> None:
    """`auth:` with nothing below is no fault."""
    content = b"admin:\n  endpoint: a:1\n  auth:\n    # type: none\n"
    settings = decode(content, file=Path("config.yaml"), environ={})
    assert settings.admin.auth == AuthSettings()


def test_null_leaves_a_setting_unset() -> None:
    """As if the line were not there, where there is no default."""
    content = b"admin: {endpoint: a:1, ca_file: null, server_name: ~, auth: {client_id: }}"
    settings = decode(content, file=Path("config.yaml"), environ={})
    assert settings.admin == AdminSettings(endpoint="a:1")


@pytest.mark.parametrize("key", ["insecure_skip_verify", "ca_file", "server_name"])
def test_tls_is_set_freely_where_there_is_tls(key: str) -> None:
    """The rules are about contradictions alone."""
    value = {"insecure_skip_verify": True, "ca_file": "ca.pem", "server_name": "flyte"}[key]
    assert AdminSettings.model_validate({"endpoint": "a:1", key: value})


def test_authorities_may_vouch_for_the_token_endpoint_alone() -> None:
    """Inside a mesh Admin is reached in plaintext, and the identity provider still by TLS."""
    auth = AuthSettings(type="client_secret", client_id="x", client_secret_env="SECRET")
    assert AdminSettings(endpoint="a:1", insecure=True, ca_file=Path("ca.pem"), auth=auth)


def test_secrets_need_not_be_there_when_the_configuration_is_read(tmp_path: Path) -> None:
    """A file that a sidecar writes may come later."""
    token, secret = tmp_path / "token", tmp_path / "secret"
    assert AuthSettings(type="token_file", token_file=token).token_file == token
    assert AuthSettings(type="client_secret", client_id="x", client_secret_file=secret)


def test_rules_hold_for_settings_made_in_code() -> None:
    """A program that embeds the exporter is told the same, without the values."""
    with pytest.raises(ValidationError) as caught:
        AuthSettings(type="client_secret", client_id="x", command=("token", "hunter2"))
    assert [error["loc"] for error in caught.value.errors()] == [
        ("client_secret_env",),
        ("command",),
    ]
    assert "hunter2" not in str(caught.value)


def test_the_home_directory_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that begins with ~ leads there."""
    monkeypatch.setenv("HOME", "/home/flyte")
    settings = AdminSettings.model_validate({"endpoint": "a:1", "ca_file": "~/ca.pem"})
    assert settings.ca_file == Path("/home/flyte/ca.pem")
