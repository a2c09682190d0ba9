-- Everything a provider must not forget. Times are milliseconds since 1970 UTC.
-- Identifiers are MIMI URIs, exact octets. No content, no key of a member.

CREATE TABLE sealed (                       -- our own keys, crypto.sealing bound to the name
    name        TEXT PRIMARY KEY,
    octets      BLOB NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- ---- rooms

CREATE TABLE rooms (                        -- hosted here, or followed
    room        TEXT PRIMARY KEY,
    hub         TEXT NOT NULL,              -- domain
    phase       TEXT NOT NULL,              -- reserved, open, closed, gone, unreachable
    state       BLOB NOT NULL DEFAULT x'',  -- hub: the room as one string of octets
    last_at     INTEGER NOT NULL DEFAULT 0, -- hub: last accepted timestamp (D-22)
    creator     TEXT NOT NULL DEFAULT '',   -- hub: who reserved it
    reservation BLOB NOT NULL DEFAULT x'',  -- hub: what was promised to the creator
    expires_at  INTEGER,                    -- of a reservation
    created_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX rooms_expiry ON rooms (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE room_domains (                 -- providers with a participant, now or before
    room        TEXT NOT NULL,
    domain      TEXT NOT NULL,
    last_at     INTEGER NOT NULL,           -- when it last had one
    PRIMARY KEY (room, domain)
) STRICT, WITHOUT ROWID;

CREATE TABLE pairs (                        -- D-51: one fixed-membership room per set of users
    users       BLOB PRIMARY KEY,           -- SHA-256 of the sorted set
    room        TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE join_codes (
    id          TEXT PRIMARY KEY,
    room        TEXT NOT NULL,
    digest      BLOB NOT NULL UNIQUE,       -- SHA-256 of the code
    role        INTEGER NOT NULL,
    uses_left   INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    bound_user  TEXT,
    creator     TEXT NOT NULL
) STRICT;

CREATE TABLE messages (                     -- FanoutMessages: a hub's log, a follower's arrivals
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    room        TEXT NOT NULL,
    accepted_at INTEGER NOT NULL,
    digest      BLOB NOT NULL,              -- SHA-256 of the MLSMessage
    kind        TEXT NOT NULL,              -- room.message, room.handshake, room.welcome
    octets      BLOB NOT NULL,
    stored_at   INTEGER NOT NULL,
    UNIQUE (room, accepted_at, digest)
) STRICT;
CREATE INDEX messages_age ON messages (stored_at);

-- ---- fan-out to followers

CREATE TABLE outbox (
    room        TEXT NOT NULL,
    follower    TEXT NOT NULL,
    message     INTEGER NOT NULL REFERENCES messages (id),
    PRIMARY KEY (room, follower, message)
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_messages ON outbox (message);

CREATE TABLE queues (                       -- one per (room, follower) that has or had rows
    room        TEXT NOT NULL,
    follower    TEXT NOT NULL,
    state       TEXT NOT NULL,              -- open, paused, gone, unreachable
    detail      TEXT NOT NULL DEFAULT '',
    batch_last  INTEGER,                    -- last message of the batch under way
    attempts    INTEGER NOT NULL DEFAULT 0,
    next_at     INTEGER NOT NULL DEFAULT 0,
    failing_since INTEGER,
    PRIMARY KEY (room, follower)
) STRICT, WITHOUT ROWID;
CREATE INDEX queues_due ON queues (next_at) WHERE state = 'open';

CREATE TABLE dead_letters (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    room        TEXT NOT NULL,
    follower    TEXT NOT NULL,
    octets      BLOB NOT NULL,
    reason      TEXT NOT NULL,
    died_at     INTEGER NOT NULL
) STRICT;

-- ---- what was answered before

CREATE TABLE replays (                      -- D-24
    digest      BLOB PRIMARY KEY,           -- SHA-256 of source domain, room, request
    response    BLOB NOT NULL,
    answered_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX replays_age ON replays (answered_at);

CREATE TABLE notifications (                -- bodies taken from hubs, 7 days
    digest      BLOB PRIMARY KEY,           -- SHA-256 of (From, body)
    taken_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX notifications_age ON notifications (taken_at);

CREATE TABLE idempotency (                  -- of the agent API, 24 h
    device      TEXT NOT NULL,
    key         TEXT NOT NULL,
    request     BLOB NOT NULL,              -- SHA-256
    status      INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    response    BLOB NOT NULL,
    answered_at INTEGER NOT NULL,
    PRIMARY KEY (device, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_age ON idempotency (answered_at);

-- ---- people and their devices

CREATE TABLE users (
    user        TEXT PRIMARY KEY,
    token       BLOB NOT NULL,              -- SHA-256 of the account token
    state       TEXT NOT NULL,              -- active, deleted
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX users_token ON users (token);

CREATE TABLE identifiers (                  -- 7.9: by what a user may be found
    user        TEXT NOT NULL REFERENCES users (user) ON DELETE CASCADE,
    search_type INTEGER NOT NULL,
    value       TEXT NOT NULL,
    searchable  INTEGER NOT NULL,
    verified    INTEGER NOT NULL,
    PRIMARY KEY (user, search_type, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX identifiers_value ON identifiers (search_type, value) WHERE searchable = 1;

CREATE TABLE devices (
    device      TEXT PRIMARY KEY,
    user        TEXT NOT NULL REFERENCES users (user),
    name        TEXT NOT NULL,
    suite       INTEGER NOT NULL,
    signature_key BLOB NOT NULL,
    created_at  INTEGER NOT NULL,
    reset_at    INTEGER NOT NULL DEFAULT 0  -- cursors up to this one are lost
) STRICT, WITHOUT ROWID;
CREATE INDEX devices_user ON devices (user);

CREATE TABLE tokens (
    digest      BLOB PRIMARY KEY,           -- SHA-256 of the token
    device      TEXT NOT NULL REFERENCES devices (device) ON DELETE CASCADE,
    purpose     TEXT NOT NULL,              -- access, refresh
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_device ON tokens (device);

CREATE TABLE attachments (                  -- who gets a room's stream
    room        TEXT NOT NULL,
    device      TEXT NOT NULL REFERENCES devices (device) ON DELETE CASCADE,
    since       INTEGER NOT NULL,
    PRIMARY KEY (room, device)
) STRICT, WITHOUT ROWID;
CREATE INDEX attachments_device ON attachments (device);

CREATE TABLE events (                       -- streams of devices; the id is the cursor
    cursor      INTEGER PRIMARY KEY AUTOINCREMENT,
    device      TEXT NOT NULL REFERENCES devices (device) ON DELETE CASCADE,
    kind        TEXT NOT NULL,
    room        TEXT NOT NULL DEFAULT '',
    accepted_at INTEGER NOT NULL DEFAULT 0,
    message     INTEGER REFERENCES messages (id),
    data        BLOB NOT NULL DEFAULT x'',  -- when there is no message
    stored_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX events_stream ON events (device, cursor);
CREATE INDEX events_messages ON events (message) WHERE message IS NOT NULL;
CREATE INDEX events_age ON events (stored_at);

-- ---- key material

CREATE TABLE key_packages (
    ref         BLOB PRIMARY KEY,           -- KeyPackageRef, of its own suite
    device      TEXT NOT NULL REFERENCES devices (device) ON DELETE CASCADE,
    suite       INTEGER NOT NULL,
    octets      BLOB NOT NULL,
    not_before  INTEGER NOT NULL,           -- ms
    not_after   INTEGER NOT NULL,           -- ms
    last_resort INTEGER NOT NULL,
    stored_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX key_packages_device ON key_packages (device, last_resort, not_after);

CREATE TABLE key_package_refs (             -- whose a Welcome is
    ref         BLOB NOT NULL,
    kind        TEXT NOT NULL,              -- device (ours), domain (as a hub)
    target      TEXT NOT NULL,
    expires_at  INTEGER NOT NULL,
    PRIMARY KEY (ref, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX key_package_refs_expiry ON key_package_refs (expires_at);

-- ---- consent (room '' = any room)

CREATE TABLE verdicts (
    requester   TEXT NOT NULL,
    target      TEXT NOT NULL,
    room        TEXT NOT NULL,
    granted     INTEGER NOT NULL,
    decided_at  INTEGER NOT NULL,
    PRIMARY KEY (requester, target, room)
) STRICT, WITHOUT ROWID;
CREATE INDEX verdicts_target ON verdicts (target);

CREATE TABLE consent_requests (
    requester   TEXT NOT NULL,
    target      TEXT NOT NULL,
    room        TEXT NOT NULL,
    asked_at    INTEGER NOT NULL,
    PRIMARY KEY (requester, target, room)
) STRICT, WITHOUT ROWID;
CREATE INDEX consent_requests_target ON consent_requests (target);

CREATE TABLE consent_asked (                -- quota: requests of a day
    requester   TEXT NOT NULL,
    day         INTEGER NOT NULL,
    count       INTEGER NOT NULL,
    PRIMARY KEY (requester, day)
) STRICT, WITHOUT ROWID;

-- ---- reports, assets, peers

CREATE TABLE reports (
    digest      BLOB PRIMARY KEY,           -- SHA-256 of (source domain, room, body)
    room        TEXT NOT NULL,
    source      TEXT NOT NULL,
    octets      BLOB NOT NULL,
    verified    INTEGER NOT NULL,
    reported_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE assets (
    name        TEXT PRIMARY KEY,           -- last segment of its URL
    device      TEXT NOT NULL,
    size        INTEGER NOT NULL,
    sha256      BLOB NOT NULL,
    expires_at  INTEGER NOT NULL,
    stored_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX assets_expiry ON assets (expires_at);

CREATE TABLE peers (
    domain      TEXT PRIMARY KEY,
    directory   BLOB NOT NULL,              -- as served
    fetched_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    last_ok_at  INTEGER,
    last_error  TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

CREATE TABLE deviations (                   -- where a peer reads the drafts otherwise
    domain      TEXT NOT NULL,
    what        TEXT NOT NULL,
    count       INTEGER NOT NULL,
    last_at     INTEGER NOT NULL,
    PRIMARY KEY (domain, what)
) STRICT, WITHOUT ROWID;
