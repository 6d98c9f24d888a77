"""What is set wins over what a variable says, that over the default; and nothing is fatal."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import exporter
from exporter.config.settings import TracingSettings
from exporter.telemetry.plan import Collector, Plan, plan_for

_PAGE = Path(__file__).parents[2] / "docs" / "tracing.md"
_SECRET = "c2VjcmV0LXdvcmQ"


def plan(environ: dict[str, str] | None = None, **settings: object) -> Plan:
    """Return the plan for what was set."""
    return plan_for(TracingSettings.model_validate(settings), environ or {})


def collector(environ: dict[str, str] | None = None, **settings: object) -> Collector:
    """Return the collector that `otlp` is for."""
    found = plan(environ, **{"exporter": "otlp", **settings}).collector
    assert found is not None
    return found


def test_nothing_is_traced_by_default() -> None:
    """Unlike OpenTelemetry's own default, for there is a collector only where somebody runs one."""
    assert plan() == Plan(destination="none")
    assert plan({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"}).destination == "none"


@pytest.mark.parametrize(
    ("environ", "settings", "destination"),
    [
        ({"OTEL_TRACES_EXPORTER": "otlp"}, {}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": " Console "}, {}, "console"),
        ({"OTEL_TRACES_EXPORTER": ""}, {}, "none"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, {"exporter": "none"}, "none"),
        ({"OTEL_TRACES_EXPORTER": "none"}, {"exporter": "otlp"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "True"}, {}, "none"),
        ({"OTEL_SDK_DISABLED": "true"}, {"exporter": "otlp"}, "none"),
        ({"OTEL_SDK_DISABLED": "false"}, {"exporter": "otlp"}, "otlp"),
    ],
)
def test_the_destination(
    environ: dict[str, str], settings: dict[str, object], destination: str
) -> None:
    """The setting, else the variable; and the switch that turns everything off."""
    assert plan(environ, **settings).destination == destination


@pytest.mark.parametrize(
    ("environ", "settings", "protocol"),
    [
        ({}, {}, "grpc"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, {}, "http/protobuf"),
        (
            {
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
            },
            {},
            "http/protobuf",
        ),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, {"protocol": "grpc"}, "grpc"),
    ],
)
def test_the_protocol(environ: dict[str, str], settings: dict[str, object], protocol: str) -> None:
    """The setting, else the variable of traces, else the one of all signals."""
    assert collector(environ, **settings).protocol == protocol


@pytest.mark.parametrize(
    ("environ", "settings", "endpoint"),
    [
        ({}, {"protocol": "grpc"}, "http://localhost:4317"),
        ({}, {"protocol": "http/protobuf"}, "http://localhost:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:1"}, {"protocol": "grpc"}, "http://a:1"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:1/otlp/"},
            {"protocol": "http/protobuf"},
            "http://a:1/otlp/v1/traces",
        ),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:1",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://b:2/here",
            },
            {"protocol": "http/protobuf"},
            "http://b:2/here",
        ),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://b:2"},
            {"protocol": "grpc", "endpoint": "https://ours:3"},
            "https://ours:3",
        ),
        (
            {},
            {"protocol": "http/protobuf", "endpoint": "https://ours:3"},
            "https://ours:3/v1/traces",
        ),
        (
            {},
            {"protocol": "http/protobuf", "endpoint": "https://ours:3/v1/traces"},
            "https://ours:3/v1/traces",
        ),
    ],
)
def test_the_endpoint(environ: dict[str, str], settings: dict[str, object], endpoint: str) -> None:
    """A base URL gets the path of traces, as OpenTelemetry has it; a complete one is kept."""
    assert collector(environ, **settings).endpoint == endpoint


@pytest.mark.parametrize(
    ("endpoint", "variable", "insecure"),
    [
        ("http://a:1", "", True),
        ("https://a:1", "true", False),
        ("a:1", "", False),
        ("a:1", "true", True),
    ],
)
def test_whether_grpc_connects_without_tls(endpoint: str, variable: str, insecure: bool) -> None:
    """The scheme says it, and the variable where there is none."""
    environ = {
        "OTEL_EXPORTER_OTLP_INSECURE": variable,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
    }
    assert collector(environ).insecure is insecure


def test_the_rest_of_the_collector() -> None:
    """Timeouts are in milliseconds, as the specification has it, and %-escapes are undone."""
    found = collector(
        {
            "OTEL_EXPORTER_OTLP_TIMEOUT": "2500",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Basic%20YTpi, x-tenant=a=b,",
            "OTEL_EXPORTER_OTLP_CERTIFICATE": "/ca.pem",
            "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY": "/key.pem",
        }
    )
    assert found.timeout_seconds == 2.5
    assert found.compression == "gzip"
    assert found.headers == {"authorization": "Basic YTpi", "x-tenant": "a=b"}
    assert (found.certificate, found.client_key) == ("/ca.pem", "/key.pem")


@pytest.mark.parametrize(
    ("environ", "settings", "ratio"),
    [
        ({}, {}, 1.0),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, {}, 0.0),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_on"}, {}, 1.0),
        (
            {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"},
            {},
            0.25,
        ),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}, {}, 0.0),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, {"sample_ratio": 0.5}, 0.5),
    ],
)
def test_the_sampling(environ: dict[str, str], settings: dict[str, object], ratio: float) -> None:
    """The setting, else the sampler that the variables name."""
    assert plan({"OTEL_TRACES_EXPORTER": "otlp", **environ}, **settings).sample_ratio == ratio


