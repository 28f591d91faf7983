-- +goose Up
-- What is decided about quotas for one organization. NULL: as the server's option says; 0: no limit.
CREATE TABLE quotas (
    organization_id INTEGER PRIMARY KEY REFERENCES organizations (id),
    webhooks        INTEGER,
    automations     INTEGER,
    events          INTEGER, -- a minute
    backlog         INTEGER, -- pending deliveries
    storage         INTEGER  -- bytes of uploaded files
);

-- What is counted for quotas while changes are made, by the changes themselves. Organizations without those quotas
-- have no row.
CREATE TABLE quota_usage (
    organization_id INTEGER PRIMARY KEY REFERENCES organizations (id),
    minute          INTEGER NOT NULL, -- Unix time by 60
    events          INTEGER NOT NULL, -- that changes have caused in this minute
    pending         INTEGER NOT NULL, -- deliveries that were when they were counted, and all that were made since: at least as many as there are
    counted_us      INTEGER NOT NULL  -- when they were counted; 0: not yet
);
