-- The servers that share a database, and which of them works on what.

-- +goose Up
CREATE TABLE nodes (
    id      BIGINT PRIMARY KEY, -- drawn at each start
    name    TEXT COLLATE "C" NOT NULL,
    works   BOOLEAN NOT NULL, -- on slices
    seen_us BIGINT NOT NULL -- by the clock of the database, as slices.until_us
);

-- A slice is a share of the lanes and organizations: those whose id leaves it as the remainder by 64. One node at a
-- time works on it, until its lease ends.
CREATE TABLE slices (
    slice    BIGINT PRIMARY KEY CHECK (slice BETWEEN 0 AND 63),
    node_id  BIGINT NOT NULL DEFAULT 0, -- 0: nobody's
    until_us BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
INSERT INTO slices (slice) SELECT GENERATE_SERIES(0, 63);

-- The last place in a lane that was given out, in microseconds, which is taken by whoever may change something.
CREATE SEQUENCE lane_places;
SELECT SETVAL('lane_places', GREATEST(1, (SELECT MAX(order_us) FROM deliveries)));

-- What changes much is vacuumed often, so that its indexes stay small however long the history is.
ALTER TABLE deliveries SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE lanes SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE delivery_stats SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE automation_runs SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE slices SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
