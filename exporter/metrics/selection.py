"""Which series the settings ask for."""

from collections.abc import Mapping

from exporter.config.relabelling import PlanFamilySettings
from exporter.config.settings import MetricsSettings
from exporter.metrics.catalog import BY_NAME, Family
from exporter.metrics.labelling import Labelling


def labelling_of(settings: MetricsSettings) -> Labelling:
    """Return by which labels is counted, and what is not."""
    families = {BY_NAME[name]: own for name, own in settings.families.items()}
    return Labelling(
        rules=[rule.renaming() for rule in settings.relabel],
        disabled=[family for family, own in families.items() if not own.enabled],
        unnamed=[
            family
            for family, own in families.items()
            if isinstance(own, PlanFamilySettings) and not own.launch_plan
        ],
    )


def family_limits_of(settings: MetricsSettings) -> Mapping[Family, int]:
    """Return the limits of those families that have their own."""
    return {
        BY_NAME[name]: own.series_limit
        for name, own in settings.families.items()
        if own.series_limit is not None
    }
