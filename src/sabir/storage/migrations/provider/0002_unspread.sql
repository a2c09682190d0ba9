-- A message of a room with many followers is one row here when it is accepted; later
-- many of them are put into the followers' queues together, which costs far less than
-- a row in each queue for each message by itself.

CREATE TABLE unspread (
    message     INTEGER PRIMARY KEY REFERENCES messages (id),
    room        TEXT NOT NULL,
    followers   TEXT NOT NULL               -- JSON list
) STRICT;
CREATE INDEX unspread_rooms ON unspread (room);
