-- What was said in rooms before a new device of ours came: who asks whom for it.

CREATE TABLE history_asks (
    id          BLOB PRIMARY KEY,
    device      TEXT NOT NULL,              -- who asks
    signed      BLOB NOT NULL,              -- its question; empty if we ask
    sealed      BLOB NOT NULL,              -- private key, if we ask; else empty
    asked_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
