"""Whatever a struct says, its octets say the same and nothing else does."""

from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from sabir.mimi.codepoints import (
    ConsentOperation,
    KeyMaterialClientCode,
    KeyMaterialUserCode,
    QueryCode,
    SearchType,
    SubmitCode,
    UpdateCode,
)
from sabir.mimi.structs.abuse import AbuseReport, AbusiveMessage, decode_abuse_report
from sabir.mimi.structs.consent import ConsentEntry, decode_consent_entry
from sabir.mimi.structs.fanout import FanoutMessage, read_fanout_messages
from sabir.mimi.structs.group_info import (
    GroupInfoAndTree,
    GroupInfoRequest,
    PendingProposal,
    decode_group_info_and_tree,
    decode_group_info_request,
)
from sabir.mimi.structs.key_material import (
    ClientKeyMaterial,
    KeyMaterialRequest,
    KeyMaterialResponse,
    decode_key_material_request,
    decode_key_material_response,
)
from sabir.mimi.structs.query import (
    IdentifierRequest,
    IdentifierResponse,
    ProfileField,
    QueryElement,
    UserProfile,
    decode_identifier_request,
    decode_identifier_response,
)
from sabir.mimi.structs.submit import (
    Frank,
    SubmitMessageRequest,
    SubmitMessageResponse,
    decode_submit_request,
    decode_submit_response,
)
from sabir.mimi.structs.update import (
    CommitBundle,
    ProposalBundle,
    RemoteTree,
    UpdateRoomResponse,
    decode_handshake_bundle,
    decode_update_response,
)
from sabir.mls.components import AppDataDictionary
from sabir.mls.credentials import BasicCredential
from sabir.mls.extensions import RequiredCapabilities
from sabir.mls.tree_options import RatchetTreeOption
from sabir.wire.tls import opaque
from tests.unit.mimi.structs.examples import (
    CAPABILITIES,
    COMMIT,
    INFO,
    LEAVE,
    PACKAGE,
    PARTIAL,
    SAID,
    TREE,
    UNLIST,
    WELCOME,
    message,
)

SEGMENT: Final = st.text("abcXYZ019-._~!$&'()*+,;=:@", min_size=1, max_size=20)
URI: Final = st.builds("mimi://{}.example/u/{}".format, st.sampled_from("abc"), SEGMENT)
MAYBE_URI: Final = URI | st.just("")
OCTETS: Final = st.binary(max_size=80)
TEXT: Final = st.text(
    st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=40
)
UINT16: Final = st.integers(0, 2**16 - 1)
UINT64: Final = st.integers(0, 2**64 - 1)
UINT16S: Final = st.lists(UINT16, max_size=4).map(tuple)
CREDENTIAL: Final = st.builds(BasicCredential, OCTETS)
DICTIONARY: Final = st.dictionaries(UINT16, OCTETS, max_size=3).map(
    lambda entries: AppDataDictionary(tuple(sorted(entries.items())))
)
FRANK: Final = st.builds(
    Frank, st.binary(min_size=32, max_size=32), UINT16, st.binary(max_size=200)
)
PROPOSALS: Final = st.lists(st.sampled_from([LEAVE, UNLIST]), max_size=3).map(tuple)


def tuples(items: st.SearchStrategy[Any], least: int = 0) -> st.SearchStrategy[Any]:
    return st.lists(items, min_size=least, max_size=3).map(tuple)


def numbers(known: Any) -> st.SearchStrategy[int]:
    """Members of an enumeration, and numbers it does not have."""
    return st.sampled_from(known) | st.integers(200, 255)


@given(
    st.builds(
        KeyMaterialRequest,
        requesting_user=URI,
        target_user=URI,
        room=MAYBE_URI,
        suites=st.lists(UINT16, min_size=1, max_size=4).map(tuple),
        required=st.builds(RequiredCapabilities, UINT16S, UINT16S, UINT16S),
        signature_key=OCTETS,
        credential=CREDENTIAL,
        signature=OCTETS,
    )
)
def test_key_material_requests(value: KeyMaterialRequest) -> None:
    octets = value.encode()
    assert decode_key_material_request(octets) == value
    assert octets == value.signed() + opaque(value.signature)


CLIENTS: Final = st.one_of(
    st.builds(
        ClientKeyMaterial,
        status=st.just(KeyMaterialClientCode.SUCCESS),
        client=URI,
        key_package=st.just(PACKAGE),
    ),
    st.builds(
        ClientKeyMaterial,
        status=st.just(KeyMaterialClientCode.NOTHING_COMPATIBLE),
        client=URI,
        capabilities=st.sampled_from([None, CAPABILITIES]),
    ),
    st.builds(
        ClientKeyMaterial,
        status=st.sampled_from([KeyMaterialClientCode.KEY_MATERIAL_EXHAUSTED, 3, 255]),
        client=URI,
    ),
)


@given(
    st.builds(
        KeyMaterialResponse,
        status=st.sampled_from(
            [
                KeyMaterialUserCode.SUCCESS,
                KeyMaterialUserCode.PARTIAL_SUCCESS,
                KeyMaterialUserCode.NO_COMPATIBLE_MATERIAL,
                8,
                255,
            ]
        ),
        user=URI,
        clients=tuples(CLIENTS),
    )
)
def test_key_material_responses(value: KeyMaterialResponse) -> None:
    assert decode_key_material_response(value.encode()) == value


TREES: Final = st.one_of(
    st.sampled_from([TREE, RatchetTreeOption(None)]),
    st.builds(RemoteTree, OCTETS, OCTETS | st.none()),
)


