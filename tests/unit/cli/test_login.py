"""A login is led by a person, by a pipe, or by the command line alone."""

import asyncio
import io
import os
import stat
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path

import pytest

from sabir.cli.login import ATTEMPTS_MAX, AnswerMissing, Answers, run_login
from sabir.cli.terminal import Terminal
from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid, CredentialsRefused, Unavailable
from sabir.networks.login import Ask, Done, Field, ShowCode, ShowText, Step

PASSWORD = "canary-password-a7f2"
TOKENS = "as_token: canary-token-5511\n"

NAMES = Ask(
    title="Who are you?",
    fields=(
        Field(name="user_id", label="User id", help="e.g. @a:b"),
        Field(name="server", label="Server", default="b.example"),
    ),
)
SECRET = Ask(title="", fields=(Field(name="password", label="Password", secret=True),))
KIND = Ask(
    title="Kind?", fields=(Field(name="kind", label="Kind", choices=("one", "two")),)
)
CODE = ShowCode(
    title="Scan", data="sgnl://x", instructions="With the phone.", expires_s=60
)
FILE = ShowText(title="Install this", text=TOKENS, filename="sub/reg.yaml")
NOTE = ShowText(title="Tell them", text="word")


class Flow:
    """Goes through its steps; `refuse` says what is wrong with an answer."""

    def __init__(
        self, *steps: Step, refuse: Callable[[Mapping[str, str]], None] | None = None
    ) -> None:
        self._steps = [*steps, Done(settings={}, welcome="hello")]
        self._refuse = refuse
        self.answered: list[dict[str, str]] = []
        self.closed = 0

    async def begin(self) -> Step:
        return self._steps.pop(0)

    async def answer(self, values: Mapping[str, str]) -> Step:
        self.answered.append(dict(values))
        if self._refuse:
            self._refuse(values)
        return self._steps.pop(0)

    async def close(self) -> None:
        self.closed += 1


def _only(name: str, wanted: str) -> Callable[[Mapping[str, str]], None]:
    def refuse(values: Mapping[str, str]) -> None:
        if values[name] != wanted:
            raise CredentialsRefused("check both")

    return refuse


def _valid(values: Mapping[str, str]) -> None:
    for name, value in values.items():
        if not value:
            raise ConfigInvalid(f"{name} has the wrong form.")


Run = Callable[..., Awaitable[str]]


@pytest.fixture(autouse=True)
def _in_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def piped() -> Iterator[Run]:
    """Run a flow with this text on a pipe; return what was shown."""
    stdin, typing = os.pipe()

    async def run(flow: Flow, text: str = "", answers: Answers | None = None) -> str:
        os.write(typing, text.encode())
        os.close(typing)
        out = io.StringIO()
        try:
            await run_login(flow, answers or Answers(), Terminal(stdin=stdin, out=out))
        finally:
            assert flow.closed == 1
            assert "canary" not in out.getvalue()
        return out.getvalue()

    yield run
    os.close(stdin)


class Person(io.StringIO):
    """Sits at a pseudo-terminal and types the next answer at each prompt."""

    def __init__(self, *answers: str) -> None:
        super().__init__()
        self._keyboard, self.screen = os.openpty()
        self._answers = list(answers)

    def write(self, text: str) -> int:
        if text.endswith(" "):
            os.write(self._keyboard, self._answers.pop(0).encode())
        return super().write(text)

    async def run(self, flow: Flow, answers: Answers | None = None) -> str:
        try:
            terminal = Terminal(stdin=self.screen, out=self)
            async with asyncio.timeout(10):
                await run_login(flow, answers or Answers(), terminal)
        finally:
            assert flow.closed == 1
            os.write(self.screen, b"end")
            self.echoed = os.read(self._keyboard, 65536).decode()
            os.close(self._keyboard)
            os.close(self.screen)
            assert PASSWORD not in self.echoed + self.getvalue()
        assert not self._answers, "everything was asked for"
        return self.getvalue()


# ---- a person


