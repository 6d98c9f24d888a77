"""
A configuration is changed while the exporter runs, and no count is lost or doubled by it.

Real processes: the file is rewritten as a person or a ConfigMap would, and read again on SIGHUP or
POST /-/reload.
"""

import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from exporter.model.executions import Phase
from tests.e2e.exporter import Counts, Exporter, write_config
from tests.e2e.flyte import DOMAIN, Flyte, Simulator
from tests.e2e.programs import get, settled, until
from tests.e2e.traffic import FINISHED, TOTALS, Traffic, together

_SUCCESSFUL = "flyte_exporter_config_last_reload_successful"
_SUCCESS_AT = "flyte_exporter_config_last_reload_success_timestamp_seconds"
_INTERVAL = "flyte_exporter_target_interval_seconds"
_ACTIVE = "flyte_executions_active"
_DURATION = "flyte_execution_duration_seconds_count"
_METRICS = {total.metric for total in TOTALS}
_LEVELS = {_ACTIVE, "flyte_executions_oldest_in_phase_timestamp_seconds"}
_OF_PLANS = _LEVELS | {
    "flyte_launch_plan_info",
    "flyte_launch_plan_active_since_timestamp_seconds",
    "flyte_launch_plan_schedule_next_due_timestamp_seconds",
    "flyte_launch_plan_last_finished_timestamp_seconds",
    "flyte_launch_plan_consecutive_failures",
}
"""Gauges that a launch plan has, of every kind."""


def _rule(match: str, replacement: str) -> dict[str, str]:
    return {"match": match, "replacement": replacement}


_OTHER_RULES: Sequence[Mapping[str, Any]] = (
    {"relabel": [_rule("once-.*", "once")]},
    {
        "relabel": [_rule("(in)gest", "$1")],
        "families": {"flyte_executions_finished_total": {"launch_plan": False}},
    },
    {
        "families": {
            f"flyte_{name}": {"launch_plan": False}
            for name in ("execution_duration_seconds", "executions_launched_total")
        }
    },
    {"relabel": [_rule("(in|once).*", "all")]},
    {},
)
"""Each differs from the one before; who is called `report` has a level by that name in all."""


class Scene:
    """An exporter of projects of its own, and the file that it reads."""

    def __init__(self, simulator: Simulator, flyte: Flyte, directory: Path, name: str) -> None:
        self.flyte = flyte
        self.projects = tuple(f"{name}-{each}" for each in ("orders", "billing"))
        for project in self.projects:
            flyte.add_project(project)
            flyte.add_launch_plan(project, "ingest")
        self._directory = directory
        self._endpoint = simulator.address
        self._include = [f"{project}/{DOMAIN}" for project in self.projects]
        self.config = self.write()

    def write(self, **sections: Any) -> Path:
        """Rewrite the file with what is to be otherwise than at first."""
        sections.setdefault("discovery", {"include": self._include})
        return write_config(self._directory, endpoint=self._endpoint, **sections)

    def assert_counted(self, exporter: Exporter) -> None:
        """Wait until all that ended is counted."""
        deeds = self.flyte.deeds.finished
        assert settled(lambda: exporter.counts(*FINISHED), deeds, within=15) == deeds


@pytest.fixture
def scene(
    simulator: Simulator, flyte: Flyte, tmp_path: Path, request: pytest.FixtureRequest
) -> Scene:
    """Return a scene with projects that no other test has."""
    name = request.node.name.partition("[")[0].replace("_", "-")[-40:].strip("-")
    return Scene(simulator, flyte, tmp_path, name)


