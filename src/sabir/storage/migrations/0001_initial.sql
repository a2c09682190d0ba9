-- Everything an agent must not forget. Times are milliseconds since 1970 UTC
-- and never decide an order; sequence numbers do.

CREATE TABLE accounts (
    id          TEXT PRIMARY KEY,
    network     TEXT NOT NULL,
    settings    TEXT NOT NULL,              -- JSON object, no secrets
    created_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE secrets (
    account     TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    sealed      BLOB NOT NULL,              -- crypto.sealing, bound to (account, name)
    PRIMARY KEY (account, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE facts (                        -- a connector's own small memory
    account     TEXT NOT NULL,
    name        TEXT NOT NULL,
    value       TEXT NOT NULL,
    PRIMARY KEY (account, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE cursors (                      -- how far a network's stream is committed
    account     TEXT NOT NULL,
    stream      TEXT NOT NULL,
    position    TEXT NOT NULL,
    PRIMARY KEY (account, stream)
) STRICT, WITHOUT ROWID;

CREATE TABLE rooms (
    id          TEXT PRIMARY KEY,           -- mimi: URI
    name        TEXT NOT NULL,
    last_seq    INTEGER NOT NULL DEFAULT 0,
    last_at     INTEGER NOT NULL DEFAULT 0, -- accepted_at of the last entry
    created_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE portals (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    room        TEXT NOT NULL REFERENCES rooms (id),
    account     TEXT NOT NULL,
    chat        TEXT NOT NULL,
    name        TEXT NOT NULL DEFAULT '',
    cursor      INTEGER NOT NULL,           -- last timeline entry that has left here
    state       TEXT NOT NULL DEFAULT 'active',
    detail      TEXT NOT NULL DEFAULT '',   -- why it is not active
    created_at  INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX portals_chat ON portals (account, chat) WHERE state <> 'closed';

CREATE TABLE inbox (                        -- native events, raw, in arrival order
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    account     TEXT NOT NULL,
    chat        TEXT NOT NULL,
    native_id   TEXT NOT NULL,
    revision    TEXT NOT NULL,
    payload     BLOB NOT NULL,
    late        INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    state       TEXT NOT NULL DEFAULT 'pending', -- pending, done, ignored, rejected
    detail      TEXT NOT NULL DEFAULT '',
    UNIQUE (account, chat, native_id, revision)
) STRICT;
CREATE INDEX inbox_pending ON inbox (account, chat, seq) WHERE state = 'pending';
CREATE INDEX inbox_payloads ON inbox (received_at) WHERE payload <> x'' AND state <> 'pending';

CREATE TABLE timeline (                     -- rooms in hub order
    room        TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    entry       BLOB NOT NULL,              -- MIMI message id, 32 octets
    submission  TEXT NOT NULL,              -- idempotency key of the submission
    kind        TEXT NOT NULL,              -- said, edited, deleted, reacted, event
    author      TEXT NOT NULL,              -- external URI
    author_name TEXT NOT NULL,
    target      BLOB,                       -- entry that is edited, deleted, reacted to
    emoji       TEXT NOT NULL,              -- of a reaction, else empty
    content     BLOB NOT NULL,              -- MIMI content as submitted
    origin      INTEGER,                    -- portal it came through
    received_at INTEGER NOT NULL,           -- when the native event came in
    sent_at     INTEGER NOT NULL,           -- as its author's network says
    accepted_at INTEGER NOT NULL,
    PRIMARY KEY (room, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX timeline_submission ON timeline (room, submission);
CREATE UNIQUE INDEX timeline_entry ON timeline (entry);
CREATE INDEX timeline_author ON timeline (room, author, kind, seq);
CREATE INDEX timeline_accepted ON timeline (accepted_at);
CREATE INDEX timeline_target ON timeline (target, author, seq) WHERE target IS NOT NULL;

CREATE TABLE native_refs (                  -- an entry as a portal's chat knows it
    portal      INTEGER NOT NULL,
    native_id   TEXT NOT NULL,
    entry       BLOB NOT NULL,
    part        INTEGER NOT NULL,
    alias       INTEGER NOT NULL,           -- 0: the id; 1: another id of the same message
    author      TEXT NOT NULL,              -- native id of who wrote it there
    PRIMARY KEY (portal, native_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX native_refs_entry ON native_refs (entry, portal, part, alias);
CREATE INDEX native_refs_author ON native_refs (portal, author);

CREATE TABLE deliveries (                   -- one row per piece that left (or could not)
    portal      INTEGER NOT NULL,
    seq         INTEGER NOT NULL,           -- timeline entry
    part        INTEGER NOT NULL,
    key         TEXT NOT NULL,              -- idempotency key, the same for every attempt
    state       TEXT NOT NULL,              -- sending, sent, refused, ambiguous, withheld
    detail      TEXT NOT NULL DEFAULT '',
    loss        BLOB,                       -- LossReport, CBOR; on part 0
    attempted_at INTEGER NOT NULL,
    settled_at  INTEGER,
    PRIMARY KEY (portal, seq, part)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_open ON deliveries (portal, seq, part) WHERE state = 'sending';
CREATE INDEX deliveries_trouble ON deliveries (portal, seq)
    WHERE state IN ('ambiguous', 'refused', 'withheld');
CREATE UNIQUE INDEX deliveries_key ON deliveries (key);

CREATE TABLE media (                        -- files in the spool
    sha256      BLOB PRIMARY KEY,
    octets      INTEGER NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE media_handles (                -- what was fetched from where
    account     TEXT NOT NULL,
    handle      TEXT NOT NULL,
    sha256      BLOB NOT NULL,
    PRIMARY KEY (account, handle)
) STRICT, WITHOUT ROWID;
CREATE INDEX media_handles_file ON media_handles (sha256);