async def test_a_person_is_asked_with_help_and_defaults() -> None:
    flow = Flow(NAMES, SECRET)
    shown = await Person(" @a:b \n", "\n", f"{PASSWORD}\n").run(flow)
    assert flow.answered == [
        {"user_id": "@a:b", "server": "b.example"},
        {"password": PASSWORD},
    ]
    assert shown == (
        "Who are you?\n  (e.g. @a:b)\nUser id: Server [b.example]: \n"
        "Password (not shown): \n"
    )


@pytest.mark.parametrize("typed", ["2\n", "two\n"])
async def test_a_choice_is_made_by_number_or_word(typed: str) -> None:
    flow = Flow(KIND)
    shown = await Person("3\n", "\n", "9" * 900 + "\n", typed).run(flow)
    assert flow.answered == [{"kind": "two"}]
    assert "  1) one\n  2) two\nKind: Type a number from 1 to 2.\n" in shown


async def test_a_refused_password_is_asked_again() -> None:
    flow = Flow(SECRET, refuse=_only("password", PASSWORD))
    shown = await Person("wrong\n", f"{PASSWORD}\n").run(flow)
    assert len(flow.answered) == 2
    assert "refused our credentials" in shown
    assert "check both" in shown


async def test_what_was_typed_is_the_default_of_the_second_try() -> None:
    flow = Flow(NAMES, refuse=_only("server", "c.example"))
    shown = await Person("@a:b\n", "\n", "\n", "c.example\n").run(flow)
    assert flow.answered[-1] == {"user_id": "@a:b", "server": "c.example"}
    assert "User id [@a:b]:" in shown


async def test_attempts_end_before_the_network_locks_the_account() -> None:
    flow = Flow(SECRET, refuse=_only("password", PASSWORD))
    with pytest.raises(CredentialsRefused):
        await Person(*["wrong\n"] * ATTEMPTS_MAX).run(flow)
    assert len(flow.answered) == ATTEMPTS_MAX


async def test_a_person_who_leaves_sees_what_was_refused() -> None:
    flow = Flow(SECRET, refuse=_only("password", PASSWORD))
    with pytest.raises(CredentialsRefused):
        await Person("wrong\n", "\x04").run(flow)
    assert len(flow.answered) == 1


async def test_a_code_is_shown_and_waited_for_once() -> None:
    flow = Flow(CODE)
    shown = await Person().run(flow)
    assert flow.answered == [{}]
    assert shown.startswith("Scan\n")
    assert shown.endswith("sgnl://x\nWith the phone.\nThe code is valid for 60 s.\n")


async def test_a_used_up_code_is_not_waited_for_again() -> None:
    def expired(_: Mapping[str, str]) -> None:
        raise CredentialsRefused("the code has expired")

    flow = Flow(CODE, refuse=expired)
    with pytest.raises(CredentialsRefused):
        await Person().run(flow)
    assert len(flow.answered) == 1


async def test_a_text_to_install_is_saved_for_its_owner_only(tmp_path: Path) -> None:
    flow = Flow(FILE)
    shown = await Person("\n", "\n").run(flow)
    assert (tmp_path / "reg.yaml").read_text() == TOKENS
    assert stat.S_IMODE((tmp_path / "reg.yaml").stat().st_mode) == 0o600
    assert f"Saved as {tmp_path}/reg.yaml" in shown
    assert "canary" not in shown


async def test_a_text_can_be_shown_instead() -> None:
    shown = await Person("-\n", "\n").run(Flow(FILE))
    assert TOKENS in shown


async def test_a_file_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "reg.yaml").write_text("old")
    shown = await Person("\n", "gone/x\n", "new.yaml\n", "\n").run(Flow(FILE))
    assert (tmp_path / "reg.yaml").read_text() == "old"
    assert (tmp_path / "new.yaml").read_text() == TOKENS
    assert "is there already" in shown
    assert "gone/x cannot be written (No such file or directory)" in shown


async def test_a_text_that_can_nowhere_be_saved_ends_the_login(tmp_path: Path) -> None:
    (tmp_path / "reg.yaml").write_text("old")
    with pytest.raises(ConfigInvalid, match="was not saved"):
        await Person(*["\n"] * ATTEMPTS_MAX).run(Flow(FILE))