def test_what_is_changed_takes_effect(scene: Scene) -> None:
    """Interval, log level, limits and buckets follow the file; the counts and the port stay."""
    orders, _ = scene.projects
    with Exporter(scene.config) as exporter:
        exporter.wait_until_ready()
        began = exporter.value(_SUCCESS_AT) or 0
        assert time.time() - began < 60
        assert exporter.value(_SUCCESSFUL) == 1
        scene.flyte.whole_life(orders, "ingest")
        scene.assert_counted(exporter)
        assert "event=polled" not in exporter.program.said()

        scene.write(
            scrape={"interval": "100ms"},
            log={"level": "debug"},
            admin={"rate_limit": "40/s"},
            metrics={"series_limit": 5000},
        )
        answer = exporter.reload()

        assert answer == (
            200,
            "reloaded: admin.rate_limit, scrape.interval, metrics.series_limit, log.level\n",
        )
        assert exporter.ask("/-/ready").status == 200
        assert exporter.counts(*FINISHED) == scene.flyte.deeds.finished
        assert exporter.value(_INTERVAL, project=orders) == 0.1
        assert exporter.value("flyte_exporter_series_limit") == 5000
        assert (exporter.value(_SUCCESS_AT) or 0) > began
        exporter.program.wait_for("event=polled")
        shown = exporter.ask("/config").body
        assert "interval: 100ms" in shown
        assert "rate_limit: 40/s" in shown
        scene.flyte.whole_life(orders, "ingest")
        scene.assert_counted(exporter)
        assert exporter.program.terminate() == 0


def test_targets_come_and_go(scene: Scene) -> None:
    """Who is left out loses gauges and keeps counters; who comes in newly is primed."""
    orders, billing = scene.projects
    with Exporter(scene.write(discovery={"include": [f"{orders}/{DOMAIN}"]})) as exporter:
        exporter.wait_until_ready()
        live = scene.flyte.launch(orders, "ingest")
        scene.flyte.whole_life(orders, "ingest")
        counted = scene.flyte.deeds.finished.copy()
        scene.flyte.whole_life(billing, "ingest")  # before anybody looked: never counted
        unseen = scene.flyte.deeds.finished - counted
        until(lambda: exporter.counts(*FINISHED) == counted, within=10, what="the first count")
        until(lambda: exporter.value(_ACTIVE, project=orders), within=10, what="a live execution")

        scene.write(discovery={"include": [f"{billing}/{DOMAIN}"]})
        assert exporter.reload() == (200, "reloaded: discovery.include\n")
        assert exporter.value(_ACTIVE, project=orders) is None
        assert exporter.value(_INTERVAL, project=orders) is None
        assert exporter.counts(*FINISHED) == counted
        exporter.program.wait_for(f"target primed.*project={billing}")
        scene.flyte.whole_life(billing, "ingest")
        scene.flyte.finish(live, Phase.FAILED)  # while nobody looks: never counted
        unseen[orders, "ingest", "MANUAL", "FAILED"] += 1
        expected = scene.flyte.deeds.finished - unseen
        assert settled(lambda: exporter.counts(*FINISHED), expected, within=10) == expected

        scene.write()
        assert exporter.reload().status == 200
        exporter.program.wait_for(f"(?s)(target primed[^\n]*project={orders}.*){{2}}")
        scene.flyte.whole_life(orders, "ingest")
        expected = scene.flyte.deeds.finished - unseen
        assert settled(lambda: exporter.counts(*FINISHED), expected, within=10) == expected
        assert _series_of_targets(exporter) == 2 * 5


def test_an_invalid_file_is_refused(scene: Scene) -> None:
    """The answer names every fault and its place; what was there before goes on, and shows it."""
    orders, _ = scene.projects
    with Exporter(scene.config) as exporter:
        exporter.wait_until_ready()
        began = exporter.value(_SUCCESS_AT)
        scene.config.write_text("admin: {endpoint: a}\nscrape:\n  interval: 30\n", "utf-8")

        answer = exporter.reload()

        assert answer.status == 400
        first, second, last = answer.body.splitlines()
        assert first.startswith(f"{scene.config}:1:19: admin.endpoint: expected HOST:PORT")
        assert second.startswith(f"{scene.config}:3:13: scrape.interval: expected a duration")
        assert last == "2 problems; nothing was changed."
        assert exporter.value(_SUCCESSFUL) == 0
        assert exporter.value(_SUCCESS_AT) == began
        assert exporter.program.said().count("configuration refused") == 2
        scene.config.unlink()
        assert "cannot be read: no such file" in exporter.reload().body
        scene.flyte.whole_life(orders, "ingest")
        scene.assert_counted(exporter)

        scene.write()
        assert exporter.reload() == (200, "reloaded: nothing has changed\n")
        assert exporter.value(_SUCCESSFUL) == 1


