"""What is wrong is found, told in one line, and followed by what mends it."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from flyteidl.admin import execution_pb2, project_pb2

from exporter.doctor import report
from exporter.doctor.visit import NEEDS
from exporter.ledger.migrations import VERSION
from exporter.ledger.opening import open_ledger
from exporter.model.time import SECOND, Micros
from exporter.sim.authority import Authority, OAuthClient
from exporter.sim.server import Serving, serve
from exporter.sim.tls import Tls
from exporter.sim.token_endpoint import Fault
from exporter.sim.world import World
from exporter.telemetry.clock import SystemClock
from tests.admin.conftest import Refused, ScriptedAdmin, refusing
from tests.doctor.conftest import Patient, executions, healthy, never
from tests.tls import Issued

_SECRET = "correct-horse-battery"


class Jumping(SystemClock):
    """The real clock, but a test may have time pass at once."""

    def __init__(self) -> None:
        self.passed = 0.0

    def monotonic(self) -> float:
        """Return the seconds that have passed, in truth or not."""
        return super().monotonic() + self.passed


class Still(SystemClock):
    """A clock of which only the seconds of waiting pass."""

    def __init__(self) -> None:
        self._now = super().now()

    def now(self) -> Micros:
        """Return the moment at which it stands."""
        return self._now


@asynccontextmanager
async def listening(said: bytes | None = b"") -> AsyncIterator[int]:
    """Yield the port of a server that says *said* to everybody, and hangs up; None says nothing."""
    over = asyncio.Event()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if said is None:
            await over.wait()
        else:
            writer.write(said)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    over.set()
    server.close()
    await server.wait_closed()


def test_what_a_check_needs_comes_before_it() -> None:
    """The order is that of the way to Admin."""
    order = list(NEEDS)
    assert all(order.index(need) < order.index(name) for name in NEEDS for need in NEEDS[name])


async def test_a_healthy_patient(patient: Patient) -> None:
    """Everything is looked at; what is not configured is said to be so."""
    results = await patient.results()
    assert [result.name for result in results] == list(NEEDS)
    assert {r.name: r.finding.status.value for r in results if r.finding.status.value != "ok"} == {
        "token": "skip",
        "tracing": "skip",
    }
    assert list(patient.directory.iterdir()) == [patient.config]


async def test_every_problem_of_a_configuration_is_told_and_nothing_else_tried(
    patient: Patient, server: ScriptedAdmin
) -> None:
    """One look tells all there is to correct."""
    patient.settings["scrape"] = {"intervall": "30s", "page_size": 0}
    told = await patient.report()
    config = patient.config
    assert told["configuration"][0] == f"FAIL  {config}: 2 problems"
    assert told["configuration"][1].startswith(f"fix: {config}:1:")
    assert 'did you mean "interval"?' in "".join(told["configuration"])
    assert len(told["configuration"]) == 3
    assert {tuple(lines) for name, lines in told.items() if name != "configuration"} == {
        ("skip  not tried, because configuration failed",)
    }
    assert list(told) == list(NEEDS)
    assert server.asked == []


async def test_a_name_that_leads_nowhere(patient: Patient) -> None:
    """Nothing of Admin is tried; what is on this machine is looked at all the same."""
    patient.settings["admin"]["endpoint"] = "flyteadmin.invalid:81"
    told = await patient.report()
    assert told["dns"][0] == "FAIL  no such host: flyteadmin.invalid"
    assert told["dns"][1].startswith("fix: check admin.endpoint")
    for name in ("tcp", "tls", "token", "version", "projects", "executions", "phase-index"):
        assert told[name] == ["skip  not tried, because dns failed"]
    assert told["ledger"][0].startswith("ok")


async def test_nobody_listens(patient: Patient, unused_tcp_port: int) -> None:
    """The port is named."""
    patient.settings["admin"]["endpoint"] = f"127.0.0.1:{unused_tcp_port}"
    told = await patient.report()
    assert told["tcp"][0].startswith(f"FAIL  127.0.0.1:{unused_tcp_port} refused")
    assert told["tcp"][1].startswith("fix: check the port in admin.endpoint")
    assert told["tls"] == ["skip  not tried, because tcp failed"]


async def test_a_server_of_something_else(patient: Patient) -> None:
    """Somebody who speaks HTTP/1 is not asked for versions."""
    async with listening(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        patient.settings["admin"]["endpoint"] = f"127.0.0.1:{port}"
        told = await patient.report()
    assert told["tls"][0].startswith(f"FAIL  127.0.0.1:{port} speaks HTTP/1 only")
    assert told["version"] == ["skip  not tried, because tls failed"]


async def test_a_server_that_takes_connections_and_says_nothing(patient: Patient) -> None:
    """Each check ends in time."""
    async with listening(None) as port:
        patient.settings["admin"]["endpoint"] = f"127.0.0.1:{port}"
        async with asyncio.timeout(5):
            told = await patient.report(limit=0.5)
    assert told["tcp"][0].startswith("ok")
    assert told["tls"][0].startswith("FAIL")


# With TLS and tokens: the simulated Admin


class Simulated(NamedTuple):
    """A simulated Admin that is up, and who gives its tokens."""

    serving: Serving
    authority: Authority


@asynccontextmanager
async def simulated(
    patient: Patient, certificate: Issued, root: Issued
) -> AsyncIterator[Simulated]:
    """Serve a world with TLS and tokens, and have the patient's configuration fit it."""
    cert_file, key_file = certificate.write(patient.directory)
    root.save(patient.directory / "ca.crt")
    (patient.directory / "secret").write_text(_SECRET)
    authority = Authority([OAuthClient(id="exporter", secret=_SECRET)])
    world = World(seed=1, start=SystemClock().now(), speed=60)
    tls = Tls(cert_file=cert_file, key_file=key_file)
    async with serve(world, authority=authority, tls=tls) as serving:
        patient.settings["admin"] = {
            "endpoint": f"localhost:{serving.port}",
            "ca_file": str(patient.directory / "ca.crt"),
            "auth": {
                "type": "client_secret",
                "client_id": "exporter",
                "client_secret_file": str(patient.directory / "secret"),
            },
        }
        yield Simulated(serving, authority)