async def test_a_person_who_leaves_before_saving_is_told_why(tmp_path: Path) -> None:
    (tmp_path / "reg.yaml").write_text("old")
    with pytest.raises(ConfigInvalid, match="is there already"):
        await Person("\x04").run(Flow(FILE))


async def test_a_text_without_a_file_name_is_shown() -> None:
    shown = await Person("\n").run(Flow(NOTE))
    assert shown == "Tell them\nword\nPress Enter to continue. "


async def test_a_server_that_is_not_up_yet_can_be_tried_again() -> None:
    refusals = [Unavailable("not up"), None]

    def refuse(_: Mapping[str, str]) -> None:
        if error := refusals.pop(0):
            raise error

    flow = Flow(NOTE, refuse=refuse)
    shown = await Person("\n", "\n").run(flow)
    assert flow.answered == [{}, {}]
    assert "Press Enter to try again." in shown


# ---- a pipe


async def test_a_pipe_answers_line_by_line(piped: Run) -> None:
    flow = Flow(KIND, NAMES, SECRET)
    await piped(flow, f"2\n@a:b\n\n{PASSWORD}\n")
    assert flow.answered == [
        {"kind": "two"},
        {"user_id": "@a:b", "server": "b.example"},
        {"password": PASSWORD},
    ]


async def test_a_pipe_may_answer_again_what_was_refused(piped: Run) -> None:
    flow = Flow(SECRET, refuse=_only("password", PASSWORD))
    await piped(flow, f"wrong\n{PASSWORD}\n")
    assert len(flow.answered) == 2


async def test_a_pipe_that_ends_sees_what_was_refused(piped: Run) -> None:
    flow = Flow(SECRET, refuse=_only("password", PASSWORD))
    with pytest.raises(CredentialsRefused):
        await piped(flow, "wrong\n")
    assert len(flow.answered) == 1


async def test_a_wrong_choice_from_a_pipe_that_ends_is_named(piped: Run) -> None:
    with pytest.raises(AnswerMissing, match=r"kind \(one of one, two\) is not given"):
        await piped(Flow(KIND), "three\n")


async def test_a_pipe_has_a_text_saved_without_asking(
    piped: Run, tmp_path: Path
) -> None:
    shown = await piped(Flow(FILE))
    assert (tmp_path / "reg.yaml").read_text() == TOKENS
    assert "Press Enter" not in shown


async def test_a_text_refused_without_a_person_is_not_tried_again(piped: Run) -> None:
    def refuse(_: Mapping[str, str]) -> None:
        raise Unavailable("not up")

    flow = Flow(NOTE, refuse=refuse)
    with pytest.raises(Unavailable):
        await piped(flow, "\n\n\n")
    assert len(flow.answered) == 1


# ---- the command line alone


async def test_given_answers_are_not_asked_for(piped: Run) -> None:
    flow = Flow(KIND, NAMES, SECRET)
    shown = await piped(
        flow,
        answers=Answers(
            texts={"kind": "one", "user_id": "@a:b", "server": "c"},
            secrets={"password": Secret.from_text(PASSWORD)},
        ),
    )
    assert flow.answered == [
        {"kind": "one"},
        {"user_id": "@a:b", "server": "c"},
        {"password": PASSWORD},
    ]
    assert "User id" not in shown


async def test_given_answers_that_are_refused_are_not_tried_again(piped: Run) -> None:
    flow = Flow(SECRET, refuse=_only("password", "other"))
    secrets = {"password": Secret.from_text(PASSWORD)}
    with pytest.raises(CredentialsRefused):
        await piped(flow, "other\n", answers=Answers(secrets=secrets))
    assert len(flow.answered) == 1


async def test_a_missing_answer_takes_its_default_or_is_named(piped: Run) -> None:
    flow = Flow(NAMES, refuse=_valid)
    with pytest.raises(ConfigInvalid) as caught:
        await piped(flow, answers=Answers(texts={"user_di": "@a:b"}))
    assert flow.answered == [{"user_id": "", "server": "b.example"}]
    assert str(caught.value) == (
        "user_id has the wrong form. Not given: user_id."
        " Add --set user_id=VALUE (you gave user_di)."
    )


