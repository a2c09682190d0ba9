"""The rules by name: what goes out, and what the report says."""

from dataclasses import replace
from typing import Final

import pytest

from sabir.clock import Instant
from sabir.content import gfm
from sabir.content.capabilities import Capabilities, Format, Support, TextUnit
from sabir.content.convert import Leg, RenderContext, preview, render
from sabir.content.inline_data import inline_octets, inline_part
from sabir.content.loss import Level, LossReport, Why
from sabir.content.meaning import (
    Attachment,
    Deleted,
    Edited,
    Meaning,
    MediaKind,
    Reacted,
    RoomEvent,
    RoomEventKind,
    Said,
)
from sabir.content.model import ExternalPart, MessageId
from sabir.content.pieces import (
    ChatAvatarPiece,
    ChatNamePiece,
    DeletePiece,
    EditPiece,
    JoinPiece,
    LeavePiece,
    MediaPiece,
    NativeRef,
    Piece,
    ProfilePiece,
    ReactPiece,
    TextPiece,
    TopicPiece,
    UnreactPiece,
)
from sabir.content.plain import to_plain
from sabir.content.rich import Mention, Paragraph, Quote, Rich, Text

FULL: Final = Capabilities(
    network="full",
    formatting=dict.fromkeys(Format, Support.FULL),
    reply=Support.FULL,
    thread=Support.FULL,
    edit=Support.FULL,
    delete=Support.FULL,
    reaction=Support.FULL,
    attachment=Support.FULL,
    caption=Support.FULL,
    voice=Support.FULL,
    room_events=True,
    ghosts=True,
)
BARE: Final = Capabilities(network="bare")
NOW: Final = Instant(10_000_000)
HERE: Final = RenderContext(author_name="Ada", now=NOW)
RELAY: Final = replace(HERE, relay=True)
ID: Final = MessageId(b"\x01" + bytes(31))
REF: Final = NativeRef(
    native_id="n1",
    author_name="Bo",
    excerpt="the words before",
    sent_at=Instant(NOW - 60_000),
    is_last=True,
)
REF2: Final = replace(REF, native_id="n2")
REF3: Final = replace(REF, native_id="n3")
PHOTO: Final = Attachment(
    part=ExternalPart(
        content_type="image/png", url="spool:1", size=3_000, filename="sea.png"
    ),
    kind=MediaKind.IMAGE,
)


def said(text: str, **fields: object) -> Said:
    return replace(Said(text=gfm.read(text)), **fields)  # type: ignore[arg-type]  # tests


def rules(report: LossReport) -> list[str]:
    return [item.rule for item in report.items]


def texts(pieces: tuple[Piece, ...]) -> list[str]:
    return [to_plain(p.text) for p in pieces if isinstance(p, TextPiece | EditPiece)]


def one(
    meaning: Meaning,
    capabilities: Capabilities = BARE,
    context: RenderContext = HERE,
) -> tuple[str, LossReport]:
    pieces, report = render(meaning, capabilities, context)
    assert len(pieces) == 1
    return texts(pieces)[0], report


# ---- text


def test_txt_1_a_short_text_goes_as_it_is() -> None:
    pieces, report = render(said("hello"), BARE, HERE)
    assert pieces == (TextPiece(text=Rich.plain("hello")),)
    assert report == LossReport()


def test_the_fast_way_and_the_long_way_are_the_same() -> None:
    short = Capabilities(network="x", text_max=5)
    assert render(said("hello"), short, HERE) == render(said("hello"), BARE, HERE)


def test_txt_3_a_long_text_is_split_with_counters() -> None:
    short = Capabilities(network="x", text_max=24)
    pieces, report = render(said("one two three four five six"), short, HERE)
    assert texts(pieces) == ["(1/2) one two three four", "(2/2) five six"]
    assert rules(report) == ["TXT-3"]
    assert report.level is Level.FORM


def test_txt_3_only_the_first_part_answers() -> None:
    short = replace(FULL, text_max=24)
    message = said("one two three four five six", in_reply_to=ID)
    pieces, _ = render(message, short, replace(HERE, target=REF))
    assert [p.reply_to for p in pieces if isinstance(p, TextPiece)] == [REF, None]


def test_txt_4_more_parts_go_as_a_file() -> None:
    short = replace(FULL, text_max=600)
    long = "word " * 3_000
    pieces, report = render(said(long), short, HERE)
    opening, file = pieces
    assert isinstance(opening, TextPiece)
    assert isinstance(file, MediaPiece)
    assert to_plain(opening.text) == long[:500] + "… (full text attached)"
    assert file.inline_octets == long.strip().encode()
    assert inline_octets(file.attachment.part) == file.inline_octets
    assert file.attachment.part.filename == "message.txt"
    assert file.attachment.part.size == len(file.inline_octets or b"")
    assert rules(report) == ["TXT-4"]
    assert report.level is Level.FUNCTION


def test_txt_4_the_opening_fits_a_small_limit_too() -> None:
    short = replace(FULL, text_max=60)
    pieces, _ = render(said("word " * 3_000), short, HERE)
    assert len(texts(pieces)[0]) <= 60


