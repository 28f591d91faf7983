-- +goose Up

-- Changes of the configuration, and who signed in or tried to. Nothing in it is ever changed or deleted. The hash of an entry
-- covers the one before in its organization: see AuditEntry.ChainHash.
CREATE TABLE audit_entries (
    organization_id INTEGER NOT NULL, -- 0: it is of none, or of all
    number          INTEGER NOT NULL, -- from 1 without gaps, in the organization
    created_us      INTEGER NOT NULL,
    author_kind     TEXT    NOT NULL CHECK (author_kind IN ('server', 'account', 'api_key', 'command', 'visitor')),
    author_id       INTEGER NOT NULL, -- of a user or an API key, which may be gone; 0: none
    author_name     TEXT    NOT NULL,
    address         TEXT    NOT NULL,
    request_id      TEXT    NOT NULL,
    action          TEXT    NOT NULL,
    subject_kind    TEXT    NOT NULL,
    subject_id      INTEGER NOT NULL, -- which may be gone; 0: none
    subject_name    TEXT    NOT NULL,
    old_values      TEXT    NOT NULL, -- JSON: of the attributes that changed, secrets masked
    new_values      TEXT    NOT NULL,
    hash            BLOB    NOT NULL,
    PRIMARY KEY (organization_id, number)
);

-- The newest entry of each organization, so that it is seen if the newest ones are missing.
CREATE TABLE audit_heads (
    organization_id INTEGER PRIMARY KEY,
    number          INTEGER NOT NULL,
    hash            BLOB    NOT NULL
);

-- +goose StatementBegin
CREATE TRIGGER audit_entries_unchanged BEFORE UPDATE ON audit_entries BEGIN
    SELECT RAISE(ABORT, 'entries of the audit log are never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_entries_kept BEFORE DELETE ON audit_entries BEGIN
    SELECT RAISE(ABORT, 'entries of the audit log are never deleted');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_entries_replaced BEFORE INSERT ON audit_entries
WHEN EXISTS (SELECT 1 FROM audit_entries e WHERE e.organization_id = NEW.organization_id AND e.number = NEW.number) BEGIN
    SELECT RAISE(ABORT, 'entries of the audit log are never replaced');
END;
-- +goose StatementEnd