async def test_certificate_and_token_tell_who_and_until_when(patient: Patient) -> None:
    """Who issued the one, where the other is from, and how long both last."""
    root = Issued.authority("root", days=400)
    async with simulated(patient, root.issue("admin", days=90), root) as (serving, _):
        told = await patient.report()
    (tls,) = told["tls"]
    assert tls.startswith("ok    CN=admin, issued by CN=root, expires 20")
    assert tls.endswith(f"believed by {patient.directory / 'ca.crt'}")
    url = serving.token_url
    assert told["token"] == [
        f"ok    a token from the identity provider at {url}, expires in 30 min, scopes all offline"
    ]
    assert told["version"][0].startswith("ok")


async def test_a_certificate_that_ends_soon(patient: Patient) -> None:
    """Two weeks before calls fail, and nothing fails now."""
    root = Issued.authority("root", days=400)
    async with simulated(patient, root.issue("admin", days=5), root):
        told = await patient.report()
    assert told["tls"][0].startswith("warn  CN=admin, issued by CN=root")
    assert told["tls"][0].endswith(", in 4 d") or told["tls"][0].endswith(", in 5 d")
    assert told["tls"][1:] == ["fix: have Admin's certificate renewed"]
    assert told["version"][0].startswith("ok")


async def test_an_authority_that_nobody_knows(patient: Patient) -> None:
    """Whom to trust is for a person to say."""
    root = Issued.authority("root")
    async with simulated(patient, root.issue("admin"), Issued.authority("another")):
        told = await patient.report()
    assert told["tls"][0].startswith("FAIL  Admin's certificate (CN=admin) is issued by CN=root")
    assert told["tls"][1].startswith("fix: set admin.ca_file")
    assert told["token"] == ["skip  not tried, because tls failed"]


async def test_a_certificate_that_nobody_verifies(patient: Patient) -> None:
    """It works, and somebody should know."""
    root = Issued.authority("root")
    async with simulated(patient, root.issue("admin"), root):
        del patient.settings["admin"]["ca_file"]
        patient.settings["admin"]["insecure_skip_verify"] = True
        told = await patient.report()
    assert told["tls"][0].startswith("warn  CN=admin, issued by CN=root, expires ")
    assert told["tls"][0].endswith("NOT verified, as admin.insecure_skip_verify says")
    assert told["tls"][1].startswith("fix: set admin.ca_file")
    assert told["token"][0].startswith("ok")


