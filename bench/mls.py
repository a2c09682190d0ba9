"""Sabir's MLS core beside ts-mls and beside the primitives alone, in one run.

    python bench/mls.py [--members 2,32,256,1000] [--rounds 5]

Every round visits every engine at every size and operation before the next begins, so
that a change of load hits all of them. Times are medians over the rounds. Those of
ts-mls are taken inside node around the library call: the pipe is not in them. Prints
progress to standard error, a table with the gates of the design, and one JSON object
as its last line: `{op: {members: {"sabir_ms", "ts_mls_ms", "floor_ms"}}}`, null where
an engine has no such operation. When a gate fails, it names them and exits with 1.

The group: suite 1, basic credentials, Alice is leaf 0, the others were added in one
commit without a path, so the tree has no parents. `_populated` operations run on a
tree in which every member has committed. `create` includes making the founder's keys;
`update` and `process` include entering the new epoch. 200 octets of application data.

What is compared is alike. Both take and give octets: reading and writing the messages
is in the times of either. Both have their signature keys already when they make a key
package or a group. Where ts-mls cannot do less, it does more: its `create` begins with
a whole key package, so with one more key pair and signature than Sabir's. Both pad:
ts-mls up to 256 octets, Sabir to a multiple of them.

In `save` and `load` there is no cryptography, so that at two members an interpreter is
compared with a compiler over 20 to 200 us. Nor is the work quite the same. ts-mls
writes and reads one string (2.3 kB for two members: the epoch and two past ones, each
with its whole tree and both ratchets of every node), without a check. Sabir makes and
reads rows (20, with 1.9 kB: past trees as changes, ratchets that were used), so that a
message changes one or two of them; it checks that all rows are known and fit together,
and remembers which ones the store has.
"""

import argparse
import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from sabir.crypto.suites import SUITES
from sabir.testing.mls.floor import Floor
from sabir.testing.mls.populated import populated_group_info
from sabir.testing.mls.sabir_bench import SabirGroup, footprint
from sabir.testing.mls.tsmls import TsMls

TEXT: Final = b"A" * 200
MEMBERS: Final = (2, 32, 256, 1000)
ENGINES: Final = ("sabir_ms", "ts_mls_ms", "floor_ms")

OPERATIONS: Final = (
    "key_package",
    "create",
    "add",
    "join",
    "update",
    "process",
    "update_populated",
    "process_populated",
    "encrypt",
    "decrypt",
    "save",
    "load",
)

REPEATS: Final = {"key_package": 9, "create": 9, "encrypt": 25, "decrypt": 25}
"""Short operations run this often in a round; the round's value is their median."""
SMALL_REPEATS: Final = 7
"""All others in small groups, where they are short, too."""
SMALL_MEMBERS_MAX: Final = 32

TS_MLS_RATIO_MIN: Final = 5.0
"""Gate G1: how many times faster than ts-mls every operation is."""
JOIN_RATIO_MAX: Final = 1.3
"""Gate G2: a join of 1,000 members against their leaf signatures alone."""
PROCESS_MS_MAX: Final = 8.0
"""Gate G3: processing a commit among 1,000 members."""
MESSAGE_RATIO_MAX: Final = 1.6
"""Gate G4: encrypting and decrypting against their floors."""
GROUP_OCTETS_MAX: Final = 4_000_000
"""Gate G5: a group of 1,000 in memory."""
MESSAGE_STATE_OCTETS_MAX: Final = 2_048
"""Gate G6: what is stored for one sent message."""

Operation = Callable[[], float]
"""Runs once, changes nothing that a later run sees, returns milliseconds."""


