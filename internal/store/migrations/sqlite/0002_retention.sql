-- +goose Up
-- How long each organization keeps its log. NULL: as the server's option says; 0: for ever, or any number.
CREATE TABLE retention (
    organization_id INTEGER PRIMARY KEY REFERENCES organizations (id),
    attempts_days   INTEGER,
    attempts_rows   INTEGER,
    deliveries_days INTEGER,
    deliveries_rows INTEGER,
    events_days     INTEGER,
    events_rows     INTEGER,
    runs_days       INTEGER,
    runs_rows       INTEGER
);

-- What was deleted by age or number, so that it can be told from what was lost. Those deliveries of an organization
-- that ended before attempts_us may have no attempts any more.
CREATE TABLE removed_attempts (
    organization_id INTEGER PRIMARY KEY,
    attempts_us     INTEGER NOT NULL
);

-- The deliveries of a webhook that were deleted: how many, and the last of them. The webhook may be deleted.
CREATE TABLE removed_deliveries (
    webhook_id    INTEGER PRIMARY KEY,
    removed       INTEGER NOT NULL,
    last_sequence INTEGER NOT NULL,
    last_event_id INTEGER NOT NULL
);

CREATE INDEX sendings_done ON sendings (organization_id, id) WHERE state = 'done';

-- Events after this one were matched with the webhook as it is.
ALTER TABLE webhooks ADD COLUMN changed_event_id INTEGER NOT NULL DEFAULT 0;
UPDATE webhooks SET changed_event_id = (SELECT COALESCE(MAX(id), 0) FROM events);

-- A row: nothing is sent until somebody says so, because this database is a copy of another.
CREATE TABLE sending_hold (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    reason  TEXT    NOT NULL,
    held_us INTEGER NOT NULL
);