async def test_a_file_of_certificates_that_is_not_there(patient: Patient) -> None:
    """The setting is named."""
    root = Issued.authority("root")
    async with simulated(patient, root.issue("admin"), root):
        (patient.directory / "ca.crt").unlink()
        told = await patient.report()
    assert told["tls"][0].startswith("FAIL  admin.ca_file:")
    assert told["tls"][1].startswith("fix: ")


async def test_a_wrong_secret_is_told_and_not_shown(patient: Patient) -> None:
    """The identity provider's refusal, without what it refused."""
    root = Issued.authority("root")
    async with simulated(patient, root.issue("admin"), root):
        (patient.directory / "secret").write_text("wrong-horse-battery")
        results = await patient.results()
        told = {result.name: list(report.lines(result)) for result in results}
    assert told["token"][0].startswith("FAIL  token          The identity provider at ")
    assert told["token"][1].startswith("      fix: ")
    assert told["version"][0].endswith("not tried, because token failed")
    assert "horse" not in repr(results) + repr(report.document(results))


async def test_a_secret_that_is_not_there(patient: Patient) -> None:
    """Which file, and what to do about it."""
    root = Issued.authority("root")
    async with simulated(patient, root.issue("admin"), root):
        (patient.directory / "secret").unlink()
        told = await patient.report()
    assert told["token"][0].endswith("cannot be read: No such file or directory")
    assert told["token"][1] == "fix: put it there, or let this user read it"


async def test_an_identity_provider_that_hangs(patient: Patient) -> None:
    """It is named, in time; Admin is not asked without a token."""
    root = Issued.authority("root")
    async with simulated(patient, root.issue("admin"), root) as (serving, _):
        assert serving.token_endpoint
        serving.token_endpoint.fault = Fault.HANG
        told = await patient.report(limit=3.0)
    assert told["token"] == [
        f"FAIL  none came within 2.7 s: a token from the identity provider at {serving.token_url}",
        "fix: check that it can be reached from here, and what it waits for",
    ]
    assert told["version"] == ["skip  not tried, because token failed"]


async def test_a_token_that_admin_does_not_take(patient: Patient) -> None:
    """It was had, so the token is well; that Admin refuses it shows where Admin is asked."""
    root = Issued.authority("root")
    async with simulated(patient, root.issue("admin"), root) as (_, authority):
        authority.scopes_as_text = True
        told = await patient.report()
    assert told["token"][0].startswith("ok")
    assert told["version"][0].startswith("FAIL  GetVersion: UNAUTHENTICATED after")
    assert told["version"][0].endswith('its claim scp is the text "all offline"')
    assert told["version"][1].startswith("fix: have the identity provider write scp as a list")
    assert told["projects"] == ["skip  not tried, because version failed"]


async def test_a_token_that_admin_cannot_read(patient: Patient, server: ScriptedAdmin) -> None:
    """Admin's words are told as what was found; what to do is ours."""
    path = patient.directory / "token"
    path.write_text("gibberish")
    patient.settings["admin"]["auth"] = {
        "type": "token_file",
        "token_file": str(path),
        "header": "authorization",
    }
    server.answers["GetVersion"] = refusing(
        grpc.StatusCode.UNAUTHENTICATED, "token parse error; No keys. Go away."
    )
    told = await patient.report()
    assert told["version"][0].endswith(
        "and it is given no other: token parse error; No keys; Go away"
    )
    assert told["version"][1] == "fix: have it give tokens that are accepted"


async def test_a_token_that_nobody_wants(patient: Patient) -> None:
    """An Admin without authentication says so by not knowing the question."""
    async with serve(World(seed=1, start=SystemClock().now(), speed=60)) as serving:
        patient.settings["admin"] = {
            "endpoint": serving.address,
            "insecure": True,
            "auth": {
                "type": "client_secret",
                "client_id": "exporter",
                "client_secret_env": "SECRET",
            },
        }
        told = await patient.report()
    assert told["token"] == ["ok    no token: this Admin does not ask for one"]