def report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def timed(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return (time.perf_counter() - begun) * 1000


class TsMlsGroup:
    """Alice, who made the group; a joiner, who is the last member; a joiner to be."""

    def __init__(self, peer: TsMls, members: int, populated: str) -> None:
        self.peer = peer
        self.alice, joiner = self._client("alice"), self._client("joiner")
        self.identity = {
            "sig_priv": self.alice["sig_priv"],
            "sig_pub": self.alice["signature_key"],
        }
        self.before = peer.call("create", kp=self.alice["kp"], group_id="aa")["g"]
        first = [_added(self._client(f"{number}")) for number in range(members - 2)]
        if first:
            peer.call("commit", g=self.before, proposals=first)
        self.adds = [_added(joiner)]
        self.joiner = joiner["kp"]
        self.after = self._fork(self.before)
        made = peer.call("commit", g=self.after, proposals=self.adds)
        self.welcome = made["welcome"]
        self.member = self._join()
        self.commit = peer.call("commit", g=(sender := self._fork(self.after)))[
            "commit"
        ]
        self.sender = sender
        self.reader = self._fork(self.member)
        peer.call("process", g=self.reader, message=self.commit)
        said = peer.call("encrypt", g=self._fork(sender), data=TEXT)
        self.message = said["message"]
        self.state = peer.call("save", g=sender)["state"]
        self.committer, self.follower = self._enter(populated)
        updated = self._fork(self.committer)
        self.path_commit = peer.call("commit", g=updated)["commit"]

    def _client(self, name: str, **identity: str) -> dict[str, Any]:
        return self.peer.call("keypackage", suite=1, identity=name, **identity)

    def _fork(self, group: str) -> str:
        return str(self.peer.call("fork", g=group)["g"])

    def _join(self) -> str:
        joined = self.peer.call("join", kp=self.joiner, welcome=self.welcome)
        return str(joined["g"])

    def _enter(self, group_info: str) -> tuple[str, str]:
        """Let two clients enter a populated group, one after the other."""
        first, second = self._client("first"), self._client("second")
        entered = self.peer.call(
            "external_join", kp=first["kp"], group_info=group_info
        )["g"]
        shown = self.peer.call("group_info", g=entered)["message"]
        followed = self.peer.call("external_join", kp=second["kp"], group_info=shown)
        self.peer.call("process", g=entered, message=followed["commit"])
        return entered, followed["g"]

    def _call(self, op: str, group: str | None = None, **arguments: object) -> float:
        """Run an operation on a copy of a group, and forget what came of it."""
        if group is not None:
            arguments["g"] = self._fork(group)
        answer = self.peer.call(op, **arguments)
        spent = self.peer.last_ms
        for name in {arguments.get("g"), answer.get("g")} - {None}:
            self.peer.call("drop", g=name)
        return spent

    def _create(self) -> float:
        """Make the keys and the leaf, too, as Sabir does in this one operation."""
        made = self._client("alice", **self.identity)
        spent = self.peer.last_ms
        spent += self._call("create", kp=made["kp"], group_id="bb")
        self.peer.call("drop", kp=made["kp"])
        return spent

    def operations(self) -> Mapping[str, Operation]:
        call = self._call
        return {
            "key_package": lambda: call(
                "keypackage", suite=1, identity="alice", **self.identity
            ),
            "create": self._create,
            "add": lambda: call("commit", self.before, proposals=self.adds),
            "join": lambda: call("join", kp=self.joiner, welcome=self.welcome),
            "update": lambda: call("commit", self.after),
            "process": lambda: call("process", self.member, message=self.commit),
            "update_populated": lambda: call("commit", self.committer),
            "process_populated": lambda: call(
                "process", self.follower, message=self.path_commit
            ),
            "encrypt": lambda: call("encrypt", self.sender, data=TEXT),
            "decrypt": lambda: call("process", self.reader, message=self.message),
            "save": lambda: call("save", self.sender),
            "load": lambda: call("load", suite=1, state=self.state),
        }


def _added(client: Mapping[str, Any]) -> dict[str, object]:
    return {"type": "add", "key_package": client["message"]}


def floor_operations(members: int) -> Mapping[str, Operation]:
    floor = Floor(members, TEXT)
    return {
        name: lambda run=run: timed(run)  # type: ignore[misc]  # binds the method
        for name, run in {
            "key_package": floor.key_package,
            "create": floor.create,
            "add": floor.add,
            "join": floor.join,
            "update": floor.update,
            "process": floor.process,
            "update_populated": floor.update_populated,
            "process_populated": floor.process,
            "encrypt": floor.encrypt,
            "decrypt": floor.decrypt,
            "leaf_signatures": floor.leaf_signatures,
        }.items()
    }


def measure(members: tuple[int, ...], rounds: int, peer: TsMls) -> dict[str, Any]:
    """Return the times by operation, members and engine: all rounds, in ms."""
    ready: dict[tuple[int, str], Mapping[str, Operation]] = {}
    for count in members:
        report(f"groups of {count}")
        populated = populated_group_info(SUITES[1], max(count - 2, 1))
        ready[count, "ts_mls_ms"] = TsMlsGroup(
            peer, count, populated.hex()
        ).operations()
        ready[count, "sabir_ms"] = SabirGroup(count, populated, TEXT).operations()
        ready[count, "floor_ms"] = floor_operations(count)
    seen: dict[str, Any] = {}
    for number in range(rounds):
        report(f"round {number + 1} of {rounds}, load {os.getloadavg()[0]:.1f}")
        for count in members:
            for name in (*OPERATIONS, "leaf_signatures"):
                for engine in ENGINES:
                    run = ready[count, engine].get(name)
                    if run is None:
                        continue
                    gc.collect()
                    often = SMALL_REPEATS if count <= SMALL_MEMBERS_MAX else 1
                    times = [run() for _ in range(REPEATS.get(name, often))]
                    of_size = seen.setdefault(name, {}).setdefault(count, {})
                    of_size.setdefault(engine, []).append(statistics.median(times))
    return seen


def medians(seen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the median of the rounds, null for what an engine does not do."""
    return {
        name: {
            count: {
                engine: round(statistics.median(times), 4)
                if (times := by_engine.get(engine))
                else None
                for engine in ENGINES
            }
            for count, by_engine in by_count.items()
        }
        for name, by_count in seen.items()
    }


def table(result: Mapping[str, Any]) -> None:
    print(
        f"{'operation':18} {'N':>5} {'Sabir':>10} {'ts-mls':>10} {'floor':>10}", end=""
    )
    print(f" {'ts-mls/Sabir':>13} {'Sabir/floor':>12}")
    for name in OPERATIONS:
        for count, times in result[name].items():
            ours, theirs, floor = (times[engine] for engine in ENGINES)
            cells = [_cell(value, 10) for value in (ours, theirs, floor)]
            print(f"{name:18} {count:>5} {' '.join(cells)}", end=" ")
            print(_cell(theirs and theirs / ours, 13, 1), end=" ")
            print(_cell(floor and ours / floor, 12, 2))


def _cell(value: float | None, width: int, digits: int = 3) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.{digits}f}"


def gates(result: Mapping[str, Any], largest: int) -> list[str]:
    """Print whether the design's gates hold; those of 1,000 at the largest size.

    Returns:
        What fails, each with its figure.
    """
    failed: list[str] = []

    def gate(name: str, text: str, *, holds: bool) -> None:
        print(f"{name} {'holds' if holds else 'FAILS'}: {text}")
        if not holds:
            failed.append(f"{name}: {text}")

    slow = [
        _ratios(name, count, times)
        for name in OPERATIONS
        for count, times in result[name].items()
        if times["ts_mls_ms"] < TS_MLS_RATIO_MIN * times["sabir_ms"]
    ]
    gate("G1", f"5 times faster than ts-mls, but {slow}", holds=not slow)
    signatures = result["leaf_signatures"][largest]["floor_ms"]
    ratio = result["join"][largest]["sabir_ms"] / signatures
    text = f"join {ratio:.2f} x its leaf signatures"
    gate("G2", text, holds=ratio <= JOIN_RATIO_MAX)
    spent = result["process"][largest]["sabir_ms"]
    gate("G3", f"process {spent:.2f} ms", holds=spent <= PROCESS_MS_MAX)
    for name in ("encrypt", "decrypt"):
        times = result[name][largest]
        ratio = times["sabir_ms"] / times["floor_ms"]
        text = f"{name} {ratio:.2f} x its floor"
        gate("G4", text, holds=ratio <= MESSAGE_RATIO_MAX)
    found = footprint(largest)
    text = f"group of {found.group} octets"
    gate("G5", text, holds=found.group <= GROUP_OCTETS_MAX)
    text = f"one message stores {found.message_state} octets"
    gate("G6", text, holds=found.message_state <= MESSAGE_STATE_OCTETS_MAX)
    return failed


def _ratios(name: str, count: int, times: Mapping[str, float | None]) -> str:
    """Say how much faster than ts-mls an operation is, and how much its floor is."""
    ours, theirs, floor = (times[engine] for engine in ENGINES)
    assert ours is not None
    assert theirs is not None
    bound = "" if floor is None else f", its floor {theirs / floor:.1f}"
    return f"{name}({count}) {theirs / ours:.1f}{bound}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--members", default=",".join(map(str, MEMBERS)))
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    members = tuple(int(count) for count in chosen.members.split(","))
    with TsMls() as peer:
        report(f"ts-mls {peer.hello['ts_mls']}, node {peer.hello['node']}")
        result = medians(measure(members, chosen.rounds, peer))
    table(result)
    failed = gates(result, members[-1])
    print(json.dumps({name: result[name] for name in OPERATIONS}))
    if failed:
        sys.exit("gates that fail: " + "; ".join(failed))


if __name__ == "__main__":
    main()