async def test_an_error_that_no_answer_is_missing_for_stays_as_it_is(
    piped: Run,
) -> None:
    def refuse(_: Mapping[str, str]) -> None:
        raise ConfigInvalid("no such server")

    with pytest.raises(ConfigInvalid, match=r"^no such server$"):
        await piped(Flow(NAMES, refuse=refuse), "@a:b\n")


async def test_a_missing_secret_is_asked_for_as_a_file(piped: Run) -> None:
    with pytest.raises(
        AnswerMissing,
        match=r"^password is not given. Add --secret-file password=FILE\.$",
    ):
        await piped(Flow(SECRET))


async def test_a_missing_choice_names_the_choices(piped: Run) -> None:
    with pytest.raises(
        AnswerMissing,
        match=r"^kind \(one of one, two\) is not given. Add --set kind=VALUE\.$",
    ):
        await piped(Flow(KIND))


async def test_a_secret_as_an_argument_is_refused(piped: Run) -> None:
    with pytest.raises(ConfigInvalid, match="use --secret-file password=FILE") as no:
        await piped(Flow(SECRET), answers=Answers(texts={"password": PASSWORD}))
    assert PASSWORD not in str(no.value)


async def test_a_wrong_choice_as_an_argument_gets_the_nearest(piped: Run) -> None:
    with pytest.raises(
        ConfigInvalid, match=r'is one of one, two, not "tow"\. Did you mean "two"\?'
    ):
        await piped(Flow(KIND), answers=Answers(texts={"kind": "tow"}))


async def test_an_answer_that_nobody_asked_for_is_named(piped: Run) -> None:
    flow = Flow(KIND)
    given = Answers(texts={"kind": "one", "colour": "red"})
    assert "not used: colour" in await piped(flow, answers=given)


async def test_a_given_secret_is_not_offered_as_a_default() -> None:
    """Even where the network does not call it one."""
    flow = Flow(NAMES, refuse=_only("server", "c"))
    given = Answers(secrets={"user_id": Secret.from_text(PASSWORD)})
    await Person("b\n", "@a:b\n", "c\n").run(flow, given)
    assert flow.answered[-1] == {"user_id": "@a:b", "server": "c"}


async def test_a_secret_file_that_is_no_text_is_refused(piped: Run) -> None:
    with pytest.raises(ConfigInvalid, match="password is not UTF-8"):
        await piped(
            Flow(SECRET), answers=Answers(secrets={"password": Secret(b"\xff")})
        )


async def test_a_flow_is_closed_when_it_cannot_even_begin(piped: Run) -> None:
    class Down(Flow):
        async def begin(self) -> Step:
            raise Unavailable("down")

    with pytest.raises(Unavailable):
        await piped(Down())


# ---- parsing


def test_arguments_are_read_and_files_with_them(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text(f"{PASSWORD}\n")
    answers = Answers.parse(["a=1", "b=x=y", "c="], [f"password={tmp_path}/pw"])
    assert answers.texts == {"a": "1", "b": "x=y", "c": ""}
    assert answers.secrets["password"].reveal_text() == PASSWORD


@pytest.mark.parametrize("argument", [PASSWORD, f"={PASSWORD}", f"a b={PASSWORD}"])
def test_an_argument_of_the_wrong_form_is_not_repeated(argument: str) -> None:
    with pytest.raises(ConfigInvalid, match="Write --set NAME=VALUE") as first:
        Answers.parse([argument], [])
    with pytest.raises(ConfigInvalid, match="Write --secret-file NAME=FILE") as second:
        Answers.parse([], [argument])
    assert PASSWORD not in f"{first.value}{second.value}"


def test_an_answer_given_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    for given, files in (
        (["a=1", "a=2"], []),
        (["a=1"], [f"a={tmp_path}/x"]),
        ([], [f"a={tmp_path}/x", f"a={tmp_path}/x"]),
    ):
        with pytest.raises(ConfigInvalid, match="a is given twice"):
            Answers.parse(given, files)
