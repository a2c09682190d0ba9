"""The `chat.db` of a Mac as BlueBubbles shows it: tables, and rows as its JSON.

Only the columns that the connector's statements and the answers need. Dates are
Apple's: nanoseconds since 2001-01-01.
"""

import sqlite3
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final

APPLE_EPOCH_S: Final = 978_307_200
DIRECT: Final = 45
GROUP: Final = 43
LIMIT_MAX: Final = 1_000

_SCHEMA: Final = """
CREATE TABLE handle(ROWID INTEGER PRIMARY KEY, id TEXT, service TEXT);
CREATE TABLE chat(ROWID INTEGER PRIMARY KEY, guid TEXT, style INT,
  chat_identifier TEXT, display_name TEXT);
CREATE TABLE chat_handle_join(chat_id INT, handle_id INT);
CREATE TABLE message(ROWID INTEGER PRIMARY KEY, guid TEXT, text TEXT, chat_id INT,
  service TEXT DEFAULT 'iMessage', handle_id INT DEFAULT 0, date INT,
  date_read INT DEFAULT 0, date_delivered INT DEFAULT 0, date_edited INT DEFAULT 0,
  date_retracted INT DEFAULT 0, is_from_me INT DEFAULT 0, is_delivered INT DEFAULT 0,
  error INT DEFAULT 0, item_type INT DEFAULT 0, group_title TEXT,
  group_action_type INT DEFAULT 0, other_handle INT DEFAULT 0,
  associated_message_guid TEXT, associated_message_type TEXT,
  thread_originator_guid TEXT, subject TEXT, expressive_send_style_id TEXT,
  is_audio_message INT DEFAULT 0, balloon_bundle_id TEXT, retracted_parts TEXT);
CREATE TABLE attachment(ROWID INTEGER PRIMARY KEY, guid TEXT, message_id INT,
  transfer_name TEXT, mime_type TEXT, size INT, data BLOB, is_sticker INT DEFAULT 0);
"""

Row = Mapping[str, Any]
Json = dict[str, Any]


def epoch_ms(apple: int) -> int | None:
    """Return Apple's time as milliseconds since 1970; None for never."""
    return round(apple / 1_000_000) + APPLE_EPOCH_S * 1000 if apple else None


