"""How an older ledger becomes one of today: each text leads from one version to the next."""

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE active_plan (
        project      TEXT    NOT NULL,
        domain       TEXT    NOT NULL,
        launch_plan  TEXT    NOT NULL,
        version      TEXT    NOT NULL,
        workflow     TEXT    NOT NULL,
        schedule     TEXT    NOT NULL,
        active_since INTEGER NOT NULL,
        PRIMARY KEY (project, domain, launch_plan)
    ) WITHOUT ROWID;
    """,
)
"""The first one begins with version 1. `schema.sql` is what all of them together come to."""
