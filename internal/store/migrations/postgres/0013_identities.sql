-- +goose Up
-- When an API key was last used, and from where. It is written now and then, not with each request.
ALTER TABLE api_keys ADD COLUMN used_us BIGINT NOT NULL DEFAULT 0; -- 0: never
ALTER TABLE api_keys ADD COLUMN used_address TEXT COLLATE "C" NOT NULL DEFAULT '';