def test_txt_4_a_network_may_want_a_file_at_once() -> None:
    short = replace(FULL, text_max=60, text_parts_max=1)
    _, report = render(said("word " * 15), short, HERE)
    assert rules(report) == ["TXT-4"]


@pytest.mark.parametrize(
    "capabilities",
    [
        Capabilities(network="x", text_max=30),
        replace(FULL, text_max=30, attachment_octets_max=100),
    ],
)
def test_txt_5_without_files_it_is_withheld(capabilities: Capabilities) -> None:
    pieces, report = render(said("word " * 300), capabilities, HERE)
    assert pieces == ()
    assert rules(report) == ["TXT-5"]
    assert report.level is Level.WITHHELD
    assert report.sentences() == (
        "The text is not sent: it is too long (1499 characters).",
    )


def test_txt_7_control_characters_go() -> None:
    text, report = one(Said(text=Rich.plain("a\x00b\u202ec")))
    assert text == "abc"
    assert rules(report) == ["TXT-7"]


def test_txt_7_balanced_marks_stay() -> None:
    text, report = one(Said(text=Rich.plain("a\u2067b\u2069c\u202bd\u202c")))
    assert text == "a\u2067b\u2069c\u202bd\u202c"
    assert report == LossReport()


def test_txt_8_a_relay_puts_the_name_in_front() -> None:
    text, report = one(said("hello"), FULL, RELAY)
    assert text == "Ada: hello"
    assert rules(report) == ["TXT-8"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("A\nd\u202ea ", "A da"),
        ("עדה", "\u2068עדה\u2069"),
        ("x" * 100, "x" * 80),
    ],
)
def test_txt_8_a_name_cannot_disturb_the_text(name: str, shown: str) -> None:
    text, _ = one(said("hello"), FULL, replace(RELAY, author_name=name))
    assert text == f"{shown}: hello"


def test_an_action_keeps_its_form() -> None:
    pieces, report = render(said("waves", emote=True), FULL, HERE)
    assert pieces == (TextPiece(text=Rich.plain("waves"), emote=True),)
    assert report == LossReport()
    text, _ = one(said("waves", emote=True), FULL, RELAY)
    assert text == "* Ada waves"


def test_formatted_text_may_have_its_own_limit() -> None:
    small = replace(FULL, text_max=100, formatted_text_max=20)
    assert len(render(said("plain words that are more than that"), small, HERE)[0]) == 1
    assert len(render(said("**bold** words that are more"), small, HERE)[0]) == 2


def test_nothing_to_say_says_nothing() -> None:
    assert render(Said(), FULL, HERE) == ((), LossReport())


# ---- formatting


def test_fmt_1_what_is_native_stays() -> None:
    everything = said("# T\n\n**b** _i_ ~~s~~ `c` ++u++ ||x|| [l](https://x/)\n\n> q")
    pieces, report = render(everything, FULL, HERE)
    assert pieces == (TextPiece(text=everything.text or Rich(())),)
    assert report == LossReport()


@pytest.mark.parametrize(
    ("rule", "text", "shown", "level"),
    [
        ("FMT-2", "**a** _b_ ++c++", "a b c", Level.FORM),
        ("FMT-3", "~~a~~", "~a~", Level.FORM),
        ("FMT-4", "`a*b`", "a*b", Level.FORM),
        ("FMT-4", "```\n  a\n```", "  a", Level.FORM),
        ("FMT-5", "> a\n>\n> b", "> a\n>\n> b", Level.FORM),
        ("FMT-5", "- a\n- b\n  - c", "- a\n- b\n  - c", Level.FORM),
        ("FMT-5", "3. a\n4. b", "3. a\n4. b", Level.FORM),
        ("FMT-5", "## a", "a", Level.FORM),
        ("FMT-5", "> - a\n> - b", "> - a\n> - b", Level.FORM),
        ("FMT-6", "[a](https://x/)", "a (https://x/)", Level.FORM),
        ("FMT-7", "a ||b||", "a Spoiler below" + "\n" * 21 + "b", Level.FUNCTION),
        (
            "FMT-7",
            "||`spoiler: film` b||",
            "Spoiler below (film)" + "\n" * 21 + "b",
            Level.FUNCTION,
        ),
        ("FMT-8", "| a | b |\n|-|-|\n| 1 | |", "a: 1; b: ", Level.FUNCTION),
        ("FMT-8", "| a | b |\n|-|-|", "a, b", Level.FUNCTION),
    ],
)
def test_fmt_without_the_form(rule: str, text: str, shown: str, level: Level) -> None:
    found, report = one(said(text))
    assert found == shown
    assert set(rules(report)) == {rule}
    assert report.level is level
    assert report.restorable


def test_fmt_6_an_address_that_is_its_text_stands_once() -> None:
    text, report = one(said("<https://x.example/a>"))
    assert text == "https://x.example/a"
    assert report == LossReport()


def test_fmt_6_a_dangerous_target_is_only_text_everywhere() -> None:
    text, report = one(said("[click](javascript:alert)"), FULL)
    assert text == "click (javascript:alert)"
    assert rules(report) == ["FMT-6"]


