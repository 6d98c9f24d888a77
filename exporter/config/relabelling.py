"""Which names of launch plans are changed, and what each family says of launch plans."""

from collections.abc import Iterator
from typing import Annotated

from annotated_types import Ge
from pydantic import AfterValidator, ValidationInfo, field_validator

from exporter.config.problems import shown
from exporter.config.section import Section
from exporter.config.values import Expected, unfit
from exporter.model.renaming import Renaming, RenamingError, pattern


def read_match(value: str) -> str:
    """Read a regular expression of RE2."""
    try:
        pattern(value)
    except RenamingError as error:
        raise unfit(advice=shown(str(error))) from error
    return value


class RelabelRule(Section):
    """One rule for the names of launch plans."""

    match: Annotated[
        str,
        AfterValidator(read_match),
        Expected(r"a regular expression of RE2, such as '(.*)_\d{4}_\d{2}_\d{2}'"),
    ]
    """The names that it is about: a regular expression that matches the whole name."""
    replacement: Annotated[str, Expected('text such as "$1"')]
    """What they become; `$1` or `${name}` stand for groups of `match`, `$$` for a dollar sign."""

    @field_validator("replacement")
    @classmethod
    def _names_groups_of_match(cls, value: str, info: ValidationInfo) -> str:
        if not value:
            advice = "to leave the label out, set launch_plan: false for a family"
            raise unfit(advice=advice)
        match = info.data.get("match")
        if match is not None:
            try:
                Renaming(match, value)
            except RenamingError as error:
                raise unfit(advice=str(error)) from error
        return value

    def renaming(self) -> Renaming:
        """Return the rule, ready to be used."""
        return Renaming(self.match, self.replacement)


class FamilySettings(Section):
    """A metric family that is as it is, with or without the label `launch_plan`."""

    enabled: bool = True
    """
    Whether there is such a family at all.

    What is switched off is neither counted nor kept: switched on again, it begins anew.
    """
    series_limit: Annotated[int, Ge(1)] | None = None
    """
    How many series this family may have; by default only `metrics.series_limit` limits it.

    Past it, new label values are counted under `__overflow__`. A histogram costs its buckets and
    three.
    """


class PlanFamilySettings(FamilySettings):
    """A metric family whose series can be added up over launch plans."""

    launch_plan: bool = True
    """
    Whether the family tells launch plans apart.

    Without the label, each series stands for all launch plans of a project and domain together.
    """


class FamiliesSettings(Section):
    """
    What there is of each metric family whose size grows with Flyte's.

    See [Metrics](metrics.md) for what each tells, and [Cardinality](cardinality.md) for examples.
    """

    flyte_executions_active: PlanFamilySettings = PlanFamilySettings()
    flyte_executions_oldest_in_phase_timestamp_seconds: PlanFamilySettings = PlanFamilySettings()
    flyte_executions_launched_total: PlanFamilySettings = PlanFamilySettings()
    flyte_executions_started_total: FamilySettings = FamilySettings()
    flyte_executions_finished_total: PlanFamilySettings = PlanFamilySettings()
    flyte_execution_errors_total: PlanFamilySettings = PlanFamilySettings()
    flyte_execution_error_codes_total: FamilySettings = FamilySettings()
    flyte_execution_duration_seconds: PlanFamilySettings = PlanFamilySettings()
    flyte_execution_queue_duration_seconds: FamilySettings = FamilySettings()
    flyte_cluster_executions_finished_total: FamilySettings = FamilySettings()
    flyte_launch_plan_last_finished_timestamp_seconds: FamilySettings = FamilySettings()
    flyte_launch_plan_last_duration_seconds: FamilySettings = FamilySettings()
    flyte_launch_plan_consecutive_failures: FamilySettings = FamilySettings()
    flyte_launch_plan_expected_duration_seconds: FamilySettings = FamilySettings()
    flyte_launch_plan_freshness_limit_seconds: FamilySettings = FamilySettings()
    flyte_launch_plan_schedule_missed_total: PlanFamilySettings = PlanFamilySettings()
    flyte_launch_plan_schedule_skipped_total: PlanFamilySettings = PlanFamilySettings()
    flyte_execution_schedule_delay_seconds: FamilySettings = FamilySettings()
    flyte_launch_plan_schedule_last_due_timestamp_seconds: FamilySettings = FamilySettings()
    flyte_launch_plan_schedule_next_due_timestamp_seconds: FamilySettings = FamilySettings()
    flyte_launch_plan_schedule_last_run_timestamp_seconds: FamilySettings = FamilySettings()
    flyte_launch_plan_info: FamilySettings = FamilySettings()
    flyte_launch_plan_active_since_timestamp_seconds: FamilySettings = FamilySettings()
    flyte_task_duration_seconds: FamilySettings = FamilySettings()
    flyte_task_queue_duration_seconds: FamilySettings = FamilySettings()
    flyte_task_attempts_total: FamilySettings = FamilySettings()
    flyte_node_cache_lookups_total: FamilySettings = FamilySettings()
    flyte_projects: FamilySettings = FamilySettings()
    flyte_project_info: FamilySettings = FamilySettings()

    def items(self) -> Iterator[tuple[str, FamilySettings]]:
        """Yield the name of each family and what is set for it."""
        for name in type(self).model_fields:
            yield name, getattr(self, name)
