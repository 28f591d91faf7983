-- +goose Up

-- Changes of the configuration, and who signed in or tried to. Nothing in it is ever changed or deleted. The hash of an entry
-- covers the one before in its organization: see AuditEntry.ChainHash.
CREATE TABLE audit_entries (
    organization_id BIGINT NOT NULL, -- 0: it is of none, or of all
    number          BIGINT NOT NULL, -- from 1 without gaps, in the organization
    created_us      BIGINT NOT NULL,
    author_kind     TEXT COLLATE "C" NOT NULL CHECK (author_kind IN ('server', 'account', 'api_key', 'command', 'visitor')),
    author_id       BIGINT NOT NULL, -- of a user or an API key, which may be gone; 0: none
    author_name     TEXT COLLATE "C" NOT NULL,
    address         TEXT COLLATE "C" NOT NULL,
    request_id      TEXT COLLATE "C" NOT NULL,
    action          TEXT COLLATE "C" NOT NULL,
    subject_kind    TEXT COLLATE "C" NOT NULL,
    subject_id      BIGINT NOT NULL, -- which may be gone; 0: none
    subject_name    TEXT COLLATE "C" NOT NULL,
    old_values      TEXT COLLATE "C" NOT NULL, -- JSON: of the attributes that changed, secrets masked
    new_values      TEXT COLLATE "C" NOT NULL,
    hash            BYTEA   NOT NULL,
    PRIMARY KEY (organization_id, number)
);

-- The newest entry of each organization, so that it is seen if the newest ones are missing.
CREATE TABLE audit_heads (
    organization_id BIGINT PRIMARY KEY,
    number          BIGINT NOT NULL,
    hash            BYTEA   NOT NULL
);

-- +goose StatementBegin
CREATE FUNCTION audit_entry_stays() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'entries of the audit log are never changed or deleted';
END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_entries_unchanged BEFORE UPDATE OR DELETE ON audit_entries FOR EACH ROW EXECUTE FUNCTION audit_entry_stays();
CREATE TRIGGER audit_entries_kept BEFORE TRUNCATE ON audit_entries FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_stays();