# What Admin answers: a scripted one


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("PERMISSION_DENIED", "a proxy before Flyte Admin does not let GetVersion through"),
        (
            "UNIMPLEMENTED",
            "Flyte Admin is too old to know GetVersion, or its ingress does not let it through",
        ),
    ],
)
async def test_an_admin_that_does_not_tell_its_version(
    patient: Patient, server: ScriptedAdmin, code: str, why: str
) -> None:
    """Nothing depends on it, so nobody is alarmed; what to do is said in case it is more."""
    server.answers["GetVersion"] = refusing(grpc.StatusCode[code], "RBAC")
    told = await patient.report()
    found, fix = told["version"]
    assert found == f"skip  not told ({code}): {why}"
    assert fix == (
        "fix: none is needed, nothing depends on it; where projects cannot be listed either, check"
        " that admin.endpoint is the gRPC port of Flyte Admin"
    )
    assert told["executions"][0].startswith("ok")


async def test_an_admin_that_wants_a_token(patient: Patient, server: ScriptedAdmin) -> None:
    """None is configured, and that is the thing to do."""
    server.answers["GetVersion"] = refusing(grpc.StatusCode.UNAUTHENTICATED, "token parse error")
    told = await patient.report()
    assert told["version"][0].endswith(": This Admin wants a token, and none is configured")
    assert told["version"][1] == "fix: set admin.auth.type"


async def test_projects_that_may_not_be_listed(patient: Patient, server: ScriptedAdmin) -> None:
    """The call to allow is named."""
    server.answers["ListProjects"] = refusing(grpc.StatusCode.PERMISSION_DENIED, "RBAC")
    told = await patient.report(clock=Jumping())
    assert told["projects"][0].startswith("FAIL  ListProjects: PERMISSION_DENIED after")
    assert told["projects"][0].endswith(": RBAC")
    assert told["projects"][1:] == ["fix: allow ListProjects for this client"]
    assert told["executions"] == ["skip  not tried, because projects failed"]


@pytest.mark.parametrize(
    ("discovery", "lines"),
    [
        ({}, ["ok    2 projects, 6 targets, 6 included by discovery"]),
        (
            {"include": ["*/production"], "exclude": ["ml/*"]},
            ["ok    2 projects, 6 targets, 1 included by discovery"],
        ),
        (
            {"include": ["etl/*", "mll/*"]},
            [
                (
                    "warn  2 projects, 6 targets, 3 included by discovery;"
                    ' include "mll/*" matches none'
                ),
                "fix: check the spelling in discovery, the projects are etl, ml",
            ],
        ),
        (
            {"include": ["etl/*"], "exclude": ["etl/*"]},
            [
                "warn  2 projects, 6 targets, 0 included by discovery: nothing will be scraped",
                "fix: let discovery.include name what discovery.exclude does not",
            ],
        ),
    ],
)
async def test_what_discovery_makes_of_the_projects(
    patient: Patient, discovery: dict[str, Any], lines: list[str]
) -> None:
    """How many targets there will be, and which pattern is most likely a slip."""
    patient.settings["discovery"] = discovery
    assert (await patient.report())["projects"] == lines


async def test_no_projects(patient: Patient, server: ScriptedAdmin) -> None:
    """Nothing to scrape is no failure, and nothing is made of it that is not there."""
    server.answers["ListProjects"] = lambda _: project_pb2.Projects()
    told = await patient.report()
    assert told["projects"][0] == "warn  0 projects, 0 targets, 0 included by discovery"
    assert told["executions"] == ["skip  no target is included by discovery"]
    assert told["clock"] == ["skip  no target could be listed"]
    assert told["phase-index"] == ["skip  no target could be listed"]


async def test_one_target_of_each_domain_is_listed(patient: Patient, server: ScriptedAdmin) -> None:
    """The first that is included, and one row of it: a look, and no poll."""
    patient.settings["discovery"] = {"exclude": ["etl/staging", "*/development"]}
    told = await patient.report()
    assert told["executions"][0].startswith("ok    ml/staging, etl/production listed, the slowest")
    asked = [
        (request.id.project, request.id.domain)
        for method, request in server.asked
        if method == "ListExecutions" and request.limit == 1
    ]
    assert sorted(asked) == [("etl", "production"), ("ml", "staging")]


async def test_an_old_admin_without_domains(patient: Patient, server: ScriptedAdmin) -> None:
    """The targets name them as well."""
    server.answers["GetDomains"] = refusing(grpc.StatusCode.UNIMPLEMENTED)
    old = await patient.report()
    server.answers["GetDomains"] = refusing(grpc.StatusCode.PERMISSION_DENIED)
    denied = await patient.report()
    for told in (old, denied):
        assert told["executions"][0].startswith(
            "ok    etl/development, etl/staging, etl/production"
        )