def test_mc_099_fmt_6_a_text_that_reads_like_another_address_hides_no_target() -> None:
    text, report = one(said("[https://bank.example](https://evil.example)"), FULL)
    assert text == "https://bank.example (https://evil.example)"
    assert rules(report) == ["FMT-6"]


def test_fmt_8_with_code_a_small_table_is_drawn() -> None:
    code = replace(BARE, formatting={Format.CODE_BLOCK: Support.FULL})
    text, report = one(said("| a | b |\n|-|-|\n| 日本 | 2 |\n| x | e\u0301 |"), code)
    assert text == "a    | b\n-----+--\n日本 | 2\nx    | e\u0301"
    assert rules(report) == ["FMT-8"]


def test_fmt_8_a_wide_table_is_lines_even_with_code() -> None:
    code = replace(BARE, formatting={Format.CODE_BLOCK: Support.FULL})
    wide = "w" * 60
    text, _ = one(said(f"| a | b |\n|-|-|\n| {wide} | 2 |"), code)
    assert text == f"a: {wide}; b: 2"


def test_fmt_8_a_long_table_is_a_file() -> None:
    rows = "\n".join(f'| {n} | "q", w |' for n in range(21))
    table = f"| n | x |\n|-|-|\n{rows}"
    files = replace(BARE, attachment=Support.FULL)
    pieces, report = render(said(f"{table}\n\nand\n\n{table}"), files, HERE)
    text, first, second = pieces
    assert isinstance(text, TextPiece)
    assert isinstance(first, MediaPiece)
    assert isinstance(second, MediaPiece)
    assert to_plain(text.text).startswith("(table attached: table.csv)")
    assert first.attachment.part.filename == "table.csv"
    assert second.attachment.part.filename == "table-2.csv"
    assert (first.inline_octets or b"").startswith(b'n,x\r\n0,"""q"", w"\r\n1,')
    assert set(rules(report)) == {"FMT-8"}


def test_a_native_frame_holds_what_is_not_native() -> None:
    quotes = replace(BARE, formatting={Format.QUOTE: Support.FULL})
    pieces, report = render(said("> **a**"), quotes, HERE)
    assert pieces == (TextPiece(text=Rich((Quote((Paragraph((Text("a"),)),)),))),)
    assert rules(report) == ["FMT-2"]


def test_equal_losses_are_counted() -> None:
    _, report = one(said("**a** b **c**"))
    assert [(item.rule, item.times) for item in report.items] == [("FMT-2", 2)]
    assert report.phrases() == ("bold shown as plain text (2 times)",)


def test_men_1_a_person_of_the_chat_is_mentioned() -> None:
    context = replace(HERE, mentions={"mimi://x/u/bo": "@bo:x"})
    pieces, report = render(said("[@Bo](mimi://x/u/bo) hi"), FULL, context)
    expected = Rich((Paragraph((Mention("Bo", "@bo:x"), Text(" hi"))),))
    assert pieces == (TextPiece(text=expected),)
    assert report == LossReport()


@pytest.mark.parametrize(
    ("capabilities", "mentions", "why"),
    [
        (FULL, {}, Why.TARGET_NOT_THERE),
        (BARE, {"mimi://x/u/bo": "bo"}, Why.FEATURE_MISSING),
    ],
)
def test_mc_099_men_2_others_are_only_named(
    capabilities: Capabilities, mentions: dict[str, str], why: Why
) -> None:
    message = said("[@Bo](mimi://x/u/bo) hi")
    text, report = one(message, capabilities, replace(HERE, mentions=mentions))
    assert text == "@Bo hi"
    assert rules(report) == ["MEN-2"]
    assert report.items[0].why is why


# ---- answers and threads


def test_rpl_1_an_answer_answers() -> None:
    pieces, report = render(
        said("yes", in_reply_to=ID), FULL, replace(HERE, target=REF)
    )
    assert pieces == (TextPiece(text=Rich.plain("yes"), reply_to=REF),)
    assert report == LossReport()


def test_rpl_2_an_absent_message_is_quoted() -> None:
    context = replace(HERE, original_author="Bo", original_excerpt="long words " * 20)
    text, report = one(said("yes", in_reply_to=ID), BARE, context)
    assert text == f"> Bo: {('long words ' * 20)[:80]}…\nyes"
    assert rules(report) == ["RPL-2"]
    assert report.items[0].why is Why.TARGET_NOT_THERE


def test_rpl_2_where_quotes_are_native_it_is_one() -> None:
    context = replace(HERE, original_author="Bo", original_excerpt="words")
    pieces, _ = render(said("yes", in_reply_to=ID), FULL, context)
    quote = Quote((Paragraph((Text("Bo: words"),)),))
    assert pieces == (TextPiece(text=Rich((quote, Paragraph((Text("yes"),))))),)


def test_rpl_2_nothing_known_is_said_in_the_report() -> None:
    text, report = one(said("yes", in_reply_to=ID), FULL)
    assert text == "yes"
    assert rules(report) == ["RPL-2"]
    assert report.items[0].after == "sent without it"