@given(
    st.builds(
        CommitBundle,
        message=st.just(COMMIT),
        welcome=st.sampled_from([None, WELCOME]),
        group_info=st.sampled_from([INFO, PARTIAL]),
        tree=TREES,
    )
    | st.builds(ProposalBundle, message=st.just(LEAVE), more=PROPOSALS)
)
def test_handshake_bundles(value: CommitBundle | ProposalBundle) -> None:
    assert decode_handshake_bundle(value.encode()) == value


@given(data=st.data())
def test_update_responses(data: st.DataObject) -> None:
    code = data.draw(numbers(UpdateCode))
    tails: dict[int, dict[str, st.SearchStrategy[Any]]] = {
        UpdateCode.SUCCESS: {"accepted_at": UINT64},
        UpdateCode.WRONG_EPOCH: {"current_epoch": UINT64},
        UpdateCode.INVALID_PROPOSAL: {"invalid": tuples(st.binary(max_size=64))},
    }
    tail = {name: data.draw(kind) for name, kind in tails.get(code, {}).items()}
    value = UpdateRoomResponse(code=code, description=data.draw(TEXT), **tail)
    assert decode_update_response(value.encode()) == value


@given(sender=URI)
def test_submit_requests(sender: str) -> None:
    value = SubmitMessageRequest(SAID, sender)
    assert decode_submit_request(value.encode()) == value


@given(
    st.builds(
        SubmitMessageResponse,
        st.just(SubmitCode.ACCEPTED),
        UINT64,
        st.none() | FRANK,
    )
    | st.builds(
        SubmitMessageResponse,
        st.just(SubmitCode.EPOCH_TOO_OLD),
        current_epoch=UINT64,
    )
    | st.builds(SubmitMessageResponse, st.sampled_from([SubmitCode.NOT_ALLOWED, 200]))
)
def test_submit_responses(value: SubmitMessageResponse) -> None:
    assert decode_submit_response(value.encode()) == value


FANNED: Final = st.one_of(
    st.builds(FanoutMessage, UINT64, st.just(SAID), frank=st.none() | FRANK),
    st.builds(FanoutMessage, UINT64, st.sampled_from([COMMIT, LEAVE]), more=PROPOSALS),
    st.builds(FanoutMessage, UINT64, st.just(message(WELCOME)), tree=st.just(TREE)),
)


@given(values=st.lists(FANNED, min_size=1, max_size=5))
def test_fanout_messages(values: list[FanoutMessage]) -> None:
    body = b"".join(value.encode() for value in values)
    read = read_fanout_messages(body)
    assert [each.raw for each in read] == [each.encode() for each in values]
    assert [
        (each.accepted_at, each.message, each.frank, each.tree, each.more)
        for each in read
    ] == [
        (each.accepted_at, each.message, each.frank, each.tree, each.more)
        for each in values
    ]


@given(
    st.builds(
        GroupInfoRequest,
        suite=UINT16,
        signature_key=OCTETS,
        credential=CREDENTIAL,
        public_key=OCTETS,
        join_code=OCTETS,
        signature=OCTETS,
    )
)
def test_group_info_requests(value: GroupInfoRequest) -> None:
    assert decode_group_info_request(value.encode()) == value


@given(
    st.builds(
        GroupInfoAndTree,
        group_info=st.just(INFO),
        tree=st.sampled_from([TREE, RatchetTreeOption(None)]),
        pending=tuples(
            st.builds(PendingProposal, st.sampled_from([LEAVE, UNLIST]), UINT64)
        ),
    )
)
def test_group_info_and_tree(value: GroupInfoAndTree) -> None:
    assert decode_group_info_and_tree(value.encode()) == value


@given(data=st.data())
def test_consent_entries(data: st.DataObject) -> None:
    operation = data.draw(numbers(ConsentOperation))
    granted = operation == ConsentOperation.GRANT
    packages = data.draw(tuples(st.just(PACKAGE))) if granted else ()
    value = ConsentEntry(
        operation=operation,
        requester=data.draw(URI),
        target=data.draw(URI),
        room=data.draw(MAYBE_URI),
        key_packages=packages,
        extensions=data.draw(DICTIONARY),
    )
    assert decode_consent_entry(value.encode()) == value


NAMED: Final = st.sampled_from([SearchType.OIDC_STD_CLAIM, SearchType.VCARD_FIELD])
PLAIN: Final = st.sampled_from(list(SearchType)[:6]) | st.integers(200, 255)
ELEMENTS: Final = st.builds(
    QueryElement, search_type=NAMED, name=TEXT, value=TEXT
) | st.builds(QueryElement, search_type=PLAIN, value=TEXT)


@given(
    st.builds(
        IdentifierRequest, elements=tuples(ELEMENTS, least=1), extensions=DICTIONARY
    )
)
def test_identifier_requests(value: IdentifierRequest) -> None:
    assert decode_identifier_request(value.encode()) == value


PROFILES: Final = st.builds(
    UserProfile,
    user=URI,
    fields=tuples(
        st.builds(ProfileField, source=numbers(SearchType), name=TEXT, value=OCTETS)
    ),
)


@given(
    st.builds(
        IdentifierResponse,
        code=numbers(QueryCode),
        users=tuples(URI),
        profiles=tuples(PROFILES),
        extensions=DICTIONARY,
    )
)
def test_identifier_responses(value: IdentifierResponse) -> None:
    assert decode_identifier_response(value.encode()) == value


@given(
    st.builds(
        AbuseReport,
        reporting_user=MAYBE_URI,
        alleged_abuser=URI,
        reason=st.integers(0, 255),
        note=TEXT,
        messages=tuples(
            st.builds(AbusiveMessage, content=OCTETS, frank=FRANK, accepted_at=UINT64)
        ),
        extensions=DICTIONARY,
    )
)
def test_abuse_reports(value: AbuseReport) -> None:
    assert decode_abuse_report(value.encode()) == value