async def test_a_target_that_may_not_be_listed(patient: Patient, server: ScriptedAdmin) -> None:
    """Target, code and time in one line; the fix can be copied. The rest is looked at."""

    def denied(request: Any) -> Any:
        if request.id.domain == "production":
            raise Refused(grpc.StatusCode.PERMISSION_DENIED)
        return healthy()["ListExecutions"](request)

    server.answers["ListExecutions"] = denied
    told = await patient.report()
    (line, fix) = told["executions"]
    assert line.startswith("FAIL  etl/production: PERMISSION_DENIED after ")
    assert line.endswith("s")
    assert fix == (
        'fix: allow ListExecutions for this client, or set discovery.exclude: ["etl/production"]'
    )
    assert told["clock"][0].startswith("ok")
    assert told["phase-index"][0].startswith("ok")


async def test_a_database_that_is_ill(patient: Patient, server: ScriptedAdmin) -> None:
    """Where nothing can be listed, what needs rows is not tried."""
    server.answers["ListExecutions"] = refusing(
        grpc.StatusCode.UNKNOWN, "failed database operation with canceling statement"
    )
    told = await patient.report()
    assert "etl/development: UNKNOWN after" in told["executions"][0]
    assert "; etl/staging: UNKNOWN after" in told["executions"][0]
    assert told["executions"][1:] == [
        "fix: look into the logs of Flyte Admin, and of its database, at this time"
    ]
    assert told["clock"] == ["skip  no target could be listed"]


async def test_an_admin_that_hangs(patient: Patient, server: ScriptedAdmin) -> None:
    """What was asked is named, the check ends in time, and so does everything."""
    server.answers["ListExecutions"] = never
    async with asyncio.timeout(5):
        told = await patient.report(limit=0.5)
    assert told["executions"][0].startswith(
        "FAIL  etl/development: DEADLINE_EXCEEDED after 0.5 s"
    ) or told["executions"][0].startswith("FAIL  etl/development: DEADLINE_EXCEEDED after 0.4 s")
    assert told["executions"][1].startswith("fix: look at Flyte Admin's load")
    server.answers["GetVersion"] = never
    async with asyncio.timeout(5):
        told = await patient.report(limit=0.5)
    assert told["version"][0].startswith("FAIL  GetVersion: DEADLINE_EXCEEDED")


async def test_our_clock_is_behind(patient: Patient, server: ScriptedAdmin) -> None:
    """What Admin has dated was in its past: a date in our future is proof."""
    clock = Still()
    server.answers["ListExecutions"] = lambda request: executions(
        request, created_at=clock.now() / SECOND + 300
    )
    assert (await patient.report(clock=clock))["clock"] == [
        (
            "warn  our clock is behind Flyte Admin's by at least 5 min: that far in our future"
            " etl/development/a1 was created"
        ),
        (
            "fix: synchronise the clocks of both machines (chrony, ntpd): ages, delays and the"
            " lifetime of tokens depend on them"
        ),
    ]


@pytest.mark.parametrize(
    ("age", "line"),
    [
        (-2.5, "ok    no sign of skew: the newest execution is 0 ms old"),
        (12.3, "ok    no sign of skew: the newest execution is 12 s old"),
        (1200.0, "ok    no sign of skew: the newest execution is 20 min old"),
        (7200.0, "skip  nothing to compare with: no execution in the last 1 h"),
    ],
)
async def test_no_more_is_said_of_clocks_than_rows_show(
    patient: Patient, server: ScriptedAdmin, age: float, line: str
) -> None:
    """The age of the newest row bounds what nobody can measure; without a row there is nothing."""
    clock = Still()
    server.answers["ListExecutions"] = lambda request: executions(
        request, created_at=clock.now() / SECOND - age
    )
    assert (await patient.report(clock=clock))["clock"] == [line]


