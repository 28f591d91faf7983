-- Times of personnel data are text, "2026-01-14 12:00:00" in UTC: they are shown to receivers as they
-- are stored. Times of the engine are integers of microseconds since 1970, and end in _us.

-- +goose Up
CREATE TABLE organizations (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    name                TEXT    NOT NULL,
    display_name_format TEXT    NOT NULL DEFAULT '{name}',
    time_zone           TEXT    NOT NULL DEFAULT 'UTC', -- such as Europe/Berlin
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

CREATE TABLE groups (
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

CREATE TABLE unit_groups (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    group_id        INTEGER NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    unit_id         INTEGER NOT NULL REFERENCES units (id) ON DELETE CASCADE,
    "order"         INTEGER NOT NULL DEFAULT 0,
    created_at      TEXT,
    updated_at      TEXT,
    UNIQUE (group_id, unit_id)
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

CREATE TABLE issuers (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE credentials (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL,
    description     TEXT,
    type            TEXT NOT NULL,
    issuer_id       INTEGER REFERENCES issuers (id) ON DELETE SET NULL,
    "order"         INTEGER NOT NULL DEFAULT 0,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE competencies (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL,
    description     TEXT,
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
    applies_to      TEXT,
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

CREATE TABLE tasks (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    title           TEXT NOT NULL,
    description     TEXT,
    instructions    TEXT,
    form_id         INTEGER REFERENCES forms (id) ON DELETE SET NULL,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE user_tasks (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    user_id         INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    task_id         INTEGER NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    assigned_by_id  INTEGER REFERENCES users (id) ON DELETE SET NULL,
    assigned_at     TEXT,
    due_at          TEXT,
    completed_at    TEXT,
    expires_at      TEXT,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE categories (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL,
    description     TEXT,
    resource        TEXT NOT NULL,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE category_awards (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    category_id     INTEGER NOT NULL REFERENCES categories (id) ON DELETE CASCADE,
    award_id        INTEGER NOT NULL REFERENCES awards (id) ON DELETE CASCADE,
    "order"         INTEGER NOT NULL DEFAULT 0,
    created_at      TEXT,
    updated_at      TEXT,
    UNIQUE (category_id, award_id)
);

CREATE TABLE category_documents (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    category_id     INTEGER NOT NULL REFERENCES categories (id) ON DELETE CASCADE,
    document_id     INTEGER NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    "order"         INTEGER NOT NULL DEFAULT 0,
    created_at      TEXT,
    updated_at      TEXT,
    UNIQUE (category_id, document_id)
);

CREATE TABLE category_forms (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    category_id     INTEGER NOT NULL REFERENCES categories (id) ON DELETE CASCADE,
    form_id         INTEGER NOT NULL REFERENCES forms (id) ON DELETE CASCADE,
    "order"         INTEGER NOT NULL DEFAULT 0,
    created_at      TEXT,
    updated_at      TEXT,
    UNIQUE (category_id, form_id)
);

CREATE TABLE category_qualifications (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    category_id     INTEGER NOT NULL REFERENCES categories (id) ON DELETE CASCADE,
    qualification_id INTEGER NOT NULL REFERENCES qualifications (id) ON DELETE CASCADE,
    "order"         INTEGER NOT NULL DEFAULT 0,
    created_at      TEXT,
    updated_at      TEXT,
    UNIQUE (category_id, qualification_id)
);

CREATE TABLE category_ranks (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    category_id     INTEGER NOT NULL REFERENCES categories (id) ON DELETE CASCADE,
    rank_id         INTEGER NOT NULL REFERENCES ranks (id) ON DELETE CASCADE,
    "order"         INTEGER NOT NULL DEFAULT 0,
    created_at      TEXT,
    updated_at      TEXT,
    UNIQUE (category_id, rank_id)
);

CREATE TABLE tags (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE calendar_tags (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    calendar_id     INTEGER NOT NULL REFERENCES calendars (id) ON DELETE CASCADE,
    tag_id          INTEGER NOT NULL REFERENCES tags (id) ON DELETE CASCADE,
    created_at      TEXT,
    updated_at      TEXT,
    UNIQUE (calendar_id, tag_id)
);

CREATE TABLE event_tags (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    event_id        INTEGER NOT NULL REFERENCES calendar_events (id) ON DELETE CASCADE,
    tag_id          INTEGER NOT NULL REFERENCES tags (id) ON DELETE CASCADE,
    created_at      TEXT,
    updated_at      TEXT,
    UNIQUE (event_id, tag_id)
);

CREATE TABLE form_tags (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    form_id         INTEGER NOT NULL REFERENCES forms (id) ON DELETE CASCADE,
    tag_id          INTEGER NOT NULL REFERENCES tags (id) ON DELETE CASCADE,
    created_at      TEXT,
    updated_at      TEXT,
    UNIQUE (form_id, tag_id)
);

CREATE TABLE announcements (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    title           TEXT NOT NULL,
    content         TEXT NOT NULL,
    color           TEXT NOT NULL,
    global          BOOLEAN NOT NULL DEFAULT FALSE,
    enabled         BOOLEAN NOT NULL DEFAULT TRUE,
    expires_at      TEXT,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE user_statuses (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    user_id         INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    status_id       INTEGER NOT NULL REFERENCES statuses (id) ON DELETE CASCADE,
    text            TEXT,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE training_records (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    user_id         INTEGER REFERENCES users (id) ON DELETE CASCADE,
    instructor_id   INTEGER REFERENCES users (id) ON DELETE SET NULL,
    event_id        INTEGER REFERENCES calendar_events (id) ON DELETE SET NULL,
    document_id     INTEGER REFERENCES documents (id) ON DELETE SET NULL,
    author_id       INTEGER REFERENCES users (id) ON DELETE SET NULL,
    text            TEXT,
    data            TEXT,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE training_record_competencies (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    training_record_id INTEGER NOT NULL REFERENCES training_records (id) ON DELETE CASCADE,
    competency_id   INTEGER NOT NULL REFERENCES competencies (id) ON DELETE CASCADE,
    created_at      TEXT,
    updated_at      TEXT,
    UNIQUE (training_record_id, competency_id)
);

CREATE TABLE training_record_credentials (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    training_record_id INTEGER NOT NULL REFERENCES training_records (id) ON DELETE CASCADE,
    credential_id   INTEGER NOT NULL REFERENCES credentials (id) ON DELETE CASCADE,
    created_at      TEXT,
    updated_at      TEXT,
    UNIQUE (training_record_id, credential_id)
);

-- Comments, attachments and images belong to a row of the table that model_type stands for.
CREATE TABLE comments (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    author_id       INTEGER REFERENCES users (id) ON DELETE SET NULL,
    model_type      TEXT,
    model_id        INTEGER,
    comment         TEXT NOT NULL,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE attachments (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL,
    filename        TEXT NOT NULL DEFAULT '',
    path            TEXT NOT NULL,
    model_type      TEXT,
    model_id        INTEGER,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE images (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL,
    description     TEXT,
    filename        TEXT NOT NULL DEFAULT '',
    path            TEXT NOT NULL,
    model_type      TEXT,
    model_id        INTEGER,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE newsfeed (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    author_id       INTEGER REFERENCES users (id) ON DELETE SET NULL,
    recipient_id    INTEGER REFERENCES users (id) ON DELETE CASCADE,
    type            TEXT NOT NULL,
    text            TEXT,
    item            TEXT,
    created_at      TEXT,
    updated_at      TEXT
);

CREATE TABLE newsfeed_likes (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    newsfeed_id     INTEGER NOT NULL REFERENCES newsfeed (id) ON DELETE CASCADE,
    user_id         INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at      TEXT,
    updated_at      TEXT,
    UNIQUE (newsfeed_id, user_id)
);

-- What leads from one kind to another over a third, in the shape of a table between two kinds.
CREATE VIEW user_credentials AS
    SELECT c.id, c.organization_id, r.user_id, c.credential_id, c.training_record_id, c.created_at, c.updated_at
    FROM   training_record_credentials c JOIN training_records r ON r.id = c.training_record_id;

CREATE VIEW slot_users AS
    SELECT u.id, u.organization_id, s.slot_id, u.id AS user_id, s.id AS unit_slot_id, s.unit_id, u.created_at, u.updated_at
    FROM   users u JOIN unit_slots s ON s.id = u.unit_slot_id;

CREATE VIEW slot_assignment_records AS
    SELECT r.id, r.organization_id, s.slot_id, r.id AS assignment_record_id, s.id AS unit_slot_id, s.unit_id, r.created_at, r.updated_at
    FROM   assignment_records r JOIN unit_slots s ON s.id = r.unit_slot_id;

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
CREATE INDEX users_position_id ON users (position_id, organization_id, id);
CREATE INDEX users_rank_id ON users (rank_id, organization_id, id);
CREATE INDEX users_specialty_id ON users (specialty_id, organization_id, id);
CREATE INDEX users_status_id ON users (status_id, organization_id, id);
CREATE INDEX users_unit_id ON users (unit_id, organization_id, id);
CREATE INDEX users_unit_slot_id ON users (unit_slot_id, organization_id, id);
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
CREATE INDEX assignment_records_user_id ON assignment_records (user_id, organization_id, created_at, id, type);
CREATE INDEX assignment_records_status_id ON assignment_records (status_id, organization_id, created_at, id);
CREATE INDEX assignment_records_unit_id ON assignment_records (unit_id, organization_id, created_at, id);
CREATE INDEX assignment_records_position_id ON assignment_records (position_id, organization_id, created_at, id);
CREATE INDEX assignment_records_specialty_id ON assignment_records (specialty_id, organization_id, created_at, id);
CREATE INDEX assignment_records_unit_slot_id ON assignment_records (unit_slot_id, organization_id, created_at, id);
CREATE INDEX assignment_records_document_id ON assignment_records (document_id, organization_id, created_at, id);
CREATE INDEX assignment_records_author_id ON assignment_records (author_id, organization_id, created_at, id);
CREATE INDEX award_records_newest ON award_records (organization_id, created_at, id);
CREATE INDEX award_records_user_id ON award_records (user_id, organization_id, created_at, id);
CREATE INDEX award_records_award_id ON award_records (award_id, organization_id, created_at, id);
CREATE INDEX award_records_document_id ON award_records (document_id, organization_id, created_at, id);
CREATE INDEX award_records_author_id ON award_records (author_id, organization_id, created_at, id);
CREATE INDEX combat_records_newest ON combat_records (organization_id, created_at, id);
CREATE INDEX combat_records_user_id ON combat_records (user_id, organization_id, created_at, id);
CREATE INDEX combat_records_document_id ON combat_records (document_id, organization_id, created_at, id);
CREATE INDEX combat_records_author_id ON combat_records (author_id, organization_id, created_at, id);
CREATE INDEX qualification_records_newest ON qualification_records (organization_id, created_at, id);
CREATE INDEX qualification_records_user_id ON qualification_records (user_id, organization_id, created_at, id);
CREATE INDEX qualification_records_qualification_id ON qualification_records (qualification_id, organization_id, created_at, id);
CREATE INDEX qualification_records_document_id ON qualification_records (document_id, organization_id, created_at, id);
CREATE INDEX qualification_records_author_id ON qualification_records (author_id, organization_id, created_at, id);
CREATE INDEX rank_records_newest ON rank_records (organization_id, created_at, id);
CREATE INDEX rank_records_user_id ON rank_records (user_id, organization_id, created_at, id);
CREATE INDEX rank_records_rank_id ON rank_records (rank_id, organization_id, created_at, id);
CREATE INDEX rank_records_document_id ON rank_records (document_id, organization_id, created_at, id);
CREATE INDEX rank_records_author_id ON rank_records (author_id, organization_id, created_at, id);
CREATE INDEX service_records_newest ON service_records (organization_id, created_at, id);
CREATE INDEX service_records_user_id ON service_records (user_id, organization_id, created_at, id);
CREATE INDEX service_records_document_id ON service_records (document_id, organization_id, created_at, id);
CREATE INDEX service_records_author_id ON service_records (author_id, organization_id, created_at, id);
CREATE INDEX calendars_organization ON calendars (organization_id, id);
CREATE INDEX calendar_events_organization ON calendar_events (organization_id, id);
CREATE INDEX calendar_events_calendar_id ON calendar_events (calendar_id);
CREATE INDEX calendar_events_author_id ON calendar_events (author_id);
CREATE INDEX messages_organization ON messages (organization_id, id);
CREATE INDEX submissions_organization ON submissions (organization_id, id);
CREATE INDEX submissions_form_id ON submissions (form_id, organization_id, id);
CREATE INDEX submissions_user_id ON submissions (user_id, organization_id, id);
CREATE INDEX submission_statuses_organization ON submission_statuses (organization_id, id);
CREATE INDEX submission_statuses_submission_id ON submission_statuses (submission_id);
CREATE INDEX submission_statuses_status_id ON submission_statuses (status_id);
CREATE INDEX schedules_organization ON schedules (organization_id, id);
CREATE INDEX schedules_event_id ON schedules (event_id);
CREATE INDEX schedules_message_id ON schedules (message_id);
CREATE INDEX groups_sorted ON groups (organization_id, "order", id);
CREATE INDEX credentials_sorted ON credentials (organization_id, "order", id);
CREATE INDEX credentials_issuer_id ON credentials (issuer_id);
CREATE INDEX unit_groups_organization ON unit_groups (organization_id, id);
CREATE INDEX issuers_organization ON issuers (organization_id, id);
CREATE INDEX competencies_organization ON competencies (organization_id, id);
CREATE INDEX tasks_organization ON tasks (organization_id, id);
CREATE INDEX user_tasks_organization ON user_tasks (organization_id, id);
CREATE INDEX categories_organization ON categories (organization_id, id);
CREATE INDEX category_awards_organization ON category_awards (organization_id, id);
CREATE INDEX category_documents_organization ON category_documents (organization_id, id);
CREATE INDEX category_forms_organization ON category_forms (organization_id, id);
CREATE INDEX category_qualifications_organization ON category_qualifications (organization_id, id);
CREATE INDEX category_ranks_organization ON category_ranks (organization_id, id);
CREATE INDEX tags_organization ON tags (organization_id, id);
CREATE INDEX calendar_tags_organization ON calendar_tags (organization_id, id);
CREATE INDEX event_tags_organization ON event_tags (organization_id, id);
CREATE INDEX form_tags_organization ON form_tags (organization_id, id);
CREATE INDEX announcements_organization ON announcements (organization_id, id);
CREATE INDEX user_statuses_organization ON user_statuses (organization_id, id);
CREATE INDEX training_record_competencies_organization ON training_record_competencies (organization_id, id);
CREATE INDEX training_record_credentials_organization ON training_record_credentials (organization_id, id);
CREATE INDEX comments_organization ON comments (organization_id, id);
CREATE INDEX attachments_organization ON attachments (organization_id, id);
CREATE INDEX images_organization ON images (organization_id, id);
CREATE INDEX newsfeed_likes_organization ON newsfeed_likes (organization_id, id);
CREATE INDEX unit_groups_unit_id ON unit_groups (unit_id);
CREATE INDEX tasks_form_id ON tasks (form_id);
CREATE INDEX user_tasks_user_id ON user_tasks (user_id);
CREATE INDEX user_tasks_task_id ON user_tasks (task_id);
CREATE INDEX user_tasks_assigned_by_id ON user_tasks (assigned_by_id);
CREATE INDEX category_awards_award_id ON category_awards (award_id);
CREATE INDEX category_documents_document_id ON category_documents (document_id);
CREATE INDEX category_forms_form_id ON category_forms (form_id);
CREATE INDEX category_qualifications_qualification_id ON category_qualifications (qualification_id);
CREATE INDEX category_ranks_rank_id ON category_ranks (rank_id);
CREATE INDEX calendar_tags_tag_id ON calendar_tags (tag_id);
CREATE INDEX event_tags_tag_id ON event_tags (tag_id);
CREATE INDEX form_tags_tag_id ON form_tags (tag_id);
CREATE INDEX user_statuses_user_id ON user_statuses (user_id);
CREATE INDEX user_statuses_status_id ON user_statuses (status_id);
CREATE INDEX training_records_user_id ON training_records (user_id, organization_id, created_at, id);
CREATE INDEX training_records_instructor_id ON training_records (instructor_id, organization_id, created_at, id);
CREATE INDEX training_records_event_id ON training_records (event_id, organization_id, created_at, id);
CREATE INDEX training_records_document_id ON training_records (document_id, organization_id, created_at, id);
CREATE INDEX training_records_author_id ON training_records (author_id, organization_id, created_at, id);
CREATE INDEX training_record_competencies_competency_id ON training_record_competencies (competency_id);
CREATE INDEX training_record_credentials_credential_id ON training_record_credentials (credential_id);
CREATE INDEX comments_author_id ON comments (author_id);
CREATE INDEX newsfeed_author_id ON newsfeed (author_id);
CREATE INDEX newsfeed_recipient_id ON newsfeed (recipient_id);
CREATE INDEX newsfeed_likes_user_id ON newsfeed_likes (user_id);
CREATE INDEX training_records_newest ON training_records (organization_id, created_at, id);
CREATE INDEX newsfeed_newest ON newsfeed (organization_id, created_at, id);
CREATE INDEX comments_model ON comments (model_type, model_id);
CREATE INDEX attachments_model ON attachments (model_type, model_id);
CREATE INDEX images_model ON images (model_type, model_id);

-- How many rows an organization has of those kinds that grow without end: counting a million rows
-- takes longer than reading a page of them.
CREATE TABLE row_counts (
    organization_id INTEGER NOT NULL,
    table_name      TEXT    NOT NULL,
    n               INTEGER NOT NULL,
    PRIMARY KEY (organization_id, table_name)
) WITHOUT ROWID;

-- +goose StatementBegin
CREATE TRIGGER users_added AFTER INSERT ON users BEGIN
    INSERT INTO row_counts (organization_id, table_name, n) VALUES (NEW.organization_id, 'users', 1)
    ON CONFLICT (organization_id, table_name) DO UPDATE SET n = n + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER users_removed AFTER DELETE ON users BEGIN
    UPDATE row_counts SET n = n - 1 WHERE organization_id = OLD.organization_id AND table_name = 'users';
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER assignment_records_added AFTER INSERT ON assignment_records BEGIN
    INSERT INTO row_counts (organization_id, table_name, n) VALUES (NEW.organization_id, 'assignment_records', 1)
    ON CONFLICT (organization_id, table_name) DO UPDATE SET n = n + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER assignment_records_removed AFTER DELETE ON assignment_records BEGIN
    UPDATE row_counts SET n = n - 1 WHERE organization_id = OLD.organization_id AND table_name = 'assignment_records';
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER award_records_added AFTER INSERT ON award_records BEGIN
    INSERT INTO row_counts (organization_id, table_name, n) VALUES (NEW.organization_id, 'award_records', 1)
    ON CONFLICT (organization_id, table_name) DO UPDATE SET n = n + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER award_records_removed AFTER DELETE ON award_records BEGIN
    UPDATE row_counts SET n = n - 1 WHERE organization_id = OLD.organization_id AND table_name = 'award_records';
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER combat_records_added AFTER INSERT ON combat_records BEGIN
    INSERT INTO row_counts (organization_id, table_name, n) VALUES (NEW.organization_id, 'combat_records', 1)
    ON CONFLICT (organization_id, table_name) DO UPDATE SET n = n + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER combat_records_removed AFTER DELETE ON combat_records BEGIN
    UPDATE row_counts SET n = n - 1 WHERE organization_id = OLD.organization_id AND table_name = 'combat_records';
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER qualification_records_added AFTER INSERT ON qualification_records BEGIN
    INSERT INTO row_counts (organization_id, table_name, n) VALUES (NEW.organization_id, 'qualification_records', 1)
    ON CONFLICT (organization_id, table_name) DO UPDATE SET n = n + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER qualification_records_removed AFTER DELETE ON qualification_records BEGIN
    UPDATE row_counts SET n = n - 1 WHERE organization_id = OLD.organization_id AND table_name = 'qualification_records';
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER rank_records_added AFTER INSERT ON rank_records BEGIN
    INSERT INTO row_counts (organization_id, table_name, n) VALUES (NEW.organization_id, 'rank_records', 1)
    ON CONFLICT (organization_id, table_name) DO UPDATE SET n = n + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER rank_records_removed AFTER DELETE ON rank_records BEGIN
    UPDATE row_counts SET n = n - 1 WHERE organization_id = OLD.organization_id AND table_name = 'rank_records';
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER service_records_added AFTER INSERT ON service_records BEGIN
    INSERT INTO row_counts (organization_id, table_name, n) VALUES (NEW.organization_id, 'service_records', 1)
    ON CONFLICT (organization_id, table_name) DO UPDATE SET n = n + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER service_records_removed AFTER DELETE ON service_records BEGIN
    UPDATE row_counts SET n = n - 1 WHERE organization_id = OLD.organization_id AND table_name = 'service_records';
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER training_records_added AFTER INSERT ON training_records BEGIN
    INSERT INTO row_counts (organization_id, table_name, n) VALUES (NEW.organization_id, 'training_records', 1)
    ON CONFLICT (organization_id, table_name) DO UPDATE SET n = n + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER training_records_removed AFTER DELETE ON training_records BEGIN
    UPDATE row_counts SET n = n - 1 WHERE organization_id = OLD.organization_id AND table_name = 'training_records';
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER calendar_events_added AFTER INSERT ON calendar_events BEGIN
    INSERT INTO row_counts (organization_id, table_name, n) VALUES (NEW.organization_id, 'calendar_events', 1)
    ON CONFLICT (organization_id, table_name) DO UPDATE SET n = n + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER calendar_events_removed AFTER DELETE ON calendar_events BEGIN
    UPDATE row_counts SET n = n - 1 WHERE organization_id = OLD.organization_id AND table_name = 'calendar_events';
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER messages_added AFTER INSERT ON messages BEGIN
    INSERT INTO row_counts (organization_id, table_name, n) VALUES (NEW.organization_id, 'messages', 1)
    ON CONFLICT (organization_id, table_name) DO UPDATE SET n = n + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER messages_removed AFTER DELETE ON messages BEGIN
    UPDATE row_counts SET n = n - 1 WHERE organization_id = OLD.organization_id AND table_name = 'messages';
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER submissions_added AFTER INSERT ON submissions BEGIN
    INSERT INTO row_counts (organization_id, table_name, n) VALUES (NEW.organization_id, 'submissions', 1)
    ON CONFLICT (organization_id, table_name) DO UPDATE SET n = n + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER submissions_removed AFTER DELETE ON submissions BEGIN
    UPDATE row_counts SET n = n - 1 WHERE organization_id = OLD.organization_id AND table_name = 'submissions';
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER newsfeed_added AFTER INSERT ON newsfeed BEGIN
    INSERT INTO row_counts (organization_id, table_name, n) VALUES (NEW.organization_id, 'newsfeed', 1)
    ON CONFLICT (organization_id, table_name) DO UPDATE SET n = n + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER newsfeed_removed AFTER DELETE ON newsfeed BEGIN
    UPDATE row_counts SET n = n - 1 WHERE organization_id = OLD.organization_id AND table_name = 'newsfeed';
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER comments_added AFTER INSERT ON comments BEGIN
    INSERT INTO row_counts (organization_id, table_name, n) VALUES (NEW.organization_id, 'comments', 1)
    ON CONFLICT (organization_id, table_name) DO UPDATE SET n = n + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER comments_removed AFTER DELETE ON comments BEGIN
    UPDATE row_counts SET n = n - 1 WHERE organization_id = OLD.organization_id AND table_name = 'comments';
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER attachments_added AFTER INSERT ON attachments BEGIN
    INSERT INTO row_counts (organization_id, table_name, n) VALUES (NEW.organization_id, 'attachments', 1)
    ON CONFLICT (organization_id, table_name) DO UPDATE SET n = n + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER attachments_removed AFTER DELETE ON attachments BEGIN
    UPDATE row_counts SET n = n - 1 WHERE organization_id = OLD.organization_id AND table_name = 'attachments';
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER images_added AFTER INSERT ON images BEGIN
    INSERT INTO row_counts (organization_id, table_name, n) VALUES (NEW.organization_id, 'images', 1)
    ON CONFLICT (organization_id, table_name) DO UPDATE SET n = n + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER images_removed AFTER DELETE ON images BEGIN
    UPDATE row_counts SET n = n - 1 WHERE organization_id = OLD.organization_id AND table_name = 'images';
END;
-- +goose StatementEnd

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
    updated_us       INTEGER NOT NULL,
    channel          TEXT    NOT NULL DEFAULT '', -- of messages, of which this is the lane; empty: a webhook
    settings         TEXT    NOT NULL DEFAULT ''  -- of the channel, a JSON object
);
CREATE INDEX webhooks_organization ON webhooks (organization_id, id);
CREATE UNIQUE INDEX webhooks_channel ON webhooks (organization_id, channel) WHERE channel <> '';

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
    causes          TEXT,             -- JSON list of [attribute, old, new]
    chain           TEXT,             -- JSON: what began it and which automations acted since; NULL: nothing known here caused it
    run_id          INTEGER NOT NULL DEFAULT 0, -- the automation run that made it; 0: none did
    addressed       BOOLEAN NOT NULL DEFAULT FALSE -- made for one delivery, and no fact of its own
);
-- The newest event of a name is what previews are made of.
CREATE INDEX events_name ON events (organization_id, name, id) WHERE NOT addressed;
-- The others are for the log. Searches by what has no index look at a bounded number of rows.
CREATE INDEX events_addressed ON events (organization_id, name, id) WHERE addressed;
CREATE INDEX events_organization ON events (organization_id, id) WHERE NOT addressed;
CREATE INDEX events_request ON events (organization_id, request_id, id);
CREATE INDEX events_resource ON events (organization_id, resource_kind, resource_id, id) WHERE NOT addressed;
CREATE INDEX events_causer ON events (organization_id, causer_id, id) WHERE causer_id <> 0 AND NOT addressed;

CREATE TABLE automations (
    id                              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id                 INTEGER NOT NULL REFERENCES organizations (id),
    name                            TEXT    NOT NULL,
    description                     TEXT    NOT NULL,
    "trigger"                       TEXT    NOT NULL, -- the name of an event
    condition                       TEXT    NOT NULL, -- blank: always
    action_type                     TEXT    NOT NULL CHECK (action_type IN ('webhook', 'message', 'model_update')),
    webhook_id                      INTEGER REFERENCES webhooks (id) ON DELETE SET NULL,
    webhook_payload_template        TEXT    NOT NULL, -- JSON
    webhook_payload_format          TEXT    NOT NULL CHECK (webhook_payload_format IN ('envelope', 'json', 'text')),
    message_channels                TEXT    NOT NULL, -- JSON list
    message_content                 TEXT    NOT NULL,
    message_recipients_expression   TEXT    NOT NULL,
    message_rrule                   TEXT    NOT NULL,
    model_update_target             TEXT    NOT NULL, -- the name of a kind
    model_update_lookup_type        TEXT    NOT NULL CHECK (model_update_lookup_type IN ('', 'expression', 'query')),
    model_update_lookup_expression  TEXT    NOT NULL,
    model_update_lookup_conditions  TEXT    NOT NULL, -- JSON object
    model_update_fields             TEXT    NOT NULL, -- JSON object
    typed_values                    BOOLEAN NOT NULL,
    perscom_compatible              BOOLEAN NOT NULL,
    enabled                         BOOLEAN NOT NULL,
    priority                        INTEGER NOT NULL,
    created_us                      INTEGER NOT NULL,
    updated_us                      INTEGER NOT NULL
);
CREATE INDEX automations_trigger ON automations (organization_id, "trigger", priority DESC, id) WHERE enabled;
CREATE INDEX automations_organization ON automations (organization_id, id);
CREATE INDEX automations_webhook ON automations (webhook_id) WHERE webhook_id IS NOT NULL;

-- One row for each evaluation of an automation: the queue of those that are pending, in the order of the
-- id, and the log of the others. What deletes events deletes their runs: a foreign key would need an index
-- of its own. Within an automation the order of the events is that of the ids.
CREATE TABLE automation_runs (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id  INTEGER NOT NULL,
    automation_id    INTEGER NOT NULL REFERENCES automations (id) ON DELETE CASCADE,
    event_id         INTEGER NOT NULL,
    status           TEXT    NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'executed', 'condition_failed', 'failed', 'loop_stopped')),
    condition        TEXT    NOT NULL DEFAULT '', -- as it was
    condition_result BOOLEAN,
    action_payload   TEXT    NOT NULL DEFAULT '', -- JSON object; empty: none
    error            TEXT    NOT NULL DEFAULT '',
    error_field      TEXT    NOT NULL DEFAULT '',
    error_line       INTEGER NOT NULL DEFAULT 0,
    error_column     INTEGER NOT NULL DEFAULT 0,
    duration_us      INTEGER NOT NULL DEFAULT 0,
    created_us       INTEGER NOT NULL,
    evaluated_us     INTEGER NOT NULL DEFAULT 0, -- what now was; 0: pending
    delivery_id      INTEGER NOT NULL DEFAULT 0, -- what it made; 0: none
    message_id       INTEGER NOT NULL DEFAULT 0,
    resource_kind    TEXT    NOT NULL DEFAULT '', -- what it updated; empty: nothing
    resource_id      INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX automation_runs_pending ON automation_runs (organization_id, id, automation_id, event_id) WHERE status = 'pending';
CREATE INDEX automation_runs_automation ON automation_runs (automation_id, event_id, id);
CREATE INDEX automation_runs_organization ON automation_runs (organization_id, id);
CREATE INDEX automation_runs_failed ON automation_runs (organization_id, id) WHERE status = 'failed';
CREATE INDEX automation_runs_stopped ON automation_runs (organization_id, id) WHERE status = 'loop_stopped';

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
CREATE INDEX deliveries_retrying ON deliveries (webhook_id, next_attempt_us) WHERE state = 1;
-- Those that did not arrive are few, and what people look for.
CREATE INDEX deliveries_unsuccessful ON deliveries (organization_id, state, id) WHERE state >= 3;
CREATE INDEX deliveries_webhook_unsuccessful ON deliveries (webhook_id, state, id) WHERE state >= 3;
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

-- What came of attempts, counted as they are written, so that charts need not read them. A row counts those
-- of a minute (step 60 s) or an hour (3600 s) that begins at start_s, of a webhook or, with webhook_id 0, of
-- the whole organization. Hours are made of minutes once these are over: those up to stats_summed.until_s.
CREATE TABLE delivery_stats (
    organization_id INTEGER NOT NULL,
    webhook_id      INTEGER NOT NULL,
    step_s          INTEGER NOT NULL,
    start_s         INTEGER NOT NULL, -- Unix time
    attempts        INTEGER NOT NULL,
    delivered       INTEGER NOT NULL, -- deliveries that arrived
    failed          INTEGER NOT NULL, -- attempts that did not deliver
    given_up        INTEGER NOT NULL, -- deliveries that failed for good
    took_us         INTEGER NOT NULL, -- the sum of what latency counts
    latency         BLOB    NOT NULL, -- a histogram
    PRIMARY KEY (organization_id, webhook_id, step_s, start_s)
) WITHOUT ROWID;
CREATE INDEX delivery_stats_start ON delivery_stats (step_s, start_s);

CREATE TABLE stats_summed (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    until_s INTEGER NOT NULL
);
INSERT INTO stats_summed (id, until_s) VALUES (1, 0);

-- What was copied from other installations, so that copying again goes on where it ended. A source is
-- the address of one, and may have been copied into several organizations.
CREATE TABLE imports (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    source          TEXT    NOT NULL,
    keeps_ids       BOOLEAN NOT NULL, -- the organization was empty: rows have the ids that they had, where those are free
    created_us      INTEGER NOT NULL,
    UNIQUE (organization_id, source)
);

-- The ids of the source's rows here. A kind with a dot is a relation of the row, whose links are copied.
CREATE TABLE import_ids (
    import_id INTEGER NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
    kind      TEXT    NOT NULL,
    source_id INTEGER NOT NULL,
    id        INTEGER NOT NULL,
    copied    BOOLEAN NOT NULL, -- false: the id is kept free for a row that is still to come
    PRIMARY KEY (import_id, kind, source_id)
) WITHOUT ROWID;
CREATE INDEX import_ids_reserved ON import_ids (kind, id) WHERE NOT copied;

-- What is to be done about messages, each in steps of some recipients: the cursor and what a step makes are
-- one transaction. The part is 'all'; or 'early' for what does not wait for the message's time, and 'rest'
-- for what is left then.
CREATE TABLE sendings (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    message_id      INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    part            TEXT    NOT NULL CHECK (part IN ('all', 'early', 'rest')),
    due_us          INTEGER NOT NULL,
    begun           BOOLEAN NOT NULL DEFAULT FALSE,
    after_user_id   INTEGER NOT NULL DEFAULT 0, -- the recipients up to this one have theirs
    state           TEXT    NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'done')),
    chain           TEXT,                       -- JSON: that of the message's event
    run_id          INTEGER NOT NULL DEFAULT 0, -- the automation run that made the message; 0: none did
    request_id      TEXT    NOT NULL,
    trace_id        TEXT    NOT NULL,
    created_us      INTEGER NOT NULL
);
CREATE INDEX sendings_due ON sendings (due_us) WHERE state = 'pending';
CREATE INDEX sendings_organization ON sendings (organization_id, due_us, id) WHERE state = 'pending';
CREATE INDEX sendings_message ON sendings (message_id);

-- Messages by the channels that stay within the server.
CREATE TABLE notifications (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    user_id         INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    message_id      INTEGER REFERENCES messages (id) ON DELETE SET NULL,
    channel         TEXT    NOT NULL CHECK (channel IN ('database', 'broadcast')),
    text            TEXT    NOT NULL, -- HTML
    created_us      INTEGER NOT NULL,
    read_us         INTEGER NOT NULL DEFAULT 0 -- 0: not read
);
CREATE INDEX notifications_user ON notifications (user_id, organization_id, id);
CREATE INDEX notifications_unread ON notifications (user_id, organization_id) WHERE read_us = 0;
CREATE INDEX notifications_message ON notifications (message_id);

-- Who may sign in to the panel, and what he may do there.
CREATE TABLE roles (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    name            TEXT    NOT NULL,
    permissions     TEXT    NOT NULL, -- JSON list
    built_in        BOOLEAN NOT NULL,
    created_us      INTEGER NOT NULL,
    updated_us      INTEGER NOT NULL
);
CREATE UNIQUE INDEX roles_name ON roles (organization_id, LOWER(name));

CREATE TABLE accounts (
    user_id         INTEGER PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    role_id         INTEGER NOT NULL REFERENCES roles (id),
    time_zone       TEXT    NOT NULL DEFAULT '', -- empty: the organization's
    password_hash   TEXT    NOT NULL,            -- argon2id; empty: there is none yet
    disabled        BOOLEAN NOT NULL DEFAULT FALSE,
    sessions_us     INTEGER NOT NULL,            -- sessions that began before are over
    last_sign_in_us INTEGER NOT NULL DEFAULT 0,  -- 0: never
    created_us      INTEGER NOT NULL,
    updated_us      INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX accounts_organization ON accounts (organization_id, user_id);
CREATE INDEX accounts_role ON accounts (role_id);
-- People sign in by their e-mail address, whatever their organization.
CREATE INDEX users_email_anywhere ON users (LOWER(email));

CREATE TABLE invitations (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    purpose         TEXT    NOT NULL CHECK (purpose IN ('setup', 'invitation', 'reset')),
    token_hash      BLOB    NOT NULL UNIQUE,
    user_id         INTEGER REFERENCES users (id) ON DELETE CASCADE,
    email           TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    role_id         INTEGER REFERENCES roles (id),
    created_by      INTEGER NOT NULL, -- a user; 0: the server
    created_us      INTEGER NOT NULL,
    expires_us      INTEGER NOT NULL,
    used_us         INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX invitations_organization ON invitations (organization_id, id);
CREATE INDEX invitations_user ON invitations (user_id);
CREATE INDEX invitations_expires ON invitations (expires_us);
CREATE INDEX invitations_role ON invitations (role_id);

CREATE TABLE sessions (
    token_hash BLOB    PRIMARY KEY,
    data       BLOB    NOT NULL,
    expires_us INTEGER NOT NULL,
    ended      BOOLEAN NOT NULL DEFAULT FALSE -- before it expired
) WITHOUT ROWID;
CREATE INDEX sessions_expires ON sessions (expires_us);