def test_rpl_3_without_answers_the_message_is_quoted() -> None:
    text, report = one(said("yes", in_reply_to=ID), BARE, replace(HERE, target=REF))
    assert text == "> Bo: the words before\nyes"
    assert rules(report) == ["RPL-3"]


def test_rpl_3_a_quoted_action_names_its_person() -> None:
    message = said("nods", in_reply_to=ID, emote=True)
    pieces, _ = render(message, BARE, replace(HERE, target=REF))
    assert pieces == (TextPiece(text=Rich.plain("> Bo: the words before\n* Ada nods")),)


def test_thr_1_a_thread_is_a_thread() -> None:
    message, context = said("x", topic=b"t"), replace(HERE, thread=REF)
    pieces, report = render(message, FULL, context)
    assert pieces == (TextPiece(text=Rich.plain("x"), thread=REF),)
    assert report == LossReport()
    partial = replace(FULL, thread=Support.PARTIAL)
    pieces, report = render(message, partial, context)
    assert pieces == (TextPiece(text=Rich.plain("x"), thread=REF),)
    assert rules(report) == ["THR-1"]


def test_thr_2_without_threads_it_answers_the_first_message() -> None:
    flat = replace(FULL, thread=Support.FALLBACK)
    message = said("x", topic=b"t")
    pieces, report = render(message, flat, replace(HERE, thread=REF))
    assert pieces == (TextPiece(text=Rich.plain("x"), reply_to=REF),)
    assert rules(report) == ["THR-2"]
    message = replace(message, in_reply_to=ID)
    pieces, report = render(message, flat, replace(HERE, thread=REF, target=REF2))
    assert pieces == (TextPiece(text=Rich.plain("x"), reply_to=REF2),)
    assert rules(report) == ["THR-2"]


def test_thr_2_an_absent_thread_is_reported() -> None:
    _, report = one(said("x", topic=b"t"), FULL)
    assert rules(report) == ["THR-2"]
    assert report.items[0].why is Why.TARGET_NOT_THERE


# ---- edits

EDIT: Final = Edited(target=ID, text=Rich.plain("new"))
TARGET: Final = replace(HERE, target=REF)


def test_edt_1_an_edit_is_an_edit() -> None:
    pieces, report = render(EDIT, FULL, TARGET)
    assert pieces == (EditPiece(target=REF, text=Rich.plain("new")),)
    assert report == LossReport()


def test_edt_1_a_relay_keeps_the_name() -> None:
    text, _ = one(EDIT, FULL, replace(TARGET, relay=True))
    assert text == "Ada: new"


@pytest.mark.parametrize(
    ("age_ms", "native"),
    [(869_000, True), (870_000, True), (871_000, False), (901_000, False)],
)
def test_edt_2_a_window_closes_thirty_seconds_early(age_ms: int, native: bool) -> None:
    ref = replace(REF, sent_at=Instant(NOW - age_ms))
    window = replace(FULL, edit_window_s=900)
    pieces, report = render(EDIT, window, replace(HERE, target=ref))
    if native:
        assert pieces == (EditPiece(target=ref, text=Rich.plain("new")),)
    else:
        correction = TextPiece(text=Rich.plain("Correction: new"), reply_to=ref)
        assert pieces == (correction,)
        assert rules(report) == ["EDT-2"]
        assert report.items[0].why is Why.WINDOW_PASSED


def test_edt_2_an_absent_message_is_corrected_with_a_quote() -> None:
    context = replace(HERE, original_author="Bo", original_excerpt="old")
    pieces, report = render(EDIT, BARE, context)
    assert texts(pieces) == ["Correction: new"]
    assert report.items[0].why is Why.TARGET_NOT_THERE


def test_edt_3_a_correction_is_edited_or_corrected_again() -> None:
    window = replace(FULL, edit_window_s=900)
    old = replace(REF, sent_at=Instant(0))
    context = replace(HERE, target=old, correction=REF2)
    pieces, report = render(EDIT, window, context)
    assert pieces == (EditPiece(target=REF2, text=Rich.plain("Correction: new")),)
    assert rules(report) == ["EDT-3"]
    late = replace(context, correction=replace(REF2, sent_at=Instant(0)))
    pieces, report = render(EDIT, window, late)
    assert pieces == (
        TextPiece(text=Rich.plain("Correction: new"), reply_to=late.correction),
    )
    assert rules(report) == ["EDT-3"]


def test_edt_4_without_edits_it_is_corrected() -> None:
    text, report = one(EDIT, BARE, TARGET)
    assert text == "> Bo: the words before\nCorrection: new"
    assert rules(report) == ["EDT-4", "RPL-3"]


def test_edt_5_a_refused_edit_is_a_correction() -> None:
    text, report = one(EDIT, FULL, replace(TARGET, edit_refused=True))
    assert text == "Correction: new"
    assert rules(report) == ["EDT-5"]


def test_edt_6_only_the_last_message_can_change() -> None:
    last = replace(FULL, edit_last_only=True)
    assert render(EDIT, last, TARGET) == render(EDIT, FULL, TARGET)
    not_last = replace(HERE, target=replace(REF, is_last=False))
    text, report = one(EDIT, last, not_last)
    assert text == "Correction: new"
    assert rules(report) == ["EDT-6"]