def test_what_needs_a_restart_is_refused(scene: Scene, tmp_path: Path) -> None:
    """Ledger, Admin and port are those of the process; the answer says what to do."""
    with Exporter(scene.config) as exporter:
        exporter.wait_until_ready()
        scene.write(
            admin={"endpoint": "other:81"},
            ledger={"path": str(tmp_path / "other.db")},
            web={"listen": "127.0.0.1:1"},
            scrape={"interval": "100ms"},
        )
        answer = exporter.reload()
        assert answer.status == 400
        *faults, _ = answer.body.splitlines()
        assert [fault.split(": ")[1] for fault in faults] == [
            "admin.endpoint",
            "ledger.path",
            "web.listen",
        ]
        for fault in faults:
            assert "cannot be changed while the exporter runs" in fault
        assert "--adopt-ledger" in faults[0]
        assert "interval: 200ms" in exporter.ask("/config").body


def test_sighup_reloads(scene: Scene) -> None:
    """Also where the port takes no reloads; what comes of it is in the log and the metrics."""
    orders, _ = scene.projects
    with Exporter(scene.write(web={"enable_reload": False})) as exporter:
        exporter.wait_until_ready()
        answer = exporter.reload()
        assert answer.status == 403
        assert "web.enable_reload" in answer.body

        scene.write(web={"enable_reload": True}, scrape={"interval": "100ms"})
        exporter.program.send(signal.SIGHUP)
        exporter.program.wait_for(r'event=reloaded .*changed="scrape.interval, web.enable_reload"')
        assert exporter.value(_INTERVAL, project=orders) == 0.1

        scene.config.write_text("- nothing\n", "utf-8")
        exporter.program.send(signal.SIGHUP)
        exporter.program.wait_for('event="configuration refused" .*problem=')
        assert exporter.value(_SUCCESSFUL) == 0
        assert exporter.reload().status == 400
        assert exporter.program.terminate() == 0


def test_many_reloads_under_load_lose_and_double_nothing(
    simulator: Simulator, flyte: Flyte, tmp_path: Path
) -> None:
    """Ten reloads in a row, each of another file: totals are the deeds, and no page ever fails."""
    chance = random.Random(5)
    with Traffic(flyte, seed=5) as traffic, Exporter(_under_load(simulator, tmp_path)) as exporter:
        exporter.wait_until_ready()
        with _watched(exporter) as faults:
            traffic.begin()
            for number in range(10):
                time.sleep(chance.uniform(0, 0.4))
                _under_load(simulator, tmp_path, number)
                answer = exporter.reload()
                assert answer.status == 200
                assert "nothing" not in answer.body
            traffic.end()
            _await_totals(flyte, exporter)
        assert faults == []
        active = exporter.counts(_ACTIVE)
        assert active.total() == len(traffic.left)
        assert not exporter.counts("flyte_exporter_reconcile_corrections_total", "reason")