async def test_a_scan_instead_of_an_index(patient: Patient, server: ScriptedAdmin) -> None:
    """An Admin before 1.16 reads its whole table for the live ones; the time shows it."""
    clock = Jumping()

    def slow(request: Any) -> Any:
        if "value_in(phase" in request.filters and request.id.domain == "production":
            clock.passed += 7.3
        return execution_pb2.ExecutionList()

    server.answers["ListExecutions"] = slow
    told = await patient.report(clock=clock)
    assert told["phase-index"][0].endswith(" listed in 7.3 s: each reconcile reads the whole table")
    assert told["phase-index"][0].startswith("warn  live executions of etl/")
    assert told["phase-index"][1:] == [
        (
            "fix: upgrade Flyte Admin to 1.16, which has an index on phase, or raise"
            " scrape.reconcile_interval"
        )
    ]


async def test_a_scan_that_does_not_end(patient: Patient, server: ScriptedAdmin) -> None:
    """The same rows are there in time when they are not asked for by phase; so that is said."""

    def stuck(request: Any) -> Any:
        if "value_in(phase" in request.filters and request.id.domain == "production":
            return never(request)
        return execution_pb2.ExecutionList()

    server.answers["ListExecutions"] = stuck
    told = await patient.report(limit=1.0)
    assert told["executions"][0].startswith("ok")
    assert told["phase-index"] == [
        "FAIL  live executions of etl/production: DEADLINE_EXCEEDED after 0.9 s: Deadline Exceeded",
        (
            "fix: upgrade Flyte Admin to 1.16, which has an index on phase, or raise"
            " scrape.reconcile_interval"
        ),
    ]


async def test_more_polls_than_calls(patient: Patient) -> None:
    """The same words as in the log of a start."""
    patient.settings["admin"]["rate_limit"] = "6/m"
    told = await patient.report()
    assert told["demand"] == [
        "warn  6 targets need 0.44 calls/s, but admin.rate_limit allows 0.1: polls will be late",
        'fix: set admin.rate_limit: "1/s", or scrape.interval: "3m20s"',
    ]


# This machine


async def test_the_ledger_of_another_admin(patient: Patient) -> None:
    """It is looked at and not touched; Admin is well all the same."""
    path = Path(patient.settings["ledger"]["path"])
    with open_ledger(path, endpoint="other:81"):
        pass
    endpoint = patient.settings["admin"]["endpoint"]
    told = await patient.report()
    assert told["ledger"] == [
        f"FAIL  Ledger {path} belongs to the Admin at other:81, not to {endpoint}",
        (
            "fix: set ledger.path to another file for another Admin; if it is the same one under a"
            " new address, start once with --adopt-ledger"
        ),
    ]
    assert told["executions"][0].startswith("ok")


async def test_a_running_exporter_has_the_ledger(patient: Patient) -> None:
    """That is as it should be, and says which process it is."""
    path = Path(patient.settings["ledger"]["path"])
    with open_ledger(path, endpoint=patient.settings["admin"]["endpoint"]):
        (line,) = (await patient.report())["ledger"]
    assert line.startswith(f"ok    {path}: schema {VERSION}, ")
    assert line.endswith(f"in use by pid {os.getpid()}")


async def test_somebody_has_the_web_port(patient: Patient) -> None:
    """The words of a start, before it."""
    async with listening() as port:
        patient.settings["web"]["listen"] = f"127.0.0.1:{port}"
        told = await patient.report()
    assert told["web-port"] == [
        f'FAIL  Cannot listen on "127.0.0.1:{port}": another process uses this port',
        "fix: stop it, or choose another port",
    ]


async def test_where_spans_go(patient: Patient, unused_tcp_port: int) -> None:
    """A collector that is there; one that is not, which is no failure; and none of it is secret."""
    async with listening() as port:
        patient.settings["tracing"] = {
            "exporter": "otlp",
            "endpoint": f"http://127.0.0.1:{port}",
        }
        assert (await patient.report())["tracing"] == [f"ok    spans go to http://127.0.0.1:{port}"]
    url = f"127.0.0.1:{unused_tcp_port}"
    patient.settings["tracing"] = {"exporter": "otlp"}
    patient.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://me:{_SECRET}@{url}"
    assert (await patient.report())["tracing"] == [
        (
            f"warn  http://{url} cannot be reached: Connect call failed"
            f" ('127.0.0.1', {unused_tcp_port})"
        ),
        "fix: check tracing.endpoint; until then spans are dropped, and nothing else happens",
    ]
    patient.settings["tracing"] = {"exporter": "console"}
    assert (await patient.report())["tracing"] == ["ok    spans go to the console"]