class MessageStore:
    """Handles, chats, messages and attachments of one Mac."""

    def __init__(self) -> None:
        self._db = sqlite3.connect(":memory:")
        self._db.row_factory = sqlite3.Row
        self._db.executescript(_SCHEMA)

    def now(self) -> int:
        """Return the present in Apple's form."""
        return time.time_ns() - APPLE_EPOCH_S * 10**9

    # ---- writing

    def add_handle(self, address: str, service: str = "iMessage") -> int:
        """Add a person; return their row."""
        statement = "INSERT INTO handle(id, service) VALUES(?, ?)"
        return self._insert(statement, (address, service))

    def add_chat(self, guid: str, name: str, handles: Iterable[int]) -> None:
        """Add a chat with these people."""
        style = GROUP if ";+;" in guid else DIRECT
        row = self._insert(
            "INSERT INTO chat(guid, style, chat_identifier, display_name)"
            " VALUES(?, ?, ?, ?)",
            (guid, style, guid.rpartition(";")[2], name),
        )
        self._db.executemany(
            "INSERT INTO chat_handle_join VALUES(?, ?)", [(row, h) for h in handles]
        )

    def add_message(self, chat: str, text: str | None, **columns: Any) -> str:
        """Add a message now; return its guid."""
        row: Json = {
            "guid": str(uuid.uuid4()).upper(),
            "text": text,
            "chat_id": self.chat(chat)["ROWID"],
            "date": self.now(),
            **columns,
        }
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        self._insert(
            f"INSERT INTO message({names}) VALUES({marks})", tuple(row.values())
        )
        return str(row["guid"])

    def add_file(
        self,
        message: str,
        name: str,
        mime: str | None,
        data: bytes,
        *,
        size: int | None = None,
        is_sticker: bool = False,
    ) -> str:
        """Attach a file; return the attachment's guid."""
        guid = f"at_0_{message}"
        self._insert(
            "INSERT INTO attachment(guid, message_id, transfer_name, mime_type, size,"
            " data, is_sticker) VALUES(?, ?, ?, ?, ?, ?, ?)",
            (
                guid,
                self.message(message)["ROWID"],
                name,
                mime,
                len(data) if size is None else size,
                data,
                int(is_sticker),
            ),
        )
        return guid

    def change(self, message: str, **columns: Any) -> None:
        """Change columns of a message."""
        sets = ", ".join(f"{name} = ?" for name in columns)
        self._db.execute(
            f"UPDATE message SET {sets} WHERE guid = ?", (*columns.values(), message)
        )

    def renumber(self, by: int) -> None:
        """Give all messages other rows, as in a database that was built again."""
        self._db.execute("UPDATE message SET ROWID = -ROWID")
        self._db.execute(f"UPDATE message SET ROWID = {by} - ROWID")

    def _insert(self, statement: str, values: tuple[Any, ...]) -> int:
        return int(self._db.execute(statement, values).lastrowid or 0)

    # ---- reading

    def chat(self, guid: str) -> Row:
        """Return a chat; KeyError without."""
        return self._one("SELECT * FROM chat WHERE guid = ?", guid)

    def message(self, guid: str) -> Row:
        """Return a message; KeyError without."""
        return self._one("SELECT * FROM message WHERE guid = ?", guid)

    def file(self, guid: str) -> Row:
        """Return an attachment; KeyError without."""
        return self._one("SELECT * FROM attachment WHERE guid = ?", guid)

    def chat_of(self, message: Row) -> str:
        """Return the guid of a message's chat."""
        found = self._one("SELECT * FROM chat WHERE ROWID = ?", message["chat_id"])
        return str(found["guid"])

    def _one(self, statement: str, value: Any) -> Row:
        found = self._db.execute(statement, (value,)).fetchone()
        if found is None:
            raise KeyError(value)
        return dict(found)

    def all(self, statement: str, **values: Any) -> list[Row]:
        """Return what a statement finds."""
        return [dict(row) for row in self._db.execute(statement, values).fetchall()]

    def query(self, body: Row) -> list[Row]:
        """Return the messages that `POST /message/query` asks for."""
        clauses: list[str] = ["1"]
        values: Json = {}
        for item in body.get("where") or ():
            clauses.append(f"({item['statement']})")
            values |= item.get("args") or {}
        if body.get("chatGuid"):
            clauses.append("chat_id = (SELECT ROWID FROM chat WHERE guid = :chatGuid)")
            values["chatGuid"] = body["chatGuid"]
        sort = body.get("sort", "DESC")
        limit, offset = int(body.get("limit") or 100), int(body.get("offset") or 0)
        return self.all(
            f"SELECT ROWID, * FROM message WHERE {' AND '.join(clauses)}"
            f" ORDER BY date {sort} LIMIT {limit} OFFSET {offset}",
            **values,
        )

    def count(self, lowest: int) -> int:
        """Return how many messages have this row or a higher one."""
        found = self.all(
            "SELECT count(*) AS n FROM message WHERE ROWID >= :l", l=lowest
        )
        return int(found[0]["n"])

    # ---- as JSON

    def handle_json(self, row: int) -> Json | None:
        """Return a `handle`."""
        for found in self.all("SELECT * FROM handle WHERE ROWID = :row", row=row):
            return {
                "originalROWID": found["ROWID"],
                "address": found["id"],
                "service": found["service"],
                "uncanonicalizedId": None,
                "country": "us",
            }
        return None

    def chat_json(self, chat: Row, *, participants: bool = False) -> Json:
        """Return a `chat`."""
        shown: Json = {
            "originalROWID": chat["ROWID"],
            "guid": chat["guid"],
            "style": chat["style"],
            "chatIdentifier": chat["chat_identifier"],
            "isArchived": False,
            "displayName": chat["display_name"],
        }
        if participants:
            joined = self.all(
                "SELECT handle_id FROM chat_handle_join WHERE chat_id = :c",
                c=chat["ROWID"],
            )
            shown["participants"] = [self.handle_json(j["handle_id"]) for j in joined]
        return shown

    def message_json(self, m: Row, *, chats: bool | None = True) -> Json:
        """Return a `message`.

        Args:
            m: its row.
            chats: with its chat; None: an empty list, as where it was not asked for;
                False: the member is not there.
        """
        files = self.all("SELECT * FROM attachment WHERE message_id = :m", m=m["ROWID"])
        parts = m["retracted_parts"]
        shown: Json = {
            "originalROWID": m["ROWID"],
            "guid": m["guid"],
            "text": m["text"],
            "attributedBody": None,
            "handle": self.handle_json(m["handle_id"]),
            "handleId": m["handle_id"],
            "otherHandle": m["other_handle"],
            "attachments": [_file_json(f) for f in files],
            "subject": m["subject"],
            "error": m["error"],
            "dateCreated": epoch_ms(m["date"]),
            "dateRead": epoch_ms(m["date_read"]),
            "dateDelivered": epoch_ms(m["date_delivered"]),
            "dateEdited": epoch_ms(m["date_edited"]),
            "dateRetracted": epoch_ms(m["date_retracted"]),
            "isDelivered": bool(m["is_delivered"]),
            "isFromMe": bool(m["is_from_me"]),
            "itemType": m["item_type"],
            "groupTitle": m["group_title"],
            "groupActionType": m["group_action_type"],
            "balloonBundleId": m["balloon_bundle_id"],
            "associatedMessageGuid": m["associated_message_guid"],
            "associatedMessageType": m["associated_message_type"],
            "threadOriginatorGuid": m["thread_originator_guid"],
            "threadOriginatorPart": None,
            "expressiveSendStyleId": m["expressive_send_style_id"],
            "isAudioMessage": bool(m["is_audio_message"]),
            "messageSummaryInfo": (
                [{"retractedParts": [int(p) for p in parts.split(",")]}]
                if parts
                else None
            ),
            "payloadData": None,
            "partCount": 0 if parts and not m["text"] else None,
        }
        if chats is None:
            shown["chats"] = []
        elif chats:
            found = self._one("SELECT * FROM chat WHERE ROWID = ?", m["chat_id"])
            shown["chats"] = [self.chat_json(found)]
        return shown


def _file_json(file: Row) -> Json:
    return {
        "originalROWID": file["ROWID"],
        "guid": file["guid"],
        "uti": None,
        "mimeType": file["mime_type"],
        "transferName": file["transfer_name"],
        "totalBytes": file["size"],
        "transferState": 5,
        "isSticker": bool(file["is_sticker"]),
    }
