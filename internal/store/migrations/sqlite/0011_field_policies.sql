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

-- Older programs would send what a policy keeps back.
UPDATE schema_compatibility SET lowest_version = 11;
