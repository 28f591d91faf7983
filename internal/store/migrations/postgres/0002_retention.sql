-- +goose Up
-- How long each organization keeps its log. NULL: as the server's option says; 0: for ever, or any number.
CREATE TABLE retention (
    organization_id BIGINT PRIMARY KEY REFERENCES organizations (id),
    attempts_days   BIGINT,
    attempts_rows   BIGINT,
    deliveries_days BIGINT,
    deliveries_rows BIGINT,
    events_days     BIGINT,
    events_rows     BIGINT,
    runs_days       BIGINT,
    runs_rows       BIGINT
);

-- What was deleted by age or number, so that it can be told from what was lost. Those deliveries of an organization
-- that ended before attempts_us may have no attempts any more.
CREATE TABLE removed_attempts (
    organization_id BIGINT PRIMARY KEY,
    attempts_us     BIGINT NOT NULL
);

-- The deliveries of a webhook that were deleted: how many, and the last of them. The webhook may be deleted.
CREATE TABLE removed_deliveries (
    webhook_id    BIGINT PRIMARY KEY,
    removed       BIGINT NOT NULL,
    last_sequence BIGINT NOT NULL,
    last_event_id BIGINT NOT NULL
);

CREATE INDEX sendings_done ON sendings (organization_id, id) WHERE state = 'done';

-- Events after this one were matched with the webhook as it is.
ALTER TABLE webhooks ADD COLUMN changed_event_id BIGINT NOT NULL DEFAULT 0;
UPDATE webhooks SET changed_event_id = (SELECT COALESCE(MAX(id), 0) FROM events);

-- A row: nothing is sent until somebody says so, because this database is a copy of another.
CREATE TABLE sending_hold (
    id      BIGINT PRIMARY KEY CHECK (id = 1),
    reason  TEXT COLLATE "C" NOT NULL,
    held_us BIGINT NOT NULL
);
