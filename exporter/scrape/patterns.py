"""
Patterns by which settings name targets and launch plans.

PROJECT/DOMAIN or PROJECT/DOMAIN/LAUNCH_PLAN; `*` and `?` stand for any characters.
"""

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase

from exporter.model.targets import Target


def names_target(pattern: str, target: Target) -> bool:
    """Whether *pattern*, which says nothing of launch plans, names *target*."""
    project, _, domain = pattern.partition("/")
    return _are(target, project, domain)


def names(pattern: str, target: Target, launch_plan: str) -> bool:
    """Whether *pattern* names *launch_plan* of *target*."""
    project, domain, name = pattern.split("/", 2)
    return _are(target, project, domain) and fnmatchcase(launch_plan, name)


def names_any(pattern: str, known: Mapping[Target, Collection[str] | None]) -> bool | None:
    """
    Whether *pattern* names a launch plan; None while that cannot be told.

    Args:
        pattern: PROJECT/DOMAIN/LAUNCH_PLAN.
        known: The launch plans of every target that there is; None of one whose are not known yet.
    """
    project, domain, name = pattern.split("/", 2)
    named = [plans for target, plans in known.items() if _are(target, project, domain)]
    if any(fnmatchcase(plan, name) for plans in named for plan in plans or ()):
        return True
    return None if None in named else False


def _are(target: Target, project: str, domain: str) -> bool:
    return fnmatchcase(target.project, project) and fnmatchcase(target.domain, domain)