def test_edt_7_a_changed_file_is_sent_again() -> None:
    other = replace(PHOTO, part=replace(PHOTO.part, url="spool:2"))
    context = replace(TARGET, previous=Said(attachments=(PHOTO,)))
    pieces, report = render(Edited(target=ID, attachments=(other,)), FULL, context)
    assert isinstance(pieces[0], MediaPiece)
    assert pieces[0].attachment == other
    assert pieces[0].reply_to == REF
    assert rules(report) == ["EDT-7"]


def test_edt_7_a_changed_caption_is_a_correction() -> None:
    context = replace(TARGET, previous=said("old", attachments=(PHOTO,)))
    edited = Edited(target=ID, text=Rich.plain("new"), attachments=(PHOTO,))
    _, report = render(edited, FULL, context)
    assert rules(report) == ["EDT-7"]
    text_only = Edited(target=ID, text=Rich.plain("new"))
    _, report = render(text_only, FULL, context)
    assert rules(report) == ["EDT-7"]


def test_a_caption_of_its_own_is_edited() -> None:
    no_captions = replace(FULL, caption=Support.FALLBACK)
    context = replace(
        TARGET,
        target_parts=(REF, REF2),
        previous=said("old", attachments=(PHOTO,)),
    )
    edited = Edited(target=ID, text=Rich.plain("new"), attachments=(PHOTO,))
    pieces, report = render(edited, no_captions, context)
    assert pieces == (EditPiece(target=REF2, text=Rich.plain("new")),)
    assert rules(report) == ["ME-6"]


SHORT: Final = replace(FULL, text_max=24)
LONG: Final = "one two three four five six"


def split_edit(
    text: str,
    parts: tuple[NativeRef, ...] = (REF, REF2),
    capabilities: Capabilities = SHORT,
    previous: str = LONG,
) -> tuple[tuple[Piece, ...], LossReport]:
    context = replace(HERE, target=REF, target_parts=parts, previous=said(previous))
    return render(Edited(target=ID, text=gfm.read(text)), capabilities, context)


def test_only_changed_parts_of_a_split_message_are_edited() -> None:
    pieces, _ = split_edit("one two three four FIVE six")
    assert pieces == (EditPiece(target=REF2, text=Rich.plain("(2/2) FIVE six")),)


def test_surplus_parts_are_deleted() -> None:
    pieces, _ = split_edit("one")
    assert pieces == (
        EditPiece(target=REF, text=Rich.plain("one")),
        DeletePiece(target=REF2),
    )


def test_surplus_parts_that_cannot_go_make_it_a_correction() -> None:
    pieces, report = split_edit("one", capabilities=replace(SHORT, delete=Support(0)))
    assert texts(pieces) == ["Correction: one"]
    assert rules(report) == ["EDT-2"]


def test_missing_parts_are_appended_as_answers_to_the_last() -> None:
    pieces, _ = split_edit(LONG, parts=(REF,), previous="one")
    assert pieces == (
        EditPiece(target=REF, text=Rich.plain("(1/2) one two three four")),
        TextPiece(text=Rich.plain("(2/2) five six"), reply_to=REF),
    )


def test_unknown_earlier_parts_are_all_edited() -> None:
    pieces, _ = split_edit(LONG, parts=(REF, REF2), previous="one")
    assert [type(p) for p in pieces] == [EditPiece, EditPiece]


def test_an_edit_that_changes_nothing_here_sends_nothing() -> None:
    assert split_edit(LONG)[0] == ()


def test_an_edit_of_an_answer_keeps_what_stands_in_front() -> None:
    previous = said("old", in_reply_to=ID)
    context = replace(
        HERE,
        target=REF2,
        previous=previous,
        reply_target=REF,
    )
    no_replies = replace(FULL, reply=Support.FALLBACK)
    text, _ = one(EDIT, no_replies, context)
    assert text == "> Bo: the words before\n\nnew"


# ---- deletions

DELETE: Final = Deleted(target=ID)


def test_del_1_all_parts_are_deleted() -> None:
    context = replace(TARGET, target_parts=(REF, REF2))
    pieces, report = render(DELETE, FULL, context)
    assert pieces == (DeletePiece(target=REF), DeletePiece(target=REF2))
    assert report == LossReport()


@pytest.mark.parametrize(
    ("window_s", "words"),
    [
        (172_800, "older than 2 days"),
        (7_200, "older than 2 hours"),
        (120, "older than 2 minutes"),
        (50, "older than 50 seconds"),
    ],
)
def test_del_2_late_the_author_is_told(window_s: int, words: str) -> None:
    capabilities = replace(FULL, delete_window_s=window_s)
    now = NOW + window_s * 1_000
    context = replace(TARGET, now=Instant(now))
    pieces, report = render(DELETE, capabilities, context)
    assert pieces == ()
    assert rules(report) == ["DEL-2"]
    assert report.sentences() == (f"Deleted here, still visible there ({words}).",)


