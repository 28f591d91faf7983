-- +goose Up

-- The keys by which secrets are encrypted here. The keys themselves are elsewhere; the proof is a known text that each has
-- encrypted, so that another key of the same id is known as such. What is new is encrypted with the main one.
CREATE TABLE secret_keys (
    key_id     INTEGER PRIMARY KEY,
    proof      BLOB    NOT NULL,
    main       BOOLEAN NOT NULL,
    created_us INTEGER NOT NULL
);
CREATE UNIQUE INDEX secret_keys_main ON secret_keys (main) WHERE main;

-- Secrets, headers and settings of a webhook, encrypted. With sealed_key 0 they are still in their own columns, from where
-- the server moves them when it starts.
ALTER TABLE webhooks ADD COLUMN sealed BLOB;
ALTER TABLE webhooks ADD COLUMN sealed_key INTEGER NOT NULL DEFAULT 0; -- the key that sealed is encrypted with
CREATE INDEX webhooks_sealed_key ON webhooks (sealed_key, id);

-- Older programs would send what they find in the columns that are empty now.
UPDATE schema_compatibility SET lowest_version = 8;
