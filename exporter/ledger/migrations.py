"""
What made each version of the schema out of the one before.

A new ledger is made by `schema.sql`; a file of an earlier release is brought to the same here.
"""

MIGRATIONS: tuple[str, ...] = (
    # The state of launch plans.
    """
    CREATE TABLE plan (
        project     TEXT NOT NULL,
        domain      TEXT NOT NULL,
        launch_plan TEXT NOT NULL,
        state       TEXT NOT NULL,
        PRIMARY KEY (project, domain, launch_plan)
    ) WITHOUT ROWID;
    """,
    # How launch plans keep their schedules.
    """
    CREATE TABLE schedule (
        project     TEXT NOT NULL,
        domain      TEXT NOT NULL,
        launch_plan TEXT NOT NULL,
        state       TEXT NOT NULL,
        PRIMARY KEY (project, domain, launch_plan)
    ) WITHOUT ROWID;
    """,
    # Which launch plans are active.
    """
    CREATE TABLE active_plan (
        project      TEXT    NOT NULL,
        domain       TEXT    NOT NULL,
        launch_plan  TEXT    NOT NULL,
        version      TEXT    NOT NULL,
        workflow     TEXT    NOT NULL,
        schedule     TEXT    NOT NULL,
        exclusive    INTEGER NOT NULL,
        active_since INTEGER NOT NULL,
        PRIMARY KEY (project, domain, launch_plan)
    ) WITHOUT ROWID;
    """,
    # Finished executions whose tasks are still to be counted.
    """
    CREATE TABLE task_backlog (
        place       INTEGER PRIMARY KEY,
        project     TEXT    NOT NULL,
        domain      TEXT    NOT NULL,
        name        TEXT    NOT NULL,
        created_at  INTEGER NOT NULL,
        launch_plan TEXT    NOT NULL,
        UNIQUE (project, domain, name, created_at)
    );
    """,
    # Executions that were over when they were first seen.
    """
    CREATE TABLE finished (
        place      INTEGER PRIMARY KEY,
        project    TEXT    NOT NULL,
        domain     TEXT    NOT NULL,
        newest     INTEGER NOT NULL,
        executions TEXT    NOT NULL
    );
    CREATE INDEX finished_by_target ON finished (project, domain, newest);
    """,
    # Which launch plans were switched off.
    """
    CREATE TABLE deactivated_plan (
        project        TEXT    NOT NULL,
        domain         TEXT    NOT NULL,
        launch_plan    TEXT    NOT NULL,
        deactivated_at INTEGER NOT NULL,
        PRIMARY KEY (project, domain, launch_plan)
    ) WITHOUT ROWID;
    """,
)
"""The first makes version 2 out of version 1. What was released is never changed."""

VERSION = 1 + len(MIGRATIONS)
"""Of the schema; kept in the file as `user_version`."""
