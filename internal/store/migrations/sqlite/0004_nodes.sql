-- The servers that share a database, and which of them works on what. Only PostgreSQL is shared; the tables are
-- here so that an installation can move from one database to the other.

-- +goose Up
CREATE TABLE nodes (
    id      INTEGER PRIMARY KEY, -- drawn at each start
    name    TEXT    NOT NULL,
    works   BOOLEAN NOT NULL, -- on slices
    seen_us INTEGER NOT NULL
);

-- A slice is a share of the lanes and organizations: those whose id leaves it as the remainder by 64. One node at a
-- time works on it, until its lease ends.
CREATE TABLE slices (
    slice    INTEGER PRIMARY KEY CHECK (slice BETWEEN 0 AND 63),
    node_id  INTEGER NOT NULL DEFAULT 0, -- 0: nobody's
    until_us INTEGER NOT NULL DEFAULT 0
);
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 63)
INSERT INTO slices (slice) SELECT i FROM n;
