"""What our caller gave wrongly is `MlsMisuse`, whatever it is, and changes nothing."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from sabir.crypto.secrets import Secret
from sabir.crypto.suites import SUITES
from sabir.mls.client import Identity, MlsClient
from sabir.mls.components import (
    AppDataDictionary,
    ApplicationFraming,
    MediaType,
    component_label,
    encode_components,
    encode_safe_aad,
)
from sabir.mls.credentials import BasicCredential
from sabir.mls.errors import MlsMisuse
from sabir.mls.extensions import Extension, encode_extensions
from sabir.mls.framing import FramedContent, Sender
from sabir.mls.group.external import propose_as_external_sender
from sabir.mls.group.group import MlsGroup, stage_external_join
from sabir.mls.group.process import StagedCommit
from sabir.mls.misuse import SECONDS_END, seconds
from sabir.mls.proposals import (
    AppDataUpdate,
    AppEphemeral,
    PreSharedKey,
    ReInit,
    Remove,
)
from sabir.mls.psk_ids import ApplicationPsk, ResumptionPsk, ResumptionUsage
from sabir.mls.public_group import PublicGroup
from sabir.mls.services import Services
from sabir.testing.mls.clients import Believing, PskTable
from sabir.testing.mls.snapshots import unchanged
from tests.unit.mls.group.world import ENV, Room, client

HUGE = 1 << 64

MADE_OF_ODD_NUMBERS: dict[str, Callable[[], object]] = {
    "Remove(-1)": lambda: Remove(-1),
    "Remove(2**32)": lambda: Remove(1 << 32),
    "ReInit": lambda: ReInit(b"next", 1 << 16),
    "AppDataUpdate": lambda: AppDataUpdate(-1, b""),
    "AppEphemeral": lambda: AppEphemeral(1 << 16, b""),
    "ApplicationPsk": lambda: PreSharedKey(ApplicationPsk(1 << 16, b"", bytes(32))),
    "ResumptionPsk": lambda: ResumptionPsk(
        ResumptionUsage.APPLICATION, b"", HUGE, bytes(32)
    ),
    "FramedContent": lambda: FramedContent(b"", HUGE, Sender.member(0), b"", b""),
    "Sender": lambda: FramedContent(b"", 0, Sender.member(-1), b"", b""),
    "encode_extensions": lambda: encode_extensions([Extension(1 << 16, b"")]),
    "encode_components": lambda: encode_components([-1]),
    "encode_safe_aad": lambda: encode_safe_aad({1 << 16: b""}),
    "AppDataDictionary": lambda: AppDataDictionary(((-1, b""),)).encode(),
    "component_label": lambda: component_label(-1, b""),
    "capabilities": lambda: MlsClient(
        Services(authentication=Believing()), PskTable(), [], extensions=[1 << 16]
    ),
}


@pytest.mark.parametrize("make", MADE_OF_ODD_NUMBERS.values(), ids=MADE_OF_ODD_NUMBERS)
def test_numbers_that_fit_no_field_are_misuse(make: Callable[[], object]) -> None:
    with pytest.raises(MlsMisuse):
        make()


def test_what_is_too_long_for_a_vector_is_misuse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    room = Room.of("ann")
    ann, long = room["ann"], bytes(1 << 15)
    monkeypatch.setattr("sabir.wire.tls.VECTOR_OCTETS_MAX", (1 << 15) - 1)
    for use in (
        lambda: ann.encrypt(room.env, long),
        lambda: ann.encrypt(room.env, b"", aad=long),
        lambda: ann.export(long, b"", 32),
        lambda: ann.safe_sign(1, long, b""),
        lambda: ann.safe_sign(1, b"", long),
        lambda: ann.propose(room.env, AppEphemeral(1, long)),
        lambda: ApplicationFraming(MediaType(b"a/b"), long).encode(),
        lambda: MediaType(long).encode(),
        lambda: BasicCredential(identity=long),
        lambda: Extension(1, long).encode(),
        lambda: MlsGroup.create(room.env, room.clients["ann"], long),
    ):
        with unchanged(ann), pytest.raises(MlsMisuse):
            use()


def test_arguments_of_a_group_that_fit_no_field_are_misuse() -> None:
    room = Room.of("ann", "ben")
    ann = room["ann"]
    for use in (
        lambda: ann.safe_sign(-1, b"", b""),
        lambda: ann.safe_export(-1),
        lambda: ann.group_info(with_tree=True, extensions=(Extension(-1, b""),)),
        lambda: stage_external_join(
            room.env,
            client("cat"),
            ann.group_info(with_tree=True),
            member_of=(),
            resync=-1,
        ),
        lambda: propose_as_external_sender(
            SUITES[1], ann.group_context, -1, Secret(bytes(32)), Remove(1)
        ),
    ):
        with unchanged(ann), pytest.raises(MlsMisuse):
            use()


# ---- clocks


@dataclass
class Odd:
    """A clock that is none, with dice."""

    time: object

    def now(self) -> int:
        return self.time  # type: ignore[return-value]  # what it is for

    def random(self, size: int) -> bytes:
        return ENV.random(size)


ODD = [1_800_000_000.5, 1_800_000_000.0, "now", None, -1, SECONDS_END, 1 << 70]
"""Not whole, not a number, before 1970, in milliseconds, beyond any field."""

clocks = pytest.mark.parametrize("time", ODD, ids=repr)


@clocks
def test_a_clock_that_gives_no_seconds_is_refused(time: object) -> None:
    with pytest.raises(MlsMisuse, match=r"Env\.now\(\)"):
        seconds(Odd(time))


def test_the_end_of_all_times_is_a_time() -> None:
    assert seconds(Odd(0)) == 0
    assert seconds(Odd(SECONDS_END - 1)) == SECONDS_END - 1


@clocks
def test_nothing_is_done_with_such_a_clock(time: object) -> None:
    room = Room.of("ann", "ben")
    ann, ben, odd = room["ann"], room["ben"], Odd(time)
    said = ben.encrypt(room.env, b"hello").message
    commit = ben.commit(room.env).commit
    staged = ann.process(room.env, commit)
    assert isinstance(staged, StagedCommit)
    mine = ann.commit(room.env)
    info = ann.group_info(with_tree=True)
    for use in (
        lambda: ann.encrypt(odd, b"hello"),
        lambda: ann.process(odd, said),
        lambda: ann.merge(odd, staged),
        lambda: ann.merge_pending(odd),
        lambda: ann.expire(odd),
        lambda: ann.propose(odd, Remove(1)),
        lambda: ann.propose_update(odd),
        lambda: ben.commit(odd),
        lambda: MlsGroup.create(odd, client("cat"), b"room"),
        lambda: client("cat").key_package(odd, suite=1),
        lambda: stage_external_join(odd, client("cat"), info, member_of=()),
    ):
        if ben.pending is not None:
            ben.clear_pending()
        with unchanged(ann, ben), pytest.raises(MlsMisuse, match=r"Env\.now\(\)"):
            use()
    assert ann.pending is mine
    ann.process(room.env, said)
    ann.merge(room.env, staged)


@clocks
def test_a_hub_that_judges_lifetimes_needs_a_clock(time: object) -> None:
    room = Room.of("ann", "ben")
    commit = room["ann"].commit(room.env, as_public=True).commit
    services = Services(authentication=Believing(), judge_lifetimes=True)
    hub = PublicGroup(services, room["ann"].public.epoch)
    with unchanged(hub), pytest.raises(MlsMisuse, match=r"Env\.now\(\)"):
        hub.process(Odd(time), commit)


def test_a_lifetime_is_whole_seconds() -> None:
    for odd in (3600.5, "3600"):
        with pytest.raises(MlsMisuse, match="lifetime_s"):
            client("ann").key_package(
                ENV,
                suite=1,
                lifetime_s=odd,  # type: ignore[arg-type]  # what it is for
            )


def test_an_identity_of_a_name_that_is_too_long_is_misuse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sabir.wire.tls.VECTOR_OCTETS_MAX", 1 << 15)
    with pytest.raises(MlsMisuse):
        Identity.generate(
            ENV, SUITES[1], BasicCredential(identity=bytes((1 << 15) + 1))
        )
