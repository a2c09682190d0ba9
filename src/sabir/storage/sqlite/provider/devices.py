"""Users, their devices and tokens, and answers under idempotency keys."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sabir.clock import Instant
from sabir.errors import PolicyRefused
from sabir.storage.provider.records import (
    DeviceRecord,
    EventKind,
    Identifier,
    Spread,
    StoredAnswer,
    TokenPurpose,
)
from sabir.storage.sqlite.part import Part
from sabir.storage.sqlite.provider.spreading import append_event

_DEVICE: Final = (
    "SELECT d.device, d.user, d.name, d.suite, d.signature_key, d.created_at"
    " FROM devices d"
)


class SqliteDevices(Part):
    """Implements `sabir.storage.provider.ports.Devices`."""

    async def add_user(self, user: str, token: bytes, *, now: Instant) -> None:
        """See `Devices.add_user`."""

        def change(db: sqlite3.Connection) -> None:
            made = db.execute(
                "INSERT OR IGNORE INTO users (user, token, state, created_at)"
                " VALUES (?, ?, 'active', ?)",
                (user, token, now),
            )
            if not made.rowcount:
                raise PolicyRefused(f"there is or was a user {user}; take another name")

        await self._database.write(change)

    async def user_of_token(self, token: bytes) -> str | None:
        """See `Devices.user_of_token`."""
        return self._word(
            "SELECT user FROM users WHERE token = ? AND state = 'active'", token
        )

    async def user_exists(self, user: str) -> bool:
        """See `Devices.user_exists`."""
        found = self._word(
            "SELECT user FROM users WHERE user = ? AND state = 'active'", user
        )
        return found is not None

    async def users(self) -> Sequence[str]:
        """See `Devices.users`."""
        rows = self._database.read(
            lambda db: db.execute(
                "SELECT user FROM users WHERE state = 'active' ORDER BY user"
            ).fetchall()
        )
        return [user for (user,) in rows]

    async def deleted_users(self) -> Sequence[str]:
        """See `Devices.deleted_users`."""
        rows = self._database.read(
            lambda db: db.execute(
                "SELECT user FROM users WHERE state = 'deleted' ORDER BY user"
            ).fetchall()
        )
        return [user for (user,) in rows]

    async def delete_user(self, user: str) -> Sequence[str]:
        """See `Devices.delete_user`."""

        def change(db: sqlite3.Connection) -> Sequence[str]:
            devices = [
                device
                for (device,) in db.execute(
                    "SELECT device FROM devices WHERE user = ? ORDER BY device", (user,)
                )
            ]
            db.execute("DELETE FROM devices WHERE user = ?", (user,))
            db.execute("DELETE FROM identifiers WHERE user = ?", (user,))
            db.execute("UPDATE users SET state = 'deleted' WHERE user = ?", (user,))
            return devices

        return await self._database.write(change)

    async def add_device(
        self, device: DeviceRecord, tokens: Mapping[TokenPurpose, tuple[bytes, Instant]]
    ) -> Spread:
        """See `Devices.add_device`."""

        def change(db: sqlite3.Connection) -> Spread:
            others = _devices_of(db, device.user)
            db.execute(
                "INSERT INTO devices"
                " (device, user, name, suite, signature_key, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    device.device,
                    device.user,
                    device.name,
                    device.suite,
                    device.signature_key,
                    device.created_at,
                ),
            )
            for purpose, (digest, expires_at) in tokens.items():
                _set_token(db, device.device, purpose, digest, expires_at)
            told = _tell(
                db, others, EventKind.DEVICE_ADDED, device.device, device.created_at
            )
            return Spread(devices=told)

        return await self._database.write(change)

    async def device(self, device: str) -> DeviceRecord | None:
        """See `Devices.device`."""
        row = self._database.read(
            lambda db: db.execute(
                _DEVICE + " WHERE device = ?",
                (device,),
            ).fetchone()
        )
        return None if row is None else _device(row)

    async def devices_of(self, user: str) -> Sequence[DeviceRecord]:
        """See `Devices.devices_of`."""
        rows = self._database.read(
            lambda db: db.execute(
                _DEVICE + " WHERE user = ? ORDER BY created_at, device",
                (user,),
            ).fetchall()
        )
        return [_device(row) for row in rows]

    async def remove_device(self, device: str, *, now: Instant) -> Spread:
        """See `Devices.remove_device`."""

        def change(db: sqlite3.Connection) -> Spread:
            row = db.execute(
                "SELECT user FROM devices WHERE device = ?", (device,)
            ).fetchone()
            if row is None:
                return Spread(fresh=False)
            db.execute("DELETE FROM devices WHERE device = ?", (device,))
            others = _devices_of(db, row[0])
            told = _tell(db, others, EventKind.DEVICE_REMOVED, device, now)
            return Spread(devices=told)

        return await self._database.write(change)

    # ---- tokens

    async def device_of_token(
        self, digest: bytes, purpose: TokenPurpose, *, now: Instant
    ) -> DeviceRecord | None:
        """See `Devices.device_of_token`."""
        row = self._database.read(
            lambda db: db.execute(
                _DEVICE + " JOIN tokens t ON d.device = t.device"
                " WHERE t.digest = ? AND t.purpose = ? AND t.expires_at > ?",
                (digest, purpose, now),
            ).fetchone()
        )
        return None if row is None else _device(row)

    async def set_token(
        self, device: str, purpose: TokenPurpose, digest: bytes, expires_at: Instant
    ) -> None:
        """See `Devices.set_token`."""
        await self._database.write(
            lambda db: _set_token(db, device, purpose, digest, expires_at)
        )

    # ---- idempotency

    async def answer_of(self, device: str, key: str) -> StoredAnswer | None:
        """See `Devices.answer_of`."""
        row = self._database.read(
            lambda db: db.execute(
                "SELECT request, status, content_type, response FROM idempotency"
                " WHERE device = ? AND key = ?",
                (device, key),
            ).fetchone()
        )
        if row is None:
            return None
        request, status, content_type, response = row
        return StoredAnswer(
            request=request,
            status=status,
            content_type=content_type,
            response=response,
        )

    async def remember_answer(
        self, device: str, key: str, answer: StoredAnswer, *, now: Instant
    ) -> None:
        """See `Devices.remember_answer`."""
        await self._database.write(
            lambda db: db.execute(
                "INSERT OR IGNORE INTO idempotency (device, key, request, status,"
                " content_type, response, answered_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    device,
                    key,
                    answer.request,
                    answer.status,
                    answer.content_type,
                    answer.response,
                    now,
                ),
            )
        )

    # ---- by what they are found

    async def identifiers(self, user: str) -> Sequence[Identifier]:
        """See `Devices.identifiers`."""
        rows = self._database.read(
            lambda db: db.execute(
                "SELECT search_type, value, searchable, verified FROM identifiers"
                " WHERE user = ? ORDER BY search_type, value",
                (user,),
            ).fetchall()
        )
        return [_identifier(row) for row in rows]

    async def set_identifiers(
        self, user: str, identifiers: Iterable[Identifier]
    ) -> None:
        """See `Devices.set_identifiers`."""
        rows = [
            (user, each.search_type, each.value, each.searchable, each.verified)
            for each in identifiers
        ]

        def change(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM identifiers WHERE user = ?", (user,))
            db.executemany(
                "INSERT INTO identifiers"
                " (user, search_type, value, searchable, verified)"
                " VALUES (?, ?, ?, ?, ?)",
                rows,
            )

        await self._database.write(change)

    async def users_found(
        self, search_type: int, value: str, *, count_max: int
    ) -> Sequence[tuple[str, Identifier]]:
        """See `Devices.users_found`."""
        rows = self._database.read(
            lambda db: db.execute(
                "SELECT user, search_type, value, searchable, verified"
                " FROM identifiers JOIN users USING (user)"
                " WHERE search_type = ? AND value = ? AND searchable = 1"
                " AND state = 'active' ORDER BY user LIMIT ?",
                (search_type, value, count_max),
            ).fetchall()
        )
        return [(user, _identifier(rest)) for user, *rest in rows]

    def _word(self, question: str, about: str | bytes) -> str | None:
        row = self._database.read(lambda db: db.execute(question, (about,)).fetchone())
        return None if row is None else row[0]


def _device(row: tuple[Any, ...]) -> DeviceRecord:
    device, user, name, suite, key, created_at = row
    return DeviceRecord(
        device=device,
        user=user,
        name=name,
        suite=suite,
        signature_key=key,
        created_at=Instant(created_at),
    )


def _identifier(row: Sequence[Any]) -> Identifier:
    search_type, value, searchable, verified = row
    return Identifier(
        search_type=search_type,
        value=value,
        searchable=bool(searchable),
        verified=bool(verified),
    )


def _devices_of(db: sqlite3.Connection, user: str) -> list[str]:
    rows = db.execute("SELECT device FROM devices WHERE user = ?", (user,))
    return [device for (device,) in rows]


def _set_token(
    db: sqlite3.Connection,
    device: str,
    purpose: TokenPurpose,
    digest: bytes,
    expires_at: Instant,
) -> None:
    db.execute("DELETE FROM tokens WHERE device = ? AND purpose = ?", (device, purpose))
    db.execute(
        "INSERT INTO tokens (digest, device, purpose, expires_at) VALUES (?, ?, ?, ?)",
        (digest, device, purpose, expires_at),
    )


def _tell(
    db: sqlite3.Connection,
    devices: Iterable[str],
    kind: EventKind,
    about: str,
    now: Instant,
) -> frozenset[str]:
    data = json.dumps({"device_uri": about}).encode()
    return append_event(db, devices, kind, data, "", now)