@pytest.mark.parametrize(("age_s", "count"), [(89, 1), (91, 0), (121, 0)])
def test_del_2_a_window_closes_thirty_seconds_early(age_s: int, count: int) -> None:
    ref = replace(REF, sent_at=Instant(NOW - age_s * 1_000))
    capabilities = replace(FULL, delete_window_s=120)
    pieces, _ = render(DELETE, capabilities, replace(HERE, target=ref))
    assert len(pieces) == count


def test_del_2_what_was_never_there_needs_nothing() -> None:
    pieces, report = render(DELETE, FULL, HERE)
    assert pieces == ()
    assert report.level is Level.FORM


def test_del_3_where_apps_are_asked_the_report_says_so() -> None:
    asked = replace(FULL, delete_is_request=True)
    pieces, report = render(DELETE, asked, TARGET)
    assert pieces == (DeletePiece(target=REF),)
    assert rules(report) == ["DEL-3"]
    assert report.level is Level.FUNCTION


def test_del_4_without_deletion_the_author_is_told() -> None:
    pieces, report = render(DELETE, BARE, TARGET)
    assert pieces == ()
    assert rules(report) == ["DEL-4"]
    assert report.level is Level.MEANING


# ---- reactions

LIKE: Final = Reacted(target=ID, emoji="👍")


def test_rxn_1_a_reaction_is_a_reaction() -> None:
    context = replace(TARGET, emoji_before=("❤️",))
    pieces, report = render(LIKE, FULL, context)
    assert pieces == (ReactPiece(target=REF, emoji="👍", all_emoji=("❤️", "👍")),)
    assert report == LossReport()


def test_rxn_2_only_the_latest_are_shown() -> None:
    context = replace(TARGET, emoji_before=("❤️",))
    single = replace(FULL, reactions_per_person=1)
    pieces, report = render(LIKE, single, context)
    assert pieces == (ReactPiece(target=REF, emoji="👍", all_emoji=("👍",)),)
    assert rules(report) == ["RXN-2"]


def test_rxn_2_removing_the_shown_one_brings_the_next_back() -> None:
    single = replace(FULL, reactions_per_person=1)
    context = replace(
        TARGET, emoji_before=("❤️", "👍"), reaction_emoji="👍", reaction=REF2
    )
    pieces, report = render(DELETE, single, context)
    assert pieces == (
        UnreactPiece(target=REF, emoji="👍", reaction=REF2, all_emoji=("❤️",)),
        ReactPiece(target=REF, emoji="❤️", all_emoji=("❤️",)),
    )
    assert report == LossReport()
    pieces, report = render(DELETE, single, replace(context, reaction_emoji="❤️"))
    assert pieces == ()
    assert report == LossReport()


def test_rxn_6_without_reactions_it_is_an_answer() -> None:
    answers = replace(BARE, reply=Support.FULL)
    pieces, report = render(LIKE, answers, TARGET)
    assert pieces == (TextPiece(text=Rich.plain("reacted 👍"), reply_to=REF),)
    assert rules(report) == ["RXN-6"]
    assert report.phrases() == ("reaction sent as text",)


def test_rxn_6_without_answers_it_names_the_message() -> None:
    ref = replace(REF, excerpt="w" * 50)
    text, _ = one(LIKE, BARE, replace(RELAY, target=ref))
    assert text == f'Ada reacted 👍 to "{"w" * 40}…"'


def test_rxn_6_an_absent_message_is_named_if_known() -> None:
    context = replace(HERE, original_excerpt="words")
    text, _ = one(LIKE, FULL, context)
    assert text == 'reacted 👍 to "words"'


def test_rxn_6_a_reaction_to_nothing_is_withheld() -> None:
    pieces, report = render(LIKE, FULL, HERE)
    assert pieces == ()
    assert report.level is Level.WITHHELD
    assert report.sentences() == ("Reaction not sent: its message is not there.",)


def test_rxn_6_a_message_without_words_is_only_answered_to() -> None:
    text, _ = one(LIKE, BARE, replace(HERE, target=replace(REF, excerpt="")))
    assert text == "reacted 👍"


def test_rxn_7_one_account_reacts_for_everybody() -> None:
    _, report = render(LIKE, FULL, replace(TARGET, relay=True))
    assert rules(report) == ["RXN-7"]


def test_rxn_9_a_removal_removes() -> None:
    context = replace(TARGET, emoji_before=("👍",), reaction_emoji="👍")
    pieces, report = render(DELETE, FULL, context)
    assert pieces == (UnreactPiece(target=REF, emoji="👍", all_emoji=()),)
    assert report == LossReport()


@pytest.mark.parametrize(
    ("capabilities", "reaction", "count", "after"),
    [
        (replace(FULL, reaction=Support.FALLBACK), REF2, 1, "deleted"),
        (BARE, REF2, 0, "stays"),
        (BARE, None, 0, "was never sent"),
    ],
)
def test_rxn_9_a_text_is_deleted_if_it_can_be(
    capabilities: Capabilities, reaction: NativeRef | None, count: int, after: str
) -> None:
    context = replace(TARGET, reaction_emoji="👍", reaction=reaction)
    pieces, report = render(DELETE, capabilities, context)
    assert len(pieces) == count
    assert rules(report) == ["RXN-9"]
    assert report.items[0].after == after
    assert report.level is Level.FORM