def test_no_count_is_lost_when_we_are_killed_in_the_middle_of_a_reload(tmp_path: Path) -> None:
    """Also while histograms begin anew and series move: the counters are the deeds."""
    chance = random.Random(7)
    with (
        Simulator(tmp_path) as simulator,
        Flyte(simulator.address) as flyte,
        Traffic(flyte, seed=7) as traffic,
    ):
        config = _under_load(simulator, tmp_path)
        for number in range(6):
            with Exporter(config) as exporter:
                exporter.wait_until_ready()
                if number == 0:
                    traffic.begin()
                metrics = {
                    "duration_buckets": ["10s", f"{20 + number}s"],
                    **_OTHER_RULES[number % len(_OTHER_RULES)],
                }
                _under_load(simulator, tmp_path, number, metrics=metrics)
                exporter.program.send(signal.SIGHUP)
                time.sleep(chance.uniform(0, 0.06))
                assert exporter.program.is_running
        with Exporter(config) as exporter:
            exporter.wait_until_ready()
            traffic.end()
            _await_projects(flyte, exporter, but=_DURATION)


def test_changed_buckets_begin_that_histogram_anew(scene: Scene) -> None:
    """It alone, without a stop; what it counts from then on is right, also after a restart."""
    orders, _ = scene.projects
    duration = (_DURATION, "project")
    queue = ("flyte_execution_queue_duration_seconds_count", "project")
    with Exporter(scene.write(metrics={"duration_buckets": ["20s"]})) as exporter:
        exporter.wait_until_ready()
        # Nothing has been observed yet, so nothing begins anew.
        scene.write()
        assert exporter.reload().status == 200
        scene.flyte.whole_life(orders, "ingest")
        until(lambda: exporter.counts(*duration), within=10, what="the first observation")
        series = ("flyte_exporter_series", "family")
        used = exporter.counts(*series)

        scene.write(metrics={"duration_buckets": ["10s", "1h"]})
        assert exporter.reload() == (200, "reloaded: metrics.duration_buckets\n")

        assert not exporter.counts(*duration)
        assert exporter.counts(*queue) == {(orders,): 1}
        assert exporter.counts(*FINISHED) == scene.flyte.deeds.finished
        bounds = {
            sample.labels["le"]
            for sample in exporter.samples()
            if sample.name == "flyte_execution_duration_seconds_bucket"
        }
        assert bounds == {"10.0", "3600.0", "+Inf"}
        used["flyte_execution_duration_seconds",] -= 12  # of 14 bounds, two are left
        assert exporter.counts(*series) == used
        for _ in range(2):
            scene.flyte.whole_life(orders, "ingest")
        expected = Counts({(orders,): 2})
        assert settled(lambda: exporter.counts(*duration), expected, within=10) == expected
        assert exporter.program.terminate() == 0
    with Exporter(scene.config) as exporter:
        exporter.wait_until_ready()
        assert exporter.counts(*duration) == {(orders,): 2}


def test_the_limit_of_a_family_follows_the_file(scene: Scene) -> None:
    """Raised, it lets new launch plans have a name; lowered again, who has one keeps it."""
    orders, _ = scene.projects
    launched = ("flyte_executions_launched_total", "launch_plan")
    expected = Counts()
    for launch_plan in ("first", "second", "third", "fourth"):
        scene.flyte.add_launch_plan(orders, launch_plan)

    def limit(series: int) -> Path:
        return scene.write(metrics={"families": {launched[0]: {"series_limit": series}}})

    with Exporter(limit(1)) as exporter:
        exporter.wait_until_ready()
        for launch_plan, name, series in (
            ("first", "first", None),
            ("second", "__overflow__", None),
            ("third", "third", 1000),
            ("fourth", "__overflow__", 1),
            ("third", "third", None),
        ):
            if series is not None:
                limit(series)
                changed = f"metrics.families.{launched[0]}.series_limit"
                assert exporter.reload() == (200, f"reloaded: {changed}\n")
            scene.flyte.launch(orders, launch_plan)
            expected[name,] += 1
            found = settled(lambda: exporter.counts(*launched), expected, within=10)
            assert found == expected


