-- +goose Up

-- Who changes the configuration of the organization needs a second factor.
ALTER TABLE organizations ADD COLUMN second_factor_required BOOLEAN NOT NULL DEFAULT FALSE;

-- What an account shows besides its password: codes of an authenticator (RFC 6238), made with a key that both know.
CREATE TABLE second_factors (
    user_id         INTEGER PRIMARY KEY REFERENCES accounts (user_id) ON DELETE CASCADE,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    sealed          BLOB    NOT NULL,           -- the key, encrypted
    sealed_key      INTEGER NOT NULL,           -- the key of secret_keys that it is encrypted with
    begun_us        INTEGER NOT NULL,           -- when the key was made
    since_us        INTEGER NOT NULL DEFAULT 0, -- since when codes are asked for; 0: it is not confirmed yet
    last_step       INTEGER NOT NULL DEFAULT 0, -- of the newest code that was used: none is used twice
    salt            BLOB    NOT NULL            -- of the recovery codes' hashes
);
CREATE INDEX second_factors_sealed_key ON second_factors (sealed_key, user_id);

-- Codes for who has lost the authenticator. Each can be used once.
CREATE TABLE recovery_codes (
    user_id         INTEGER NOT NULL REFERENCES second_factors (user_id) ON DELETE CASCADE,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    hash            BLOB    NOT NULL,
    used_us         INTEGER NOT NULL DEFAULT 0, -- 0: not yet
    PRIMARY KEY (user_id, hash)
);

-- Sessions say whose they are. Of those from before it is known once they are used again.
CREATE TABLE sessions_of_accounts (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    token_hash      BLOB    NOT NULL UNIQUE,
    data            BLOB    NOT NULL,
    expires_us      INTEGER NOT NULL,
    ended           BOOLEAN NOT NULL DEFAULT FALSE, -- before it expired
    organization_id INTEGER REFERENCES organizations (id),
    user_id         INTEGER REFERENCES users (id) ON DELETE CASCADE, -- NULL: nobody has signed in
    begun_us        INTEGER NOT NULL DEFAULT 0,
    seen_us         INTEGER NOT NULL DEFAULT 0, -- to some minutes
    address         TEXT    NOT NULL DEFAULT '', -- when it was seen
    browser         TEXT    NOT NULL DEFAULT ''  -- in words
);
INSERT INTO sessions_of_accounts (token_hash, data, expires_us, ended) SELECT token_hash, data, expires_us, ended FROM sessions;
DROP TABLE sessions;
ALTER TABLE sessions_of_accounts RENAME TO sessions;
CREATE INDEX sessions_expires ON sessions (expires_us);
CREATE INDEX sessions_user ON sessions (user_id, id);

-- Where somebody has signed in from, and with what: so that he is told of what is new.
CREATE TABLE sign_in_places (
    user_id         INTEGER NOT NULL REFERENCES accounts (user_id) ON DELETE CASCADE,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    kind            TEXT    NOT NULL CHECK (kind IN ('address', 'browser')),
    place           TEXT    NOT NULL, -- an address, or of IPv6 its network; a browser in words
    seen_us         INTEGER NOT NULL,
    PRIMARY KEY (user_id, kind, place)
);

-- Who has to wait before the next attempt to sign in, by a hash of what is limited.
CREATE TABLE sign_in_waits (
    who       BLOB    PRIMARY KEY,
    rounds    INTEGER NOT NULL, -- how often in a row there were too many failures
    until_us  INTEGER NOT NULL,
    forget_us INTEGER NOT NULL  -- when the rounds are forgotten
);
CREATE INDEX sign_in_waits_forget ON sign_in_waits (forget_us);

-- Older programs would let somebody in without the code that he asked to be asked for.
UPDATE schema_compatibility SET lowest_version = 12;
