"""Our core under `bench/mls.py`: each operation once, on groups made before.

Messages, Welcomes and key packages go in and come out as octets: reading and writing
them is part of every operation.
"""

import gc
import time
import tracemalloc
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sabir.mls.client import MlsClient
from sabir.mls.framing import decode_message, encode_message
from sabir.mls.group.group import (
    MlsGroup,
    accept,
    stage_external_join,
    stage_welcome,
)
from sabir.mls.group.process import ApplicationMessage, StagedCommit
from sabir.mls.key_packages import KeyPackageIn
from sabir.mls.proposals import Add
from sabir.testing.mls.clients import SystemEnv, make_client

SUITE: Final = 1
GROUP_ID: Final = b"bench"
MESSAGES_MAX: Final = 2_000
"""Messages made before, one for each time that decryption is measured."""

SKIPPED_KEYS: Final = 1_000
"""Of messages that do not come, in the current epoch and those before it."""
PAST_EPOCHS: Final = 3

ENV: Final = SystemEnv()

Operation = Callable[[], float]


def _timed(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return (time.perf_counter() - begun) * 1000


def _added(client: MlsClient) -> Add:
    return Add(client.key_package(ENV, suite=SUITE)[0])


def _received(key_package: bytes) -> Add:
    body = decode_message(key_package).body
    assert isinstance(body, KeyPackageIn)
    return Add(body)


def _merged(group: MlsGroup, message: bytes) -> None:
    staged = group.process(ENV, message)
    assert isinstance(staged, StagedCommit)
    group.merge(ENV, staged)


class SabirGroup:
    """Alice, who made the group; a joiner, who is the last member.

    Args:
        members: how many in the end, at least 2.
        populated: GroupInfo of a group that two clients enter.
        text: application data of each message.
    """

    def __init__(self, members: int, populated: bytes, text: bytes) -> None:
        self._text = text
        self._alice = make_client(ENV, "alice")
        self._joiner = make_client(ENV, "joiner")
        package, secrets = self._joiner.key_package(ENV, suite=SUITE)
        self._adds = [encode_message(package)]
        self._key_packages = [secrets]
        group = MlsGroup.create(ENV, self._alice, GROUP_ID)
        if members > 2:
            first = [_added(make_client(ENV, f"{at}")) for at in range(members - 2)]
            group.commit(ENV, first, as_public=True)
            group.merge_pending(ENV)
        self._before = group.save()
        group.commit(ENV, map(_received, self._adds), as_public=True)
        welcome = group.merge_pending(ENV).welcome
        assert welcome is not None
        self._welcome = encode_message(welcome)
        self._after = group.save()
        member = self._join()
        self._member = member.save()
        self._commit = group.commit(ENV, as_public=True).commit
        group.merge_pending(ENV)
        _merged(member, self._commit)
        self._sender, self._reader = group, member
        self._messages = deque(
            group.encrypt(ENV, text).message for _ in range(MESSAGES_MAX + 1)
        )
        self._read()  # the first message of a sender costs more
        self._state = group.save()
        self._enter(populated)

    def _join(self) -> MlsGroup:
        staged = stage_welcome(
            self._joiner, self._welcome, self._key_packages, member_of=()
        )
        return accept(self._joiner, staged)

    def _enter(self, group_info: bytes) -> None:
        """Let two clients enter a populated group, one after the other."""
        self._first, self._second = (make_client(ENV, name) for name in ("1", "2"))
        entered = stage_external_join(ENV, self._first, group_info, member_of=())
        committer = accept(self._first, entered)
        shown = encode_message(committer.group_info(with_tree=True))
        followed = stage_external_join(ENV, self._second, shown, member_of=())
        follower = accept(self._second, followed)
        _merged(committer, followed.commit)
        self._committer, self._follower = committer.save(), follower.save()
        self._path_commit = committer.commit(ENV, as_public=True).commit

    def _copy(self, client: MlsClient, rows: Mapping[bytes, bytes]) -> MlsGroup:
        """Return a group as it is in memory: with the hashes of its tree."""
        group = MlsGroup.load(client, rows)
        group.public.tree.tree_hash()
        return group

    def _read(self) -> float:
        message = self._messages.popleft()
        begun = time.perf_counter()
        found = self._reader.process(ENV, message)
        spent = (time.perf_counter() - begun) * 1000
        assert isinstance(found, ApplicationMessage)
        assert found.data == self._text
        return spent

    # ---- operations

    def _committing(
        self,
        client: MlsClient,
        rows: Mapping[bytes, bytes],
        adds: list[bytes],
    ) -> float:
        group = self._copy(client, rows)

        def run() -> None:
            group.commit(ENV, map(_received, adds), as_public=True)
            group.merge_pending(ENV)

        return _timed(run)

    def _processing(
        self, client: MlsClient, rows: Mapping[bytes, bytes], commit: bytes
    ) -> float:
        group = self._copy(client, rows)
        return _timed(lambda: _merged(group, commit))

    def operations(self) -> Mapping[str, Operation]:
        """Return each operation: it runs once and returns its milliseconds."""
        alice, joiner = self._alice, self._joiner
        return {
            "key_package": lambda: _timed(lambda: joiner.key_package(ENV, suite=SUITE)),
            "create": lambda: _timed(lambda: MlsGroup.create(ENV, alice, GROUP_ID)),
            "add": lambda: self._committing(alice, self._before, self._adds),
            "join": lambda: _timed(self._join),
            "update": lambda: self._committing(alice, self._after, []),
            "process": lambda: self._processing(joiner, self._member, self._commit),
            "update_populated": lambda: self._committing(
                self._first, self._committer, []
            ),
            "process_populated": lambda: self._processing(
                self._second, self._follower, self._path_commit
            ),
            "encrypt": lambda: _timed(lambda: self._sender.encrypt(ENV, self._text)),
            "decrypt": self._read,
            "save": lambda: _timed(self._sender.save),
            "load": lambda: _timed(lambda: MlsGroup.load(alice, self._state)),
        }


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a large group takes.

    Attributes:
        group: octets in memory, after a join, commits for all past epochs that are
            kept, and keys of skipped messages; caches included.
        message_state: octets of the rows that one sent message changes.
    """

    group: int
    message_state: int


def footprint(members: int) -> Footprint:
    """Measure a group of `members` as its last joiner has it."""
    alice, joiner = make_client(ENV, "alice"), make_client(ENV, "joiner")
    group = MlsGroup.create(ENV, alice, GROUP_ID)
    others = [_added(make_client(ENV, f"{at}")) for at in range(members - 2)]
    package, secrets = joiner.key_package(ENV, suite=SUITE)
    group.commit(ENV, [*others, Add(package)], as_public=True)
    welcome = group.merge_pending(ENV).welcome
    assert welcome is not None
    message = encode_message(welcome)
    del others, welcome
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    joined = accept(joiner, stage_welcome(joiner, message, [secrets], member_of=()))
    for _ in range(PAST_EPOCHS + 1):
        commit = group.commit(ENV, as_public=True).commit
        group.merge_pending(ENV)
        _merged(joined, commit)
        for _ in range(SKIPPED_KEYS // (PAST_EPOCHS + 1)):
            group.encrypt(ENV, b"")
        joined.process(ENV, group.encrypt(ENV, b"").message)
    del group
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    joined.saved(joined.delta())
    joined.encrypt(ENV, b"A" * 200)
    changed = joined.delta()
    return Footprint(
        taken, sum(len(key) + len(value or b"") for key, value in changed.items())
    )