def test_rules_and_families_hold_over_a_reload(scene: Scene) -> None:
    """Who is renamed stays so, and who goes without a name; other buckets begin anew as ever."""
    orders, _ = scene.projects
    launched = ("flyte_executions_launched_total", "project", "launch_plan")
    active = (_ACTIVE, "project")
    duration = (_DURATION, "project")
    metrics = {
        "relabel": [{"match": "in(.*)", "replacement": "$1"}],
        "families": {
            family: {"launch_plan": False}
            for family in (_ACTIVE, "flyte_execution_duration_seconds")
        },
    }
    with Exporter(scene.write(metrics=metrics)) as exporter:
        exporter.wait_until_ready()
        scene.flyte.launch(orders, "ingest")
        scene.flyte.whole_life(orders, "ingest")
        expected = Counts({(orders, "gest"): 2})
        assert settled(lambda: exporter.counts(*launched), expected, within=10) == expected
        one = Counts({(orders,): 1})
        assert settled(lambda: exporter.counts(*duration), one, within=10) == one

        scene.write(metrics={**metrics, "duration_buckets": ["10s", "1h"]})
        assert exporter.reload() == (200, "reloaded: metrics.duration_buckets\n")
        assert exporter.counts(*launched) == expected
        assert exporter.counts(*active) == one
        assert not exporter.counts(*duration)
        scene.flyte.launch(orders, "ingest")
        scene.flyte.whole_life(orders, "ingest")
        expected = Counts({(orders, "gest"): 4})
        assert settled(lambda: exporter.counts(*launched), expected, within=10) == expected
        assert settled(lambda: exporter.counts(*duration), one, within=10) == one
        two = Counts({(orders,): 2})
        assert settled(lambda: exporter.counts(*active), two, within=10) == two
        for sample in exporter.samples():
            if sample.name in {active[0], duration[0]}:
                assert "launch_plan" not in sample.labels


def test_rules_change_while_it_runs(scene: Scene) -> None:
    """What was counted moves to the new name, and nothing is shown under the old one any more."""
    orders, billing = scene.projects
    for project in scene.projects:
        scene.flyte.add_launch_plan(project, "nightly", schedule="@yearly")
    scene.flyte.launch(orders, "nightly")
    with Exporter(scene.config) as exporter:
        exporter.wait_until_ready()
        for project in (orders, billing, orders):
            scene.flyte.whole_life(project, "nightly")
        scene.assert_counted(exporter)
        until(lambda: _named(exporter, orders, "nightly") >= _OF_PLANS, within=10, what="gauges")
        duration = (_DURATION, "project", "launch_plan")
        before = exporter.counts(*duration)
        assert before == {(orders, "nightly"): 2, (billing, "nightly"): 1}

        scene.write(metrics={"relabel": [_rule("night(.*)", "$1")]})
        assert exporter.reload() == (200, "reloaded: metrics.relabel\n")

        assert 'launch_plan="nightly"' not in exporter.ask("/metrics").body
        exporter.program.wait_for(r'event="series moved" .*gone=(\d+) new=\1\b')
        renamed = Counts({(project, "ly"): count for (project, _), count in before.items()})
        assert exporter.counts(*duration) == renamed
        until(lambda: _named(exporter, orders, "ly") >= _OF_PLANS, within=10, what="gauges")
        scene.flyte.whole_life(orders, "nightly")
        renamed[orders, "ly"] += 1
        assert settled(lambda: exporter.counts(*duration), renamed, within=10) == renamed

        # The rule goes: its name stays for what it counted, as a restart would have it.
        scene.write()
        assert exporter.reload() == (200, "reloaded: metrics.relabel\n")
        scene.flyte.whole_life(orders, "nightly")
        both = renamed + Counts({(orders, "nightly"): 1})
        assert settled(lambda: exporter.counts(*duration), both, within=10) == both
        until(lambda: _named(exporter, orders, "nightly") >= _OF_PLANS, within=10, what="gauges")
        assert not {name for name in _named(exporter, orders, "ly") if name in _OF_PLANS - _LEVELS}
        assert exporter.program.terminate() == 0
    with Exporter(scene.config) as exporter:
        exporter.wait_until_ready()
        assert exporter.counts(*duration) == both


