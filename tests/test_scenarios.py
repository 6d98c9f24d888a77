"""
Every family has a scenario in which what it is to show is known beforehand.

Whoever adds a family to the catalog writes one, and names it here.
"""

import ast
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from exporter.metrics import catalog
from exporter.metrics.catalog import FAMILIES, Family

_TESTS = Path(__file__).parent

SCENARIOS: Mapping[str, tuple[Family, ...]] = {
    "scrape/test_cardinality.py::test_names_that_change_with_every_run_are_one": (
        catalog.EXECUTIONS_ACTIVE,
        catalog.EXECUTIONS_OLDEST,
        catalog.EXECUTIONS_LAUNCHED,
        catalog.EXECUTIONS_STARTED,
        catalog.EXECUTIONS_FINISHED,
        catalog.EXECUTION_DURATION,
        catalog.EXECUTION_QUEUE_DURATION,
        catalog.SERIES,
    ),
    "scrape/test_failures.py::test_each_failure_is_told_by_kind_code_and_cluster": (
        catalog.EXECUTION_ERRORS,
        catalog.EXECUTION_ERROR_CODES,
        catalog.CLUSTER_EXECUTIONS_FINISHED,
    ),
    "scrape/test_plans.py::test_an_idle_launch_plan_goes_after_two_weeks": (
        catalog.PLAN_LAST_FINISHED,
        catalog.PLAN_LAST_DURATION,
        catalog.PLAN_CONSECUTIVE_FAILURES,
    ),
    "scrape/test_plans.py::test_a_schedule_gives_a_limit": (
        catalog.PLAN_EXPECTED_DURATION,
        catalog.PLAN_FRESHNESS_LIMIT,
    ),
    "scrape/test_promise.py::test_an_hourly_launch_plan_that_may_run_once_at_a_time": (
        catalog.SCHEDULE_MISSED,
        catalog.SCHEDULE_SKIPPED,
        catalog.SCHEDULE_DELAY,
        catalog.SCHEDULE_LAST_DUE,
        catalog.SCHEDULE_NEXT_DUE,
        catalog.SCHEDULE_LAST_RUN,
    ),
    "scrape/test_inventory.py::test_a_launch_plan_from_its_activation_to_its_end": (
        catalog.LAUNCH_PLAN_INFO,
        catalog.LAUNCH_PLAN_ACTIVE_SINCE,
        catalog.PROJECTS,
    ),
    "scrape/test_inventory.py::test_labels_of_projects_that_are_asked_for": (catalog.PROJECT_INFO,),
    "scrape/test_tasks.py::test_every_kind_of_node_comes_out_as_it_should": (
        catalog.TASK_DURATION,
        catalog.TASK_QUEUE_DURATION,
        catalog.TASK_ATTEMPTS,
        catalog.CACHE_LOOKUPS,
    ),
    "scrape/test_tasks.py::test_the_oldest_are_dropped_and_counted": (
        catalog.TASK_BACKLOG,
        catalog.TASK_BACKLOG_DROPPED,
    ),
    "scrape/test_tasks.py::test_what_is_gone_or_too_large_is_passed_over": (
        catalog.TASK_EXECUTIONS,
    ),
    "scrape/test_measured.py::test_four_polls_of_which_every_duration_is_known": (
        catalog.ADMIN_UP,
        catalog.ADMIN_RPCS,
        catalog.ADMIN_RPC_DURATION,
        catalog.TARGET_LAST_SUCCESS,
        catalog.TARGET_POLL_DURATION,
        catalog.TARGET_INTERVAL,
        catalog.TARGET_UP,
        catalog.POLLS,
        catalog.POLL_ROWS,
        catalog.LEDGER_LAST_COMMIT,
        catalog.LEDGER_COMMIT_DURATION,
        catalog.RENDER_DURATION,
    ),
    "e2e/test_authentication.py::test_revoked_tokens_are_replaced_within_the_call": (
        catalog.ADMIN_RPC_RETRIES,
        catalog.ADMIN_TOKEN_REFRESHES,
    ),
    "e2e/test_authentication.py::test_tokens_that_live_for_seconds_cost_no_poll": (
        catalog.ADMIN_TOKEN_EXPIRY,
    ),
    "e2e/test_self.py::test_waiting_for_a_turn_is_told": (catalog.ADMIN_RATE_LIMIT_WAIT,),
    "e2e/test_failures.py::test_an_outage_shows_and_loses_nothing": (catalog.ADMIN_BREAKER_OPEN,),
    "e2e/test_reload.py::test_what_is_changed_takes_effect": (
        catalog.CONFIG_RELOAD_SUCCESSFUL,
        catalog.CONFIG_RELOAD_SUCCESS,
        catalog.SERIES_LIMIT,
    ),
    "e2e/test_tracing.py::test_a_collector_that_is_not_there_costs_a_counter": (catalog.SPANS,),
    "scrape/test_plans.py::test_gauges_past_the_series_limit_are_left_out_and_counted": (
        catalog.SERIES_OVERFLOW,
    ),
    "scrape/test_inventory.py::test_a_listing_that_fails_changes_nothing_and_is_told_once": (
        catalog.TARGET_INVENTORY_SUCCESS,
    ),
    "scrape/test_poll.py::test_live_row_older_than_the_window_is_a_correction": (
        catalog.RECONCILE_CORRECTIONS,
    ),
    "e2e/test_self.py::test_the_version_of_admin_is_the_one_that_it_tells": (catalog.ADMIN_INFO,),
    "e2e/test_self.py::test_the_build_is_the_one_that_runs": (catalog.BUILD_INFO,),
    "e2e/test_self.py::test_the_ledger_is_as_large_as_its_files": (catalog.LEDGER_SIZE,),
}
"""The tests that hold what families show against what they know, each with these families."""


def test_every_family_has_a_scenario() -> None:
    """One that nobody names was never seen to show the right thing."""
    named = [family for families in SCENARIOS.values() for family in families]
    assert sorted(family.name for family in named) == sorted(family.name for family in FAMILIES)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_is_there_and_speaks_of_its_families(scenario: str) -> None:
    """A test that was renamed, or whose module knows nothing of a family, checks nothing of it."""
    path, _, name = scenario.partition("::")
    text = (_TESTS / path).read_text(encoding="utf-8")
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    assert name in {node.name for node in ast.parse(text).body if isinstance(node, functions)}
    constants = {family: key for key, family in vars(catalog).items() if family in FAMILIES}
    for family in SCENARIOS[scenario]:
        # Modules about launch plans alone write what all of these begin with once.
        short = family.name.removeprefix("flyte_launch_plan_")
        begun = (rf"(?<=[\"']){short}", rf"(?<=}})_{short}") if short != family.name else ()
        words = "|".join((rf"catalog\.{constants[family]}", family.name, *begun))
        assert re.search(rf"(?<!\w)({words})(_bucket|_count|_sum)?(?!\w)", text), family.name
