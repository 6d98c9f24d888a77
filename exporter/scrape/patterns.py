"""
Patterns by which settings name targets and launch plans.

PROJECT/DOMAIN or PROJECT/DOMAIN/LAUNCH_PLAN; `*` and `?` stand for any characters.
"""

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


def _are(target: Target, project: str, domain: str) -> bool:
    return fnmatchcase(target.project, project) and fnmatchcase(target.domain, domain)