def test_the_resource() -> None:
    """We name ourselves; who runs us may say more, and otherwise."""
    ours = plan(exporter="console").resource
    assert ours["service.name"] == "flyte-exporter"
    assert ours["service.version"] == exporter.__version__
    assert ours["service.instance.id"] != plan(exporter="console").resource["service.instance.id"]
    theirs = plan(
        {
            "OTEL_RESOURCE_ATTRIBUTES": "service.name=one,deployment.environment=a%2Cb",
            "OTEL_SERVICE_NAME": "two",
        },
        exporter="console",
    ).resource
    assert theirs["service.name"] == "two"
    assert theirs["deployment.environment"] == "a,b"


def test_the_queue() -> None:
    """Its bounds, and how long a span waits for others."""
    found = plan(
        {
            "OTEL_BSP_MAX_QUEUE_SIZE": "100",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10",
            "OTEL_BSP_SCHEDULE_DELAY": "1500",
        },
        exporter="console",
    )
    assert (found.queue_size, found.batch_size, found.delay_seconds) == (100, 10, 1.5)
    assert plan({"OTEL_BSP_MAX_QUEUE_SIZE": "100"}, exporter="console").batch_size == 100


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_SDK_DISABLED", "yes"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "nan"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_INSECURE", "1"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "bad key=value"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "key=new%0Aline"),
        ("OTEL_TRACES_SAMPLER", "xray"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a;b"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_BSP_SCHEDULE_DELAY", "-1"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1e3"),
    ],
)
def test_a_variable_that_cannot_be_used_counts_as_not_set(variable: str, value: str) -> None:
    """One sentence names it; everything is as without it."""
    found, without = (plan(environ, exporter="otlp") for environ in ({variable: value}, {}))
    (problem,) = found.problems
    assert problem.startswith(f"{variable}: expected ") or "characters" in problem
    assert problem.endswith("; ignored.")
    assert found.collector == without.collector
    assert found.queue_size == without.queue_size
    assert found.batch_size == without.batch_size
    assert found.delay_seconds == without.delay_seconds
    assert found.sample_ratio == without.sample_ratio


def test_a_batch_fits_into_its_queue() -> None:
    """The SDK would refuse to start otherwise."""
    environ = {"OTEL_BSP_MAX_QUEUE_SIZE": "5", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "9"}
    found = plan(environ, exporter="console")
    assert (found.queue_size, found.batch_size) == (5, 5)
    assert "OTEL_BSP_MAX_EXPORT_BATCH_SIZE" in found.problems[0]


@pytest.mark.parametrize("value", ["jaeger", "otlp,console"])
def test_an_exporter_that_we_have_not_is_said(value: str) -> None:
    """And nothing is traced, as if nobody had asked."""
    found = plan({"OTEL_TRACES_EXPORTER": value})
    assert found.destination == "none"
    assert found.problems == (
        f'OTEL_TRACES_EXPORTER: expected one of none, otlp, console, got "{value}"; ignored.',
    )


@pytest.mark.parametrize("endpoint", ["collector", "ftp://a:1", "http://", "http://a:x", "a:99999"])
def test_an_endpoint_that_is_none_sends_nothing_anywhere(endpoint: str) -> None:
    """Least of all to the default: what was meant is not known."""
    variable = "OTEL_EXPORTER_OTLP_ENDPOINT"
    found = plan({variable: endpoint}, exporter="otlp", protocol="http/protobuf")
    assert found.destination == "none"
    (problem,) = found.problems
    assert problem.startswith(f"{variable}: expected a URL")
    assert f'got "{endpoint}"; no spans are exported.' in problem


def test_a_timeout_in_seconds_is_told_apart() -> None:
    """Some SDKs read it so; ten milliseconds are for nobody."""
    found = plan({"OTEL_EXPORTER_OTLP_TIMEOUT": "10"}, exporter="otlp")
    assert "were seconds meant?" in found.problems[0]


@pytest.mark.parametrize(
    "environ",
    [
        {"OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {_SECRET}"},
        {"OTEL_EXPORTER_OTLP_HEADERS": f"not a header={_SECRET}"},
        {"OTEL_EXPORTER_OTLP_HEADERS": _SECRET},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": f"https://me:{_SECRET}@collector:4318"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": f"https://me:{_SECRET}@:x"},
    ],
)
def test_secrets_are_not_shown(environ: dict[str, str]) -> None:
    """Neither by what is wrong with them, nor by the plan itself."""
    found = plan(environ, exporter="otlp", protocol="http/protobuf")
    assert _SECRET not in "".join((repr(found), found.place, *found.problems))


class Asked(Mapping[str, str]):
    """An environment in which nothing is set, and which knows what was asked for."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self.names: set[str] = set()
        self._given = given

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return self._given[name]

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("nobody needs to know all")

    def __len__(self) -> int:
        raise AssertionError("nobody needs to know how many")


def test_every_variable_is_documented() -> None:
    """Each that we look at has a row, and no other has one."""
    asked = Asked({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER": "traceidratio"})
    plan_for(TracingSettings(), asked)
    rows = set(re.findall(r"^\| `(OTEL_\w+)` \|", _PAGE.read_text("utf-8"), re.MULTILINE))
    general = {name.replace("_OTLP_TRACES_", "_OTLP_") for name in asked.names}
    assert rows == general