def test_families_change_while_it_runs(scene: Scene) -> None:
    """One is switched off and on again, one goes without launch plans; all others go on."""
    orders, _ = scene.projects
    launched = ("flyte_executions_launched_total", "project")
    scene.flyte.add_launch_plan(orders, "nightly", schedule="@yearly")
    scene.flyte.launch(orders, "nightly")

    def families(**changed: Any) -> None:
        changed = {f"flyte_{name}": settings for name, settings in changed.items()}
        scene.write(metrics={"families": changed})
        assert exporter.reload().status == 200

    with Exporter(scene.config) as exporter:
        exporter.wait_until_ready()
        scene.flyte.whole_life(orders, "nightly")
        scene.assert_counted(exporter)
        until(lambda: exporter.value(_ACTIVE, project=orders), within=10, what="a live execution")
        used = exporter.value("flyte_exporter_series", family=_ACTIVE)

        families(
            executions_active={"enabled": False},
            executions_launched_total={"enabled": False},
            execution_duration_seconds={"launch_plan": False},
            launch_plan_info={"enabled": False},
            projects={"enabled": False},
        )
        page = exporter.ask("/metrics").body
        for gone in (_ACTIVE, launched[0], "flyte_launch_plan_info", "flyte_projects"):
            assert f"# TYPE {gone.removesuffix('_total')} " not in page
            assert exporter.value("flyte_exporter_series", family=gone) == 0
        (sample,) = [each for each in exporter.samples() if each.name == _DURATION]
        assert (sample.labels.get("launch_plan"), sample.value) == (None, 1)
        scene.flyte.whole_life(orders, "nightly")
        scene.assert_counted(exporter)

        families(execution_duration_seconds={"launch_plan": False})
        until(lambda: exporter.value(_ACTIVE, project=orders) == 1, within=10, what="a level")
        assert exporter.value("flyte_exporter_series", family=_ACTIVE) == used
        info = "flyte_launch_plan_info"
        until(lambda: exporter.value(info, project=orders) == 1, within=10, what="what is active")
        assert exporter.value("flyte_projects", state="ACTIVE") is not None
        assert not exporter.counts(*launched)  # begins anew
        scene.flyte.whole_life(orders, "nightly")
        one = Counts({(orders,): 1})
        assert settled(lambda: exporter.counts(*launched), one, within=10) == one
        three = Counts({(orders,): 3})
        assert settled(lambda: exporter.counts(_DURATION, "project"), three, within=10) == three


def test_rules_that_change_under_load_lose_and_double_nothing(tmp_path: Path) -> None:
    """No scrape ever shows less than one before; who keeps name and family is in every one."""
    with (
        Simulator(tmp_path) as simulator,
        Flyte(simulator.address) as flyte,
        Traffic(flyte, seed=11) as traffic,
    ):
        with Exporter(_under_load(simulator, tmp_path)) as exporter:
            exporter.wait_until_ready()
            traffic.begin()
            report = {"project": "orders", "launch_plan": "report"}
            until(lambda: exporter.value(_ACTIVE, **report), within=10, what="a level")
            with _watched(exporter, _NeverLess(_ACTIVE, **report)) as faults:
                for metrics in (*_OTHER_RULES, *_OTHER_RULES):
                    _under_load(simulator, tmp_path, metrics=metrics)
                    assert exporter.reload().body.startswith("reloaded: metrics.")
                traffic.end()
                _await_projects(flyte, exporter)
            assert faults == []
            assert exporter.program.terminate() == 0
        with Exporter(_under_load(simulator, tmp_path)) as exporter:
            exporter.wait_until_ready()
            _await_projects(flyte, exporter)


