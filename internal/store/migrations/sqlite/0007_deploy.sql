-- +goose Up

-- Which programs may work on the tables. Migrations only add, so older programs can go on; one that they cannot
-- live with raises lowest_version to its own number: a program that does not know that migration does not start.
CREATE TABLE schema_compatibility (
    id             INTEGER PRIMARY KEY CHECK (id = 1),
    lowest_version INTEGER NOT NULL
);
INSERT INTO schema_compatibility (id, lowest_version) VALUES (1, 1);