# ---- files


def test_me_1_a_file_goes_with_its_caption() -> None:
    pieces, report = render(said("look", attachments=(PHOTO,)), FULL, HERE)
    assert pieces == (MediaPiece(attachment=PHOTO, caption=Rich.plain("look")),)
    assert report == LossReport()


@pytest.mark.parametrize(("limit", "goes"), [(2_999, False), (3_000, True)])
def test_me_10_a_file_over_the_limit_is_named_instead(limit: int, goes: bool) -> None:
    small = replace(FULL, attachment_octets_max=limit)
    pieces, report = render(Said(attachments=(PHOTO,)), small, HERE)
    if goes:
        assert pieces == (MediaPiece(attachment=PHOTO),)
        return
    reason = "2.9 KiB is more than the 2.9 KiB allowed there"
    assert texts(pieces) == [f"[not sent here: sea.png ({reason})]"]
    assert rules(report) == ["ME-10"]
    assert report.level is Level.WITHHELD
    assert report.items[0].why is Why.SIZE_LIMIT
    assert report.sentences() == (f"The file is not sent: {reason}.",)


@pytest.mark.parametrize(
    ("octets", "shown"),
    [(1 << 30, "1 GiB"), (3 << 19, "1.5 MiB"), (2_000, "2 KiB"), (900, "900 octets")],
)
def test_sizes_are_read_by_people(octets: int, shown: str) -> None:
    part = replace(PHOTO.part, size=octets)
    tiny = replace(FULL, attachment_octets_max=1)
    pieces, _ = render(Said(attachments=(replace(PHOTO, part=part),)), tiny, HERE)
    assert f"({shown} is more than the 1 octets allowed there)" in texts(pieces)[0]


def test_an_encrypted_file_is_measured_without_its_tag() -> None:
    part = replace(PHOTO.part, size=3_016, enc_alg=1)
    limit = replace(FULL, attachment_octets_max=3_000)
    _, report = render(Said(attachments=(replace(PHOTO, part=part),)), limit, HERE)
    assert report == LossReport()


def test_me_10_without_files_every_file_is_named() -> None:
    nameless = replace(PHOTO, part=replace(PHOTO.part, filename=""))
    pieces, report = render(said("look", attachments=(PHOTO, nameless)), BARE, HERE)
    reason = "this chat takes no files"
    assert texts(pieces)[0].split("\n\n") == [
        "look",
        f"[not sent here: sea.png ({reason})]",
        f"[not sent here: image ({reason})]",
    ]
    assert [(i.rule, i.times) for i in report.items] == [("ME-10", 2)]


def test_me_6_without_captions_the_text_follows() -> None:
    files = replace(FULL, caption=Support.FALLBACK)
    message = said("look", attachments=(PHOTO,), in_reply_to=ID)
    pieces, report = render(message, files, TARGET)
    assert pieces == (
        MediaPiece(attachment=PHOTO, reply_to=REF),
        TextPiece(text=Rich.plain("look")),
    )
    assert rules(report) == ["ME-6"]


def test_me_6_a_caption_that_is_too_long_follows_in_parts() -> None:
    pieces, report = render(said(LONG, attachments=(PHOTO,)), SHORT, HERE)
    assert [type(p) for p in pieces] == [MediaPiece, TextPiece, TextPiece]
    assert rules(report) == ["TXT-3", "ME-6"]


def test_me_6_an_action_is_no_caption() -> None:
    pieces, _ = render(said("waves", emote=True, attachments=(PHOTO,)), FULL, HERE)
    assert pieces[1] == TextPiece(text=Rich.plain("waves"), emote=True)


def test_me_7_several_files_go_one_by_one() -> None:
    pieces, report = render(said("two", attachments=(PHOTO, PHOTO)), FULL, HERE)
    assert pieces == (
        MediaPiece(attachment=PHOTO, caption=Rich.plain("two")),
        MediaPiece(attachment=PHOTO),
    )
    assert rules(report) == ["ME-7"]


def test_a_relayed_file_says_whose_it_is() -> None:
    pieces, _ = render(Said(attachments=(PHOTO,)), FULL, RELAY)
    assert pieces == (MediaPiece(attachment=PHOTO, caption=Rich.plain("Ada:")),)
    no_captions = replace(FULL, caption=Support.FALLBACK)
    pieces, report = render(Said(attachments=(PHOTO,)), no_captions, RELAY)
    assert pieces == (
        TextPiece(text=Rich.plain("Ada:")),
        MediaPiece(attachment=PHOTO),
    )
    assert rules(report) == ["TXT-8"]


def test_a_file_that_came_inside_a_message_goes_out_from_there() -> None:
    inline = Attachment(part=inline_part(b"\xdc", content_type="x/y"))
    pieces, report = render(Said(attachments=(inline,)), FULL, HERE)
    assert pieces == (MediaPiece(attachment=inline, inline_octets=b"\xdc"),)
    assert report == LossReport()


VOICE: Final = Attachment(
    part=ExternalPart(content_type="audio/ogg; codecs=opus", url="spool:3"),
    kind=MediaKind.VOICE,
    duration_ms=900,
)


