-- +goose Up

-- An event that was made again for one webhook, which was not there or not enabled at its time, has the id of the first.
ALTER TABLE events ADD COLUMN original_id INTEGER NOT NULL DEFAULT 0;
CREATE INDEX events_original ON events (original_id) WHERE original_id <> 0;

-- What is sent again, in steps: the cursors and what a step does are one transaction. First the deliveries that there were
-- at the start go again, from after_id to last_id; then, if missing is set, what the webhook was not sent is made for it,
-- from the events between after_event_id and last_event_id.
CREATE TABLE replays (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    webhook_id      INTEGER NOT NULL, -- 0: of all
    filter          TEXT    NOT NULL, -- JSON: of deliveries
    query           TEXT    NOT NULL, -- the filter as the panel has it in addresses; empty: it came from elsewhere
    missing         BOOLEAN NOT NULL,
    state           TEXT    NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'cancelled', 'failed')),
    total           INTEGER NOT NULL, -- deliveries that the filter let through at the start
    total_more      BOOLEAN NOT NULL, -- there were more: that was as far as was counted
    redelivered     INTEGER NOT NULL DEFAULT 0,
    skipped         INTEGER NOT NULL DEFAULT 0,
    added           INTEGER NOT NULL DEFAULT 0, -- deliveries that were made
    after_id        INTEGER NOT NULL,
    last_id         INTEGER NOT NULL,
    after_event_id  INTEGER NOT NULL,
    last_event_id   INTEGER NOT NULL,
    error           TEXT    NOT NULL DEFAULT '',
    worker          TEXT    NOT NULL DEFAULT '', -- who works on it until lease_us
    lease_us        INTEGER NOT NULL DEFAULT 0,
    created_us      INTEGER NOT NULL,
    updated_us      INTEGER NOT NULL,
    finished_us     INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX replays_running ON replays (updated_us) WHERE state = 'running';
CREATE INDEX replays_organization ON replays (organization_id, id);
