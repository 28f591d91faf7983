-- +goose Up
-- When an API key was last used, and from where. It is written now and then, not with each request.
ALTER TABLE api_keys ADD COLUMN used_us BIGINT NOT NULL DEFAULT 0; -- 0: never
ALTER TABLE api_keys ADD COLUMN used_address TEXT COLLATE "C" NOT NULL DEFAULT '';

-- Who people are for a provider of single sign-on, and which account they sign in to.
CREATE TABLE identities (
    issuer          TEXT COLLATE "C" NOT NULL,
    subject         TEXT COLLATE "C" NOT NULL, -- the provider's, of a person
    user_id         BIGINT NOT NULL REFERENCES accounts (user_id) ON DELETE CASCADE,
    organization_id BIGINT NOT NULL REFERENCES organizations (id),
    email           TEXT COLLATE "C" NOT NULL, -- when it was linked
    created_us      BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE UNIQUE INDEX identities_account ON identities (user_id, issuer);

-- Sign-ins by a provider that have come back from it, so that none does twice.
CREATE TABLE used_sign_ins (
    state_hash BYTEA   PRIMARY KEY,
    expires_us BIGINT NOT NULL -- it could not come back any more
);
CREATE INDEX used_sign_ins_expired ON used_sign_ins (expires_us);
