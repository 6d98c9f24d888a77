-- The ledger: what must survive a crash. Instants are microseconds since the epoch.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- How far each target has come. A target that Admin no longer has keeps its row, so that it goes on
-- where it stopped if it comes back.
CREATE TABLE target (
    project       TEXT    NOT NULL,
    domain        TEXT    NOT NULL,
    cursor        INTEGER NOT NULL,
    reconciled    INTEGER NOT NULL,
    retained_from INTEGER NOT NULL,
    PRIMARY KEY (project, domain)
) WITHOUT ROWID;

-- What the last complete discovery saw, whether or not we scrape it. `misses` counts the complete
-- discoveries in a row that did not see it.
CREATE TABLE discovered (
    project  TEXT    NOT NULL,
    domain   TEXT    NOT NULL,
    included INTEGER NOT NULL,
    misses   INTEGER NOT NULL,
    PRIMARY KEY (project, domain)
) WITHOUT ROWID;

-- Executions that may still change, and others that a later list may show again. Creation time leads
-- the key, because rows come in its order: inserts then append to the tree instead of being
-- scattered over it.
CREATE TABLE execution (
    project      TEXT    NOT NULL,
    domain       TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    name         TEXT    NOT NULL,
    phase        INTEGER NOT NULL,
    mode         INTEGER NOT NULL,
    launch_plan  TEXT    NOT NULL,
    since        INTEGER NOT NULL,
    started      INTEGER NOT NULL,
    absences     INTEGER NOT NULL,
    stepped_back INTEGER NOT NULL,
    PRIMARY KEY (project, domain, created_at, name)
) WITHOUT ROWID;

-- Executions that were over when they were first seen, many of one commit together: for each phase
-- an object of names and creation times. `newest` is the latest of these times.
CREATE TABLE finished (
    place      INTEGER PRIMARY KEY,
    project    TEXT    NOT NULL,
    domain     TEXT    NOT NULL,
    newest     INTEGER NOT NULL,
    executions TEXT    NOT NULL
);
CREATE INDEX finished_by_target ON finished (project, domain, newest);

-- How the last executions of each launch plan went, as a JSON object; see `ledger.plans`.
CREATE TABLE plan (
    project     TEXT NOT NULL,
    domain      TEXT NOT NULL,
    launch_plan TEXT NOT NULL,
    state       TEXT NOT NULL,
    PRIMARY KEY (project, domain, launch_plan)
) WITHOUT ROWID;

-- How each launch plan keeps its schedule, as a JSON object; see `ledger.schedules`.
CREATE TABLE schedule (
    project     TEXT NOT NULL,
    domain      TEXT NOT NULL,
    launch_plan TEXT NOT NULL,
    state       TEXT NOT NULL,
    PRIMARY KEY (project, domain, launch_plan)
) WITHOUT ROWID;

-- Counters and histograms. `total` is a counter's value or a histogram's sum; `layout` names the
-- bounds that a histogram was counted in. While `shown` is set, that is what /metrics shows.
CREATE TABLE series (
    id      INTEGER PRIMARY KEY,
    family  TEXT NOT NULL,
    labels  TEXT NOT NULL,
    layout  TEXT NOT NULL,
    total   REAL NOT NULL,
    born_at INTEGER NOT NULL,
    shown   TEXT,
    UNIQUE (family, labels)
);

-- A histogram's counts, each bucket by itself (not cumulative).
CREATE TABLE bucket (
    series INTEGER NOT NULL,
    place  INTEGER NOT NULL,
    count  INTEGER NOT NULL,
    PRIMARY KEY (series, place)
) WITHOUT ROWID;

-- When something last happened to a launch plan; the empty name stands for the target itself.
CREATE TABLE activity (
    project     TEXT    NOT NULL,
    domain      TEXT    NOT NULL,
    launch_plan TEXT    NOT NULL,
    last_at     INTEGER NOT NULL,
    PRIMARY KEY (project, domain, launch_plan)
) WITHOUT ROWID;

-- Finished executions whose tasks are still to be counted, in the order in which they finished.
CREATE TABLE task_backlog (
    place       INTEGER PRIMARY KEY,
    project     TEXT    NOT NULL,
    domain      TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    launch_plan TEXT    NOT NULL,
    UNIQUE (project, domain, name, created_at)
);

-- The active launch plans of every target, as the last complete listing had them. `schedule` is
-- empty where there is none; `exclusive` is how many may run until it skips a slot, 0 where others do
-- not matter, -1 where none may run; `active_since` is when the launch plan was first seen active.
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

-- Launch plans that were seen active and are not any more, until they are again. Whoever has no state
-- and was deactivated longer ago than one would be kept, goes with the target's next deactivation.
CREATE TABLE deactivated_plan (
    project        TEXT    NOT NULL,
    domain         TEXT    NOT NULL,
    launch_plan    TEXT    NOT NULL,
    deactivated_at INTEGER NOT NULL,
    PRIMARY KEY (project, domain, launch_plan)
) WITHOUT ROWID;
