-- Times of personnel data are text, "2026-01-14 12:00:00" in UTC: they are shown to receivers as they
-- are stored. Times of the engine are integers of microseconds since 1970, and end in _us.

-- +goose Up
CREATE TABLE organizations (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    name                TEXT    NOT NULL,
    display_name_format TEXT    NOT NULL DEFAULT '{name}',
    created_us          INTEGER NOT NULL
);

CREATE TABLE ranks (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL,
    description     TEXT,
    abbreviation    TEXT,
    paygrade        TEXT,
    "order"         INTEGER NOT NULL DEFAULT 0,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE awards (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL,
    description     TEXT,
    "order"         INTEGER NOT NULL DEFAULT 0,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE qualifications (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL,
    description     TEXT,
    "order"         INTEGER NOT NULL DEFAULT 0,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE positions (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL,
    description     TEXT,
    "order"         INTEGER NOT NULL DEFAULT 0,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE specialties (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL,
    abbreviation    TEXT,
    description     TEXT,
    "order"         INTEGER NOT NULL DEFAULT 0,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE units (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL,
    description     TEXT,
    "order"         INTEGER NOT NULL DEFAULT 0,
    hidden          BOOLEAN NOT NULL DEFAULT FALSE,
    icon            TEXT,
    empty           TEXT,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE statuses (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL,
    color           TEXT,
    icon            TEXT,
    "order"         INTEGER NOT NULL DEFAULT 0,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE slots (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL,
    position_id     INTEGER REFERENCES positions (id) ON DELETE SET NULL,
    specialty_id    INTEGER REFERENCES specialties (id) ON DELETE SET NULL,
    description     TEXT,
    empty           TEXT,
    "order"         INTEGER NOT NULL DEFAULT 0,
    hidden          BOOLEAN NOT NULL DEFAULT FALSE,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE unit_slots (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    unit_id         INTEGER REFERENCES units (id) ON DELETE CASCADE,
    slot_id         INTEGER REFERENCES slots (id) ON DELETE CASCADE,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE users (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL,
    email           TEXT NOT NULL,
    email_verified_at TEXT,
    phone_number    TEXT,
    position_id     INTEGER REFERENCES positions (id) ON DELETE SET NULL,
    rank_id         INTEGER REFERENCES ranks (id) ON DELETE SET NULL,
    specialty_id    INTEGER REFERENCES specialties (id) ON DELETE SET NULL,
    status_id       INTEGER REFERENCES statuses (id) ON DELETE SET NULL,
    unit_id         INTEGER REFERENCES units (id) ON DELETE SET NULL,
    unit_slot_id    INTEGER REFERENCES unit_slots (id) ON DELETE SET NULL,
    approved        BOOLEAN NOT NULL DEFAULT TRUE,
    password        TEXT,
    remember_token  TEXT,
    notes           TEXT,
    notes_updated_at TEXT,
    profile_photo   TEXT,
    cover_photo     TEXT,
    last_seen_at    TEXT,
    facebook_user_id TEXT,
    github_user_id  TEXT,
    google_user_id  TEXT,
    discord_user_id TEXT,
    discord_private_channel_id TEXT,
    data            TEXT,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE api_keys (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    user_id         INTEGER REFERENCES users (id) ON DELETE SET NULL,
    name            TEXT    NOT NULL,
    hash            BLOB    NOT NULL UNIQUE,
    scopes          TEXT    NOT NULL, -- JSON list
    created_us      INTEGER NOT NULL,
    expires_us      INTEGER,
    revoked_us      INTEGER
);

CREATE TABLE documents (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    author_id       INTEGER REFERENCES users (id) ON DELETE SET NULL,
    name            TEXT NOT NULL,
    description     TEXT,
    content         TEXT NOT NULL,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE forms (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL,
    slug            TEXT NOT NULL,
    success_message TEXT,
    submission_status_id INTEGER REFERENCES statuses (id) ON DELETE SET NULL,
    is_public       BOOLEAN NOT NULL DEFAULT FALSE,
    description     TEXT,
    instructions    TEXT,
    created_at      TEXT,
    updated_at      TEXT,
    UNIQUE (organization_id, "slug")
);

CREATE TABLE fields (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL,
    "key"           TEXT NOT NULL,
    type            TEXT NOT NULL,
    "cast"          TEXT,
    description     TEXT,
    placeholder     TEXT,
    "default"       TEXT,
    help            TEXT,
    required        BOOLEAN NOT NULL DEFAULT FALSE,
    rules           TEXT,
    readonly        BOOLEAN NOT NULL DEFAULT FALSE,
    hidden          BOOLEAN NOT NULL DEFAULT FALSE,
    options         TEXT,
    options_type    TEXT,
    options_model   TEXT,
    true_value      TEXT,
    false_value     TEXT,
    created_at      TEXT,
    updated_at      TEXT,
    UNIQUE (organization_id, "key")
);

CREATE TABLE form_fields (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    form_id         INTEGER NOT NULL REFERENCES forms (id) ON DELETE CASCADE,
    field_id        INTEGER NOT NULL REFERENCES fields (id) ON DELETE CASCADE,
    "order"         INTEGER NOT NULL DEFAULT 0,
    created_at      TEXT,
    updated_at      TEXT,
    UNIQUE (form_id, field_id)
);

CREATE TABLE user_fields (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    user_id         INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    field_id        INTEGER NOT NULL REFERENCES fields (id) ON DELETE CASCADE,
    "order"         INTEGER NOT NULL DEFAULT 0,
    created_at      TEXT,
    updated_at      TEXT,
    UNIQUE (user_id, field_id)
);

CREATE TABLE assignment_records (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    user_id         INTEGER REFERENCES users (id) ON DELETE CASCADE,
    status_id       INTEGER REFERENCES statuses (id) ON DELETE SET NULL,
    unit_id         INTEGER REFERENCES units (id) ON DELETE SET NULL,
    position_id     INTEGER REFERENCES positions (id) ON DELETE SET NULL,
    specialty_id    INTEGER REFERENCES specialties (id) ON DELETE SET NULL,
    unit_slot_id    INTEGER REFERENCES unit_slots (id) ON DELETE SET NULL,
    document_id     INTEGER REFERENCES documents (id) ON DELETE SET NULL,
    author_id       INTEGER REFERENCES users (id) ON DELETE SET NULL,
    type            TEXT DEFAULT 'primary',
    text            TEXT,
    data            TEXT,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE award_records (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    user_id         INTEGER REFERENCES users (id) ON DELETE CASCADE,
    award_id        INTEGER REFERENCES awards (id) ON DELETE SET NULL,
    document_id     INTEGER REFERENCES documents (id) ON DELETE SET NULL,
    author_id       INTEGER REFERENCES users (id) ON DELETE SET NULL,
    text            TEXT,
    data            TEXT,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE combat_records (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    user_id         INTEGER REFERENCES users (id) ON DELETE CASCADE,
    document_id     INTEGER REFERENCES documents (id) ON DELETE SET NULL,
    author_id       INTEGER REFERENCES users (id) ON DELETE SET NULL,
    text            TEXT NOT NULL,
    data            TEXT,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE qualification_records (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    user_id         INTEGER REFERENCES users (id) ON DELETE CASCADE,
    qualification_id INTEGER REFERENCES qualifications (id) ON DELETE SET NULL,
    document_id     INTEGER REFERENCES documents (id) ON DELETE SET NULL,
    author_id       INTEGER REFERENCES users (id) ON DELETE SET NULL,
    text            TEXT,
    data            TEXT,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE rank_records (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    user_id         INTEGER REFERENCES users (id) ON DELETE CASCADE,
    rank_id         INTEGER REFERENCES ranks (id) ON DELETE SET NULL,
    document_id     INTEGER REFERENCES documents (id) ON DELETE SET NULL,
    author_id       INTEGER REFERENCES users (id) ON DELETE SET NULL,
    text            TEXT,
    type            INTEGER NOT NULL DEFAULT 0,
    data            TEXT,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE service_records (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    user_id         INTEGER REFERENCES users (id) ON DELETE CASCADE,
    document_id     INTEGER REFERENCES documents (id) ON DELETE SET NULL,
    author_id       INTEGER REFERENCES users (id) ON DELETE SET NULL,
    text            TEXT NOT NULL,
    data            TEXT,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE calendars (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL,
    description     TEXT,
    color           TEXT,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE calendar_events (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL,
    calendar_id     INTEGER REFERENCES calendars (id) ON DELETE CASCADE,
    description     TEXT,
    content         TEXT,
    location        TEXT,
    url             TEXT,
    author_id       INTEGER REFERENCES users (id) ON DELETE SET NULL,
    all_day         BOOLEAN NOT NULL DEFAULT FALSE,
    starts          TEXT NOT NULL,
    ends            TEXT,
    repeats         BOOLEAN NOT NULL DEFAULT FALSE,
    registration_enabled BOOLEAN NOT NULL DEFAULT TRUE,
    registration_deadline TEXT,
    notifications_enabled BOOLEAN NOT NULL DEFAULT TRUE,
    notifications_interval TEXT,
    notifications_channels TEXT,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE messages (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    message         TEXT NOT NULL,
    channels        TEXT,
    recipients      TEXT,
    repeats         BOOLEAN NOT NULL DEFAULT FALSE,
    send_at         TEXT,
    sent_at         TEXT,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE submissions (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    form_id         INTEGER NOT NULL REFERENCES forms (id) ON DELETE CASCADE,
    user_id         INTEGER REFERENCES users (id) ON DELETE SET NULL,
    read_at         TEXT,
    data            TEXT,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE submission_statuses (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    submission_id   INTEGER NOT NULL REFERENCES submissions (id) ON DELETE CASCADE,
    status_id       INTEGER NOT NULL REFERENCES statuses (id) ON DELETE CASCADE,
    text            TEXT,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE schedules (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    event_id        INTEGER REFERENCES calendar_events (id) ON DELETE CASCADE,
    message_id      INTEGER REFERENCES messages (id) ON DELETE CASCADE,
    start           TEXT,
    duration        INTEGER NOT NULL DEFAULT 0,
    frequency       TEXT,
    "interval"      INTEGER NOT NULL DEFAULT 1,
    end_type        TEXT,
    count           INTEGER,
    until           TEXT,
    by_day          TEXT,
    by_month        TEXT,
    by_set_position INTEGER,
    by_month_day    TEXT,
    by_year_day     TEXT,
    rrule           TEXT,
    next_occurrence TEXT,
    last_occurrence TEXT,
    created_at      TEXT,
    updated_at      TEXT
);

-- Every foreign key has an index, because deletes look them up, and so has the order of every list.
CREATE INDEX ranks_sorted ON ranks (organization_id, "order", id);
CREATE INDEX awards_sorted ON awards (organization_id, "order", id);
CREATE INDEX qualifications_sorted ON qualifications (organization_id, "order", id);
CREATE INDEX positions_sorted ON positions (organization_id, "order", id);
CREATE INDEX specialties_sorted ON specialties (organization_id, "order", id);
CREATE INDEX units_sorted ON units (organization_id, "order", id);
CREATE INDEX statuses_sorted ON statuses (organization_id, "order", id);
CREATE INDEX slots_sorted ON slots (organization_id, "order", id);
CREATE INDEX slots_position_id ON slots (position_id);
CREATE INDEX slots_specialty_id ON slots (specialty_id);
CREATE INDEX unit_slots_organization ON unit_slots (organization_id, id);
CREATE INDEX unit_slots_unit_id ON unit_slots (unit_id);
CREATE INDEX unit_slots_slot_id ON unit_slots (slot_id);
CREATE INDEX users_organization ON users (organization_id, id);
CREATE UNIQUE INDEX users_email ON users (organization_id, LOWER(email));
CREATE INDEX users_position_id ON users (position_id);
CREATE INDEX users_rank_id ON users (rank_id);
CREATE INDEX users_specialty_id ON users (specialty_id);
CREATE INDEX users_status_id ON users (status_id);
CREATE INDEX users_unit_id ON users (unit_id);
CREATE INDEX users_unit_slot_id ON users (unit_slot_id);
CREATE INDEX api_keys_organization ON api_keys (organization_id, id);
CREATE INDEX api_keys_user_id ON api_keys (user_id);
CREATE INDEX documents_organization ON documents (organization_id, id);
CREATE INDEX documents_author_id ON documents (author_id);
CREATE INDEX forms_organization ON forms (organization_id, id);
CREATE INDEX forms_submission_status_id ON forms (submission_status_id);
CREATE INDEX fields_organization ON fields (organization_id, id);
CREATE INDEX form_fields_organization ON form_fields (organization_id, id);
CREATE INDEX form_fields_field_id ON form_fields (field_id);
CREATE INDEX user_fields_organization ON user_fields (organization_id, id);
CREATE INDEX user_fields_field_id ON user_fields (field_id);
CREATE INDEX assignment_records_newest ON assignment_records (organization_id, created_at, id);
CREATE INDEX assignment_records_user_id ON assignment_records (user_id, type, created_at);
CREATE INDEX assignment_records_status_id ON assignment_records (status_id);
CREATE INDEX assignment_records_unit_id ON assignment_records (unit_id);
CREATE INDEX assignment_records_position_id ON assignment_records (position_id);
CREATE INDEX assignment_records_specialty_id ON assignment_records (specialty_id);
CREATE INDEX assignment_records_unit_slot_id ON assignment_records (unit_slot_id);
CREATE INDEX assignment_records_document_id ON assignment_records (document_id);
CREATE INDEX assignment_records_author_id ON assignment_records (author_id);
CREATE INDEX award_records_newest ON award_records (organization_id, created_at, id);
CREATE INDEX award_records_user_id ON award_records (user_id);
CREATE INDEX award_records_award_id ON award_records (award_id);
CREATE INDEX award_records_document_id ON award_records (document_id);
CREATE INDEX award_records_author_id ON award_records (author_id);
CREATE INDEX combat_records_newest ON combat_records (organization_id, created_at, id);
CREATE INDEX combat_records_user_id ON combat_records (user_id);
CREATE INDEX combat_records_document_id ON combat_records (document_id);
CREATE INDEX combat_records_author_id ON combat_records (author_id);
CREATE INDEX qualification_records_newest ON qualification_records (organization_id, created_at, id);
CREATE INDEX qualification_records_user_id ON qualification_records (user_id);
CREATE INDEX qualification_records_qualification_id ON qualification_records (qualification_id);
CREATE INDEX qualification_records_document_id ON qualification_records (document_id);
CREATE INDEX qualification_records_author_id ON qualification_records (author_id);
CREATE INDEX rank_records_newest ON rank_records (organization_id, created_at, id);
CREATE INDEX rank_records_user_id ON rank_records (user_id, created_at);
CREATE INDEX rank_records_rank_id ON rank_records (rank_id);
CREATE INDEX rank_records_document_id ON rank_records (document_id);
CREATE INDEX rank_records_author_id ON rank_records (author_id);
CREATE INDEX service_records_newest ON service_records (organization_id, created_at, id);
CREATE INDEX service_records_user_id ON service_records (user_id);
CREATE INDEX service_records_document_id ON service_records (document_id);
CREATE INDEX service_records_author_id ON service_records (author_id);
CREATE INDEX calendars_organization ON calendars (organization_id, id);
CREATE INDEX calendar_events_organization ON calendar_events (organization_id, id);
CREATE INDEX calendar_events_calendar_id ON calendar_events (calendar_id);
CREATE INDEX calendar_events_author_id ON calendar_events (author_id);
CREATE INDEX messages_organization ON messages (organization_id, id);
CREATE INDEX submissions_organization ON submissions (organization_id, id);
CREATE INDEX submissions_form_id ON submissions (form_id);
CREATE INDEX submissions_user_id ON submissions (user_id);
CREATE INDEX submission_statuses_organization ON submission_statuses (organization_id, id);
CREATE INDEX submission_statuses_submission_id ON submission_statuses (submission_id);
CREATE INDEX submission_statuses_status_id ON submission_statuses (status_id);
CREATE INDEX schedules_organization ON schedules (organization_id, id);
CREATE INDEX schedules_event_id ON schedules (event_id);
CREATE INDEX schedules_message_id ON schedules (message_id);

CREATE TABLE webhooks (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id  INTEGER NOT NULL REFERENCES organizations (id),
    name             TEXT    NOT NULL,
    description      TEXT    NOT NULL,
    url              TEXT    NOT NULL,
    method           TEXT    NOT NULL CHECK (method IN ('get', 'post')),
    secret           TEXT    NOT NULL,
    old_secret       TEXT    NOT NULL,
    old_secret_us    INTEGER NOT NULL, -- until when the old secret signs too; 0: there is none
    status           TEXT    NOT NULL CHECK (status IN ('active', 'paused', 'disabled')),
    timeout_seconds  INTEGER NOT NULL,
    max_attempts     INTEGER NOT NULL,
    retry_schedule   TEXT    NOT NULL, -- JSON list of seconds
    max_concurrency  INTEGER NOT NULL,
    rate_per_second  REAL    NOT NULL, -- 0: no limit
    ordered          BOOLEAN NOT NULL,
    headers          TEXT    NOT NULL, -- JSON object
    created_us       INTEGER NOT NULL,
    updated_us       INTEGER NOT NULL
);
CREATE INDEX webhooks_organization ON webhooks (organization_id, id);

-- What a webhook subscribes to. The organization is repeated so that an event finds its webhooks
-- with one look-up.
CREATE TABLE webhook_events (
    organization_id INTEGER NOT NULL,
    event           TEXT    NOT NULL,
    webhook_id      INTEGER NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    PRIMARY KEY (organization_id, event, webhook_id)
) WITHOUT ROWID;
CREATE INDEX webhook_events_webhook ON webhook_events (webhook_id);

-- What changes about a webhook with every delivery, apart from what its admin decides.
CREATE TABLE lanes (
    webhook_id           INTEGER PRIMARY KEY REFERENCES webhooks (id) ON DELETE CASCADE,
    last_sequence        INTEGER NOT NULL DEFAULT 0,
    consecutive_failures INTEGER NOT NULL DEFAULT 0,
    last_success_us      INTEGER NOT NULL DEFAULT 0, -- 0: never
    last_failure_us      INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE events (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    name            TEXT    NOT NULL,
    resource_kind   TEXT    NOT NULL, -- empty: about no resource
    resource_id     INTEGER NOT NULL,
    request_id      TEXT    NOT NULL,
    trace_id        TEXT    NOT NULL,
    causer_id       INTEGER NOT NULL, -- a user; 0: nobody is known
    created_us      INTEGER NOT NULL,
    envelope        BLOB    NOT NULL, -- the bytes that are signed and sent
    causes          TEXT              -- JSON list of [attribute, old, new]
);

-- The delivery table is the queue. States: 0 due, in the order of its lane; 1 waits until
-- next_attempt_us for another attempt; 2 delivered; 3 failed; 4 cancelled. Finished rows are in
-- neither of the partial indexes, so that history costs the queue nothing. A deleted webhook's
-- deliveries stay as its log.
CREATE TABLE deliveries (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL,
    webhook_id      INTEGER NOT NULL,
    event_id        INTEGER NOT NULL REFERENCES events (id),
    sequence        INTEGER NOT NULL, -- in its webhook, from 1 without gaps
    state           INTEGER NOT NULL DEFAULT 0,
    order_us        INTEGER NOT NULL, -- place in the lane, with the id
    next_attempt_us INTEGER NOT NULL,
    attempts        INTEGER NOT NULL DEFAULT 0, -- made so far; the last one has this number
    attempts_before INTEGER NOT NULL DEFAULT 0, -- those of earlier series, before a redelivery
    created_us      INTEGER NOT NULL,
    finished_us     INTEGER NOT NULL DEFAULT 0
);
-- The last four columns are there so that a lane is read from the index alone: its rows are spread over
-- the table, between those of other lanes.
CREATE INDEX deliveries_due ON deliveries (webhook_id, order_us, id, event_id, next_attempt_us, attempts, attempts_before) WHERE state = 0;
CREATE INDEX deliveries_waiting ON deliveries (next_attempt_us) WHERE state = 1;
CREATE UNIQUE INDEX deliveries_sequence ON deliveries (webhook_id, sequence);
CREATE INDEX deliveries_organization ON deliveries (organization_id, id);
CREATE INDEX deliveries_event ON deliveries (event_id);

-- One row for each HTTP exchange. Checking a foreign key for each would cost as much as its insertion
-- into the index; what deletes deliveries deletes their attempts.
CREATE TABLE attempts (
    delivery_id        INTEGER NOT NULL,
    number             INTEGER NOT NULL,
    started_us         INTEGER NOT NULL,
    duration_us        INTEGER NOT NULL,
    method             TEXT    NOT NULL,
    url                TEXT    NOT NULL,
    status_code        INTEGER NOT NULL, -- 0: no answer
    reason             TEXT    NOT NULL,
    error_kind         TEXT    NOT NULL,
    error_message      TEXT    NOT NULL,
    response_headers   TEXT    NOT NULL, -- JSON object of lists
    response_body      BLOB    NOT NULL,
    response_truncated BOOLEAN NOT NULL,
    remote_address     TEXT    NOT NULL,
    PRIMARY KEY (delivery_id, number)
) WITHOUT ROWID;