def test_a_ledger_that_cannot_be_written_refuses_other_buckets(
    scene: Scene, tmp_path: Path
) -> None:
    """The old ones go on, and so does all else; the next reload finds the ledger as it was."""
    orders, _ = scene.projects
    with Exporter(scene.config) as exporter:
        exporter.wait_until_ready()
        scene.flyte.whole_life(orders, "ingest")
        scene.assert_counted(exporter)
        scene.write(metrics={"duration_buckets": ["10s", "1h"]}, scrape={"interval": "100ms"})
        with closing(sqlite3.connect(tmp_path / "exporter.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            answer = exporter.reload()
            other.execute("ROLLBACK")
        assert answer.status == 500
        assert "is locked by another program" in answer.body
        assert exporter.value(_SUCCESSFUL) == 0
        assert exporter.value(_INTERVAL, project=orders) == 0.2
        scene.flyte.whole_life(orders, "ingest")
        scene.assert_counted(exporter)
        assert exporter.reload().status == 200
        assert exporter.value(_INTERVAL, project=orders) == 0.1


def test_reloads_at_the_same_time_are_all_answered(scene: Scene) -> None:
    """One after the other or several together: each answer comes after the file was read again."""
    with Exporter(scene.config) as exporter, ThreadPoolExecutor(8) as threads:
        exporter.wait_until_ready()
        for number in range(3):
            scene.write(scrape={"interval": f"{100 + number}ms"})
            answers = [each.result() for each in [threads.submit(exporter.reload)] * 1]
            answers += [
                each.result() for each in [threads.submit(exporter.reload) for _ in "1234567"]
            ]
            assert {answer.status for answer in answers} == {200}
            assert f"interval: {100 + number}ms" in exporter.ask("/config").body


def test_the_configuration_is_shown_without_secrets(scene: Scene, tmp_path: Path) -> None:
    """What a person may have put where a secret is at home is masked, and /config is text."""
    secret = tmp_path / "secret"
    secret.write_text("s3cret-in-a-file\n", "utf-8")
    auth = {
        "type": "client_secret",
        "client_id": "exporter",
        "header": "x-flyte",
        "client_secret_file": str(secret),
        "token_url": "https://user:s3cret-user@idp.example/token?key=s3cret-query",
        "proxy_command": ["iap-token", "--key", "s3cret-argument"],
        "http_proxy_url": "http://me:s3cret-proxy@proxy:3128",
    }
    with Exporter(scene.write(admin={"auth": auth})) as exporter:
        until(lambda: exporter.ask("/config").status == 200, within=10, what="the page")
        for path in ("/config", "/", "/metrics"):
            assert "s3cret" not in exporter.ask(path).body
        shown = exporter.ask("/config").body
        assert "client_id: exporter" in shown
        assert f"client_secret_file: {secret}" in shown
        assert 'href="/config"' in exporter.ask("/").body
        scene.write(admin={"auth": {**auth, "type": "s3cret-type"}})
        assert "s3cret-user" not in exporter.reload().body
        assert "s3cret" not in exporter.program.said().replace("s3cret-type", "")


def _under_load(
    simulator: Simulator,
    directory: Path,
    number: int = -1,
    *,
    metrics: Mapping[str, Any] = MappingProxyType({}),
) -> Path:
    """Write a configuration for `Traffic`; each *number* gives another one."""
    return write_config(
        directory,
        endpoint=simulator.address,
        discovery={
            "include": ["orders/production", "newcomers/production"],
            "exclude": [f"nobody-{number}/*"],
        },
        scrape={"interval": f"{200 + number}ms", "page_size": 5 + number},
        metrics={"series_limit": 10_000 + number, **metrics},
    )


def _await_totals(flyte: Flyte, exporter: Exporter) -> None:
    """Wait until the totals are the deeds, and stay so while the targets check their own work."""
    expected = together(lambda total: total.truth(flyte.deeds))
    _await(
        exporter,
        lambda: together(lambda total: exporter.counts(total.metric, *total.labels)),
        expected,
    )


def _await_projects(flyte: Flyte, exporter: Exporter, *, but: str = "") -> None:
    """Wait for the same of each project, under whatever names its launch plans were counted."""
    expected: Counts = Counter()
    for key, count in together(lambda total: total.truth(flyte.deeds)).items():
        expected[key[:2]] += count

    def apart(counts: Counts) -> Counts:
        return Counter({key: count for key, count in counts.items() if key[0] != but})

    _await(exporter, lambda: apart(_of_projects(exporter.samples())), apart(expected))


def _of_projects(samples: Iterable[Sample]) -> Counts:
    """Return what *samples* say of every total, by metric and project."""
    found: Counts = Counter()
    for sample in samples:
        if sample.name in _METRICS:
            found[sample.name, sample.labels["project"]] += int(sample.value)
    return +found


def _named(exporter: Exporter, project: str, launch_plan: str) -> set[str]:
    """Return what is shown of a launch plan."""
    wanted = {"project": project, "launch_plan": launch_plan}.items()
    return {sample.name for sample in exporter.samples() if wanted <= sample.labels.items()}


def _await(exporter: Exporter, shown: Callable[[], Counts], expected: Counts) -> None:
    """Wait until what is *shown* is as *expected*, and stays so over two reconciles."""
    assert settled(shown, expected, within=20) == expected
    polls = exporter.value("flyte_exporter_polls_total", outcome="success") or 0
    targets = exporter.counts("flyte_exporter_target_up", "project").total()
    enough = polls + targets * 2 * 11  # each reconcile within 11 polls of 200 ms
    until(
        lambda: (exporter.value("flyte_exporter_polls_total", outcome="success") or 0) > enough,
        within=40,
        what="two more reconciles",
    )
    assert shown() == expected


class _NeverLess:
    """Says what is wrong with a page: a total that steps back, or a lack of *sample*."""

    def __init__(self, sample: str, **labels: str) -> None:
        self._sample = sample
        self._labels = labels.items()
        self._before: Counts = Counter()

    def __call__(self, body: str) -> str:
        """Return what is wrong; empty where nothing is."""
        families = text_string_to_metric_families(body)
        samples = [sample for family in families for sample in family.samples]
        found = _of_projects(samples)
        less = {key: (self._before[key], found[key]) for key in self._before - found}
        self._before = found
        if less:
            return f"these stepped back: {less}"
        kept = (s for s in samples if s.name == self._sample and self._labels <= s.labels.items())
        return "" if any(True for _ in kept) else f"{self._sample} is missing"


def _lacks_its_target(body: str) -> str:
    """Say so where *body* has nothing of a target that is scraped all the time."""
    return "" if 'target_up{project="orders"' in body else "a gauge of a target is missing"


@contextmanager
def _watched(
    exporter: Exporter, problem_of: Callable[[str], str] = _lacks_its_target
) -> Iterator[list[str]]:
    """Yield what was wrong with any answer meanwhile, of three pages that are asked for."""
    faults: list[str] = []
    over = threading.Event()

    def watch(path: str) -> None:
        while not over.wait(0.005):
            answer = get(exporter.port, path)
            if answer is None or answer.status != 200:
                faults.append(f"{path}: {answer}")
            elif path == "/metrics" and (problem := problem_of(answer.body)):
                faults.append(problem)

    exporter.port  # noqa: B018  # read from the log once, before threads ask for it
    with ThreadPoolExecutor(3) as threads:
        watches = [threads.submit(watch, p) for p in ("/metrics", "/-/healthy", "/-/ready")]
        try:
            yield faults
        finally:
            over.set()
            for each in watches:
                each.result()


def _series_of_targets(exporter: Exporter) -> float:
    """Return what all that is shown of the scraping of targets takes of the series limit."""
    return sum(
        sample.value
        for sample in exporter.samples()
        if sample.name == "flyte_exporter_series"
        and sample.labels["family"].startswith("flyte_exporter_target_")
    )
