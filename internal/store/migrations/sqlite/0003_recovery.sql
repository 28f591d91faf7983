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

-- Since when a webhook has failed, and what its people were told of that; 0: it does not, or they were not.
ALTER TABLE lanes ADD COLUMN failing_since_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lanes ADD COLUMN told_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lanes ADD COLUMN warned_us INTEGER NOT NULL DEFAULT 0; -- that it will be disabled
ALTER TABLE lanes ADD COLUMN gone_us INTEGER NOT NULL DEFAULT 0;   -- it was disabled by a 410, of which nobody was told yet
CREATE INDEX lanes_troubled ON lanes (webhook_id) WHERE failing_since_us <> 0 OR told_us <> 0 OR gone_us <> 0;

-- How an organization's people are told of webhooks that fail, and when such are disabled.
ALTER TABLE organizations ADD COLUMN alert_mail BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE organizations ADD COLUMN alert_channel TEXT NOT NULL DEFAULT '';     -- that is posted to; empty: none
ALTER TABLE organizations ADD COLUMN disable_after_days INTEGER NOT NULL DEFAULT 0; -- 0: never

-- While an organization is held its deliveries are made, and wait. Those above held_after_id are made during the hold. What
-- is to become of them is said by release: up to held_until_id they are cancelled in steps, for which held_after_id follows,
-- and then the hold is over.
ALTER TABLE organizations ADD COLUMN held_us INTEGER NOT NULL DEFAULT 0; -- 0: it is not
ALTER TABLE organizations ADD COLUMN held_after_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE organizations ADD COLUMN held_until_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE organizations ADD COLUMN release TEXT NOT NULL DEFAULT '' CHECK (release IN ('', 'digest', 'drop'));

-- Why a delivery was cancelled; empty: a person did it, or its webhook was deleted.
ALTER TABLE deliveries ADD COLUMN cancelled_for TEXT NOT NULL DEFAULT '';

-- What a digest has to say of what was held, until it is made.
CREATE TABLE hold_digests (
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    webhook_id      INTEGER NOT NULL,
    event           TEXT    NOT NULL,
    deliveries      INTEGER NOT NULL,
    first_sequence  INTEGER NOT NULL,
    last_sequence   INTEGER NOT NULL,
    PRIMARY KEY (organization_id, webhook_id, event)
);