def test_voi_1_a_voice_message_stays_one() -> None:
    pieces, report = render(Said(attachments=(VOICE,)), FULL, HERE)
    assert pieces == (MediaPiece(attachment=VOICE),)
    assert report == LossReport()


@pytest.mark.parametrize(
    ("sent_at", "content_type", "name"),
    [
        (
            Instant(1_700_000_000_000),
            "audio/ogg; codecs=opus",
            "voice-20231114-221320.ogg",
        ),
        (None, "audio/x-caf", "voice.bin"),
    ],
)
def test_voi_3_without_a_mark_it_is_an_audio_file(
    sent_at: Instant | None, content_type: str, name: str
) -> None:
    voice = replace(VOICE, part=replace(VOICE.part, content_type=content_type))
    files = replace(FULL, voice=Support.PARTIAL)
    context = replace(HERE, sent_at=sent_at)
    pieces, report = render(Said(attachments=(voice,)), files, context)
    (piece,) = pieces
    assert isinstance(piece, MediaPiece)
    assert piece.attachment.kind is MediaKind.AUDIO
    assert piece.attachment.part.filename == name
    assert rules(report) == ["VOI-3"]


# ---- events


def event(kind: RoomEventKind, value: str = "", picture: bool = False) -> RoomEvent:
    return RoomEvent(kind=kind, value=value, attachment=PHOTO if picture else None)


@pytest.mark.parametrize(
    ("happened", "piece"),
    [
        (event(RoomEventKind.JOINED), JoinPiece()),
        (event(RoomEventKind.LEFT, "bye"), LeavePiece(reason="bye")),
        (event(RoomEventKind.REMOVED, "spam"), LeavePiece(reason="spam")),
        (event(RoomEventKind.PROFILE, "Eve"), ProfilePiece(name="Eve")),
        (
            event(RoomEventKind.PROFILE, picture=True),
            ProfilePiece(name="Ada", avatar=PHOTO),
        ),
        (event(RoomEventKind.NAME, "Tea"), ChatNamePiece(name="Tea")),
        (event(RoomEventKind.TOPIC, "Tea"), TopicPiece(topic="Tea")),
        (event(RoomEventKind.AVATAR, picture=True), ChatAvatarPiece(attachment=PHOTO)),
        (event(RoomEventKind.NOTICE, "Hi."), TextPiece(text=Rich.plain("Hi."))),
    ],
)
def test_grp_5_events_are_native_where_they_can_be(
    happened: RoomEvent, piece: Piece
) -> None:
    assert render(happened, FULL, HERE) == ((piece,), LossReport())


@pytest.mark.parametrize(
    ("happened", "line", "found"),
    [
        (event(RoomEventKind.JOINED), "Ada joined", ["GRP-5"]),
        (event(RoomEventKind.NAME, "Tea"), "Ada named the conversation Tea", ["GRP-5"]),
        (event(RoomEventKind.TOPIC, "Tea"), "Ada set the topic: Tea", ["GRP-2"]),
        (
            event(RoomEventKind.AVATAR, picture=True),
            "Ada changed the picture of the conversation",
            ["GRP-2"],
        ),
        (
            event(RoomEventKind.PROFILE, "Eve", picture=True),
            "Ada is now called Eve",
            ["GRP-5", "GRP-2"],
        ),
    ],
)
def test_grp_5_else_they_are_one_line(
    happened: RoomEvent, line: str, found: list[str]
) -> None:
    text, report = one(happened, BARE)
    assert text == line
    assert rules(report) == found
    assert report.level is Level.FORM


def test_grp_2_a_picture_that_is_taken_away_is_a_line_everywhere() -> None:
    text, report = one(event(RoomEventKind.AVATAR), FULL)
    assert text == "Ada removed the picture of the conversation"
    assert rules(report) == ["GRP-2"]


def test_an_empty_notice_is_nothing() -> None:
    assert render(event(RoomEventKind.NOTICE), BARE, HERE) == ((), LossReport())


@pytest.mark.parametrize(
    ("name", "shown"),
    [("abcd", "abcd"), ("abcde", "abc…"), ("ab👩‍👩‍👧cd", "ab…")],
)
def test_grp_1_a_long_name_is_cut_between_characters(name: str, shown: str) -> None:
    short = replace(FULL, room_name_max=4)
    pieces, report = render(event(RoomEventKind.NAME, name), short, HERE)
    assert pieces == (ChatNamePiece(name=shown),)
    assert rules(report) == ([] if name == shown else ["GRP-1"])


# ---- all legs at once


def test_a_preview_says_what_each_leg_loses() -> None:
    legs = [Leg(capabilities=c, context=HERE) for c in (FULL, BARE)]
    full, bare = preview(said("**a**"), legs)
    assert full == LossReport()
    assert rules(bare) == ["FMT-2"]


def test_octets_are_the_unit_where_the_network_counts_them() -> None:
    octets = Capabilities(network="x", text_max=10, text_unit=TextUnit.OCTETS)
    assert render(said("é" * 5), octets, HERE)[1] == LossReport()
    assert rules(render(said("é" * 6), octets, HERE)[1]) == ["TXT-3"]
