-- +goose Up
-- What is decided about quotas for one organization. NULL: as the server's option says; 0: no limit.
CREATE TABLE quotas (
    organization_id BIGINT PRIMARY KEY REFERENCES organizations (id),
    webhooks        BIGINT,
    automations     BIGINT,
    events          BIGINT, -- a minute
    backlog         BIGINT, -- pending deliveries
    storage         BIGINT  -- bytes of uploaded files
);

-- What is counted for quotas while changes are made, by the changes themselves. Organizations without those quotas
-- have no row.
CREATE TABLE quota_usage (
    organization_id BIGINT PRIMARY KEY REFERENCES organizations (id),
    minute          BIGINT NOT NULL, -- Unix time by 60
    events          BIGINT NOT NULL, -- that changes have caused in this minute
    pending         BIGINT NOT NULL, -- deliveries that were when they were counted, and all that were made since: at least as many as there are
    counted_us      BIGINT NOT NULL  -- when they were counted; 0: not yet
);
