-- Rooms at a provider: our device, its keys, and what we are members of. What is
-- called sealed is encrypted by the agent (crypto.sealing) with keys of its own.

CREATE TABLE home (                         -- our device at our provider
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    domain      TEXT NOT NULL,
    address     TEXT NOT NULL,              -- base URL of the agent API
    roots       TEXT NOT NULL,              -- PEM of certificates to trust; empty: the system's
    name        TEXT NOT NULL,              -- of the device, for people
    user        TEXT NOT NULL,              -- URI; empty until the provider has answered
    device      TEXT NOT NULL,
    signature   BLOB NOT NULL,              -- sealed
    tokens      BLOB NOT NULL,              -- sealed
    cursor      INTEGER NOT NULL DEFAULT 0, -- last event of our stream that was taken
    created_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE key_packages (                 -- secrets of KeyPackages that others may use
    ref         BLOB PRIMARY KEY,           -- KeyPackageRef
    sealed      BLOB NOT NULL,
    not_after   INTEGER NOT NULL,
    last_resort INTEGER NOT NULL,
    uploaded    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE memberships (
    room        TEXT PRIMARY KEY,           -- URI
    place       INTEGER NOT NULL,           -- which set of member_rows counts
    state       TEXT NOT NULL,              -- creating, joining, active, left, closed
    group_id    BLOB NOT NULL,              -- MLS group
    detail      TEXT NOT NULL DEFAULT '',
    created_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE member_rows (                  -- an MLS group and what belongs to it
    room        TEXT NOT NULL,
    place       INTEGER NOT NULL,           -- rises when we come in again
    key         BLOB NOT NULL,
    sealed      BLOB NOT NULL,
    PRIMARY KEY (room, place, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE wishes (                       -- what people want done in a room
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    room        TEXT NOT NULL,
    sealed      BLOB NOT NULL,              -- the intent
    under_way   INTEGER NOT NULL DEFAULT 0, -- an operation for it was made
    created_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX wishes_room ON wishes (room, id);

CREATE TABLE drafts (                       -- contents that have no place in their room yet
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    room        TEXT NOT NULL,
    submission  TEXT NOT NULL,
    entry       BLOB NOT NULL,
    kind        TEXT NOT NULL,
    author      TEXT NOT NULL,
    author_name TEXT NOT NULL,
    target      BLOB,
    emoji       TEXT NOT NULL,
    content     BLOB NOT NULL,
    origin      INTEGER,
    inbox_seq   INTEGER,
    native_ids  TEXT NOT NULL,              -- JSON list
    native_author TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    sent_at     INTEGER NOT NULL,
    refused     TEXT NOT NULL DEFAULT '',   -- why it will never be sent
    UNIQUE (room, submission)
) STRICT;
CREATE INDEX drafts_entry ON drafts (entry);

CREATE TABLE provenance (                   -- who sent an entry, and what a report needs
    entry       BLOB PRIMARY KEY,
    room        TEXT NOT NULL,
    sender      TEXT NOT NULL,              -- user URI, from the MLS leaf
    client      TEXT NOT NULL,
    topic       BLOB NOT NULL,
    verdict     TEXT NOT NULL,              -- of the hub's frank
    tag         BLOB NOT NULL,
    frank       BLOB NOT NULL,
    framing     BLOB NOT NULL               -- media type
) STRICT, WITHOUT ROWID;
CREATE INDEX provenance_topic ON provenance (room, topic) WHERE topic <> x'';

CREATE TABLE receipts (                     -- what became of an entry at others
    entry       BLOB NOT NULL,
    user        TEXT NOT NULL,
    status      INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (entry, user)
) STRICT, WITHOUT ROWID;

CREATE TABLE invitations (                  -- people who were asked to let us add them
    room        TEXT NOT NULL,
    user        TEXT NOT NULL,
    role        INTEGER NOT NULL,
    asked_at    INTEGER NOT NULL,
    PRIMARY KEY (room, user)
) STRICT, WITHOUT ROWID;

CREATE TABLE notices (                      -- what a person should look at
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    room        TEXT NOT NULL,
    kind        TEXT NOT NULL,
    detail      TEXT NOT NULL,
    evidence    BLOB NOT NULL,
    at          INTEGER NOT NULL
) STRICT;
