-- +goose Up

-- What a webhook must not get to see. A row stays when its webhook is deleted, so that what was sent is shown as it was sent.
CREATE TABLE field_policies (
    webhook_id      INTEGER PRIMARY KEY,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    rules           TEXT    NOT NULL, -- JSON: a list of [attribute, preset, action]
    version         INTEGER NOT NULL  -- counts the changes of the rules, from 2: before there is a row it is 1
);

-- The version of the policy under which a template wrote the envelope; 0: none did, and the policy holds when it is sent.
ALTER TABLE events ADD COLUMN rendered INTEGER NOT NULL DEFAULT 0;

-- People who are erased from what is stored, in steps: the phase and the cursor are moved in the transaction of what a step does.
CREATE TABLE erasures (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    user_id         INTEGER NOT NULL, -- who may be deleted
    state           TEXT    NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'failed')),
    phase           TEXT    NOT NULL,
    after_id        INTEGER NOT NULL DEFAULT 0,
    looked          INTEGER NOT NULL DEFAULT 0, -- rows that were looked at
    changed         INTEGER NOT NULL DEFAULT 0, -- of them, those in which he was
    known           BLOB  NOT NULL, -- what is looked for, encrypted; empty once it is done
    known_key       INTEGER NOT NULL DEFAULT 0,
    error           TEXT    NOT NULL DEFAULT '',
    worker          TEXT    NOT NULL DEFAULT '', -- who works on it until lease_us
    lease_us        INTEGER NOT NULL DEFAULT 0,
    waits_us        INTEGER NOT NULL DEFAULT 0, -- nothing is done before
    created_us      INTEGER NOT NULL,
    updated_us      INTEGER NOT NULL,
    finished_us     INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX erasures_running ON erasures (updated_us) WHERE state = 'running';
CREATE INDEX erasures_organization ON erasures (organization_id, user_id, id);

-- Older programs would send what a policy keeps back.
UPDATE schema_compatibility SET lowest_version = 11;
