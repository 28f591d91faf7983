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

ALTER TABLE api_keys ADD COLUMN last_used_us INTEGER NOT NULL DEFAULT 0; -- to the minute; 0: never

-- Whose sessions they are, for people to see and end them.
ALTER TABLE sessions ADD COLUMN organization_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN user_id INTEGER NOT NULL DEFAULT 0;    -- 0: nobody's who has signed in
ALTER TABLE sessions ADD COLUMN signed_in_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN seen_us INTEGER NOT NULL DEFAULT 0;    -- to some minutes
ALTER TABLE sessions ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN agent TEXT NOT NULL DEFAULT '';        -- the browser, as it says
CREATE INDEX sessions_user ON sessions (user_id, expires_us) WHERE user_id <> 0;

-- Older programs would send what they find in the columns that are empty now.
UPDATE schema_compatibility SET lowest_version = 8;
