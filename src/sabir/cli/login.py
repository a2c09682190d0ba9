"""Runs a `LoginFlow`: answers from the command line first, then from the terminal.

* A secret is typed hidden or read from a file; never an argument, never shown.
* What was refused is asked again while somebody is there to answer.
* Without a terminal nothing is waited for: what is neither given nor piped
  takes its default, or is named in the error.
"""

import difflib
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self, assert_never

from sabir.cli.secret_sources import SecretFile
from sabir.cli.terminal import Terminal
from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid, CredentialsRefused, Error, Unavailable
from sabir.networks.login import Ask, Done, Field, LoginFlow, ShowCode, ShowText, Step

ATTEMPTS_MAX: Final = 5
"""Per question; networks lock an account after some more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the command line answers in advance, by name of the field."""

    texts: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)

    @classmethod
    def parse(cls, given: Sequence[str], files: Sequence[str]) -> Self:
        """Read `--set NAME=VALUE` and `--secret-file NAME=FILE`.

        Raises:
            ConfigInvalid: wrong form, given twice, or a file that is not there.
        """
        texts: dict[str, str] = {}
        secrets: dict[str, Secret] = {}
        for argument in given:
            name, value = _split(argument, "--set NAME=VALUE", taken=texts)
            texts[name] = value
        for argument in files:
            taken = texts.keys() | secrets.keys()
            name, value = _split(argument, "--secret-file NAME=FILE", taken=taken)
            secrets[name] = SecretFile(Path(value).expanduser()).read()
        return cls(texts=texts, secrets=secrets)


class AnswerMissing(ConfigInvalid):
    """The login needs an answer that nobody gave."""


async def run_login(
    flow: LoginFlow, answers: Answers, terminal: Terminal | None = None
) -> Done:
    """Lead a person, or a script, through a login.

    Raises:
        ConfigInvalid, CredentialsRefused, Unavailable: an answer was refused and
            nobody is there to give another, or the attempts are used up.
    """
    dialogue = _Dialogue(flow, answers, terminal or Terminal.of_process())
    try:
        step = await flow.begin()
        while not isinstance(step, Done):
            step = await dialogue.take(step)
    finally:
        await flow.close()
    dialogue.name_unused()
    return step


class _Dialogue:
    """One login, and what of the prepared answers it has used."""

    def __init__(self, flow: LoginFlow, answers: Answers, terminal: Terminal) -> None:
        self._flow = flow
        self._answers = answers
        self._terminal = terminal
        self._unused = {*answers.texts, *answers.secrets}
        self._ended = False
        """Nobody answers any more."""

    async def take(self, step: Ask | ShowCode | ShowText) -> Step:
        """Show one step until the flow accepts what was answered."""
        values = await self._first(step)
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                return await self._flow.answer(values)
            except (ConfigInvalid, CredentialsRefused, Unavailable) as error:
                if attempt == ATTEMPTS_MAX or not self._may_retry(step):
                    raise self._with_hint(error, step, values) from error
                values = await self._again(step, values, error)
        raise AssertionError("the last attempt returns or raises")

    def name_unused(self) -> None:
        """Tell which prepared answers nobody asked for."""
        if self._unused:
            names = ", ".join(sorted(self._unused))
            self._terminal.say(f"Not asked for, and not used: {names}")

    async def _first(self, step: Ask | ShowCode | ShowText) -> dict[str, str]:
        match step:
            case Ask():
                self._terminal.say(step.title)
                return {each.name: await self._value(each) for each in step.fields}
            case ShowCode():
                self._show_code(step)
                return {}
            case ShowText():
                await self._show_text(step)
                return {}
            case _:
                assert_never(step)

    async def _again(
        self,
        step: Ask | ShowCode | ShowText,
        before: Mapping[str, str],
        error: Error,
    ) -> dict[str, str]:
        """Show what was wrong and ask everything of a step anew.

        Raises:
            Error: the one given, if nobody answers any more.
        """
        self._terminal.say(error.diagnostics())
        values: dict[str, str] = {}
        if not isinstance(step, Ask):
            await self._ask("Press Enter to try again.")
        else:
            with suppress(AnswerMissing):  # what was refused matters more
                for each in step.fields:
                    default = self._default_again(each, before[each.name])
                    values[each.name] = await self._typed(each, default=default)
        if self._ended:
            raise self._with_hint(error, step, before)
        return values

    def _default_again(self, asked: Field, before: str) -> str:
        """What was answered becomes the default, unless it must not be shown."""
        is_hidden = asked.secret or asked.name in self._answers.secrets
        return asked.default if is_hidden else before or asked.default

    def _may_retry(self, step: Ask | ShowCode | ShowText) -> bool:
        if self._ended:
            return False
        if self._terminal.is_interactive:
            return not isinstance(step, ShowCode)  # the code may be used up
        return isinstance(step, Ask) and any(
            each.name not in self._answers.texts
            and each.name not in self._answers.secrets
            for each in step.fields
        )

    def _with_hint(
        self, error: Error, step: Ask | ShowCode | ShowText, values: Mapping[str, str]
    ) -> Error:
        """Without a terminal: say which answers were missing, not only the result."""
        if not self._ended or not isinstance(step, Ask):
            return error
        empty = [each.name for each in step.fields if not values[each.name]]
        if not empty or not isinstance(error, ConfigInvalid):
            return error
        return ConfigInvalid(
            f"{error} Not given: {', '.join(empty)}. {self._way(empty)}"
        )

    # ---- one field

    async def _value(self, asked: Field) -> str:
        """Return a field's prepared answer, or ask for it."""
        self._unused.discard(asked.name)
        if asked.name in self._answers.secrets:
            return _text_of(asked.name, self._answers.secrets[asked.name])
        if asked.name not in self._answers.texts:
            return await self._typed(asked, default=asked.default)
        if asked.secret:
            raise ConfigInvalid(
                f"{asked.name} is a secret, and other users can see arguments: use"
                f" --secret-file {asked.name}=FILE, or type it when asked."
            )
        value = self._answers.texts[asked.name]
        if asked.choices and value not in asked.choices:
            raise ConfigInvalid(
                f'{asked.name} is one of {", ".join(asked.choices)}, not "{value}".'
                f"{_did_you_mean(value, asked.choices)}"
            )
        return value

    async def _typed(self, asked: Field, *, default: str) -> str:
        self._explain(asked)
        prompt = f"{asked.label} [{default}]:" if default else f"{asked.label}:"
        if asked.secret:
            prompt = f"{asked.label} (not shown):"
        for _ in range(ATTEMPTS_MAX):
            typed = await self._ask(prompt, hidden=asked.secret)
            value = (typed or "") if asked.secret else (typed or "").strip()
            value = value or default
            if not asked.choices:
                if asked.secret and self._ended and not value:
                    break
                return value
            chosen = _choice(value, asked.choices)
            if chosen is not None:
                return chosen
            if self._ended:
                break
            self._terminal.say(f"Type a number from 1 to {len(asked.choices)}.")
        raise self._missing(asked)

    def _explain(self, asked: Field) -> None:
        if asked.help:
            self._terminal.say(f"  ({asked.help})")
        for number, choice in enumerate(asked.choices, start=1):
            self._terminal.say(f"  {number}) {choice}")

    async def _ask(self, prompt: str, *, hidden: bool = False) -> str | None:
        typed = await self._terminal.ask(prompt, hidden=hidden)
        self._ended = typed is None
        return typed

    def _missing(self, asked: Field) -> AnswerMissing:
        if asked.secret:
            way = f"Add --secret-file {asked.name}=FILE"
        else:
            way = self._way([asked.name]).removesuffix(".")
        among = f" (one of {', '.join(asked.choices)})" if asked.choices else ""
        return AnswerMissing(f"{asked.name}{among} is not given. {way}.")

    def _way(self, names: Sequence[str]) -> str:
        """Say how to give answers, and which given one was perhaps meant."""
        options = " ".join(f"--set {name}=VALUE" for name in names)
        unused = sorted(self._unused)
        near = any(difflib.get_close_matches(name, unused) for name in names)
        meant = f" (you gave {', '.join(unused)})" if near else ""
        return f"Add {options}{meant}."

    # ---- things to show

    def _show_code(self, step: ShowCode) -> None:
        self._terminal.say(step.title)
        self._terminal.show_code(step.data)
        self._terminal.say(step.instructions)
        if step.expires_s is not None:
            self._terminal.say(f"The code is valid for {step.expires_s} s.")

    async def _show_text(self, step: ShowText) -> None:
        """Save the text, which may hold tokens; show it only where that is wanted."""
        self._terminal.say(step.title)
        name = Path(step.filename).name
        if not name:
            self._terminal.say(step.text)
        elif not self._terminal.is_interactive:
            self._terminal.say(f"Saved as {_save(name, step.text)}")
        else:
            await self._offer_to_save(name, step.text)
        if self._terminal.is_interactive and not self._ended:
            await self._ask("Press Enter to continue.")

    async def _offer_to_save(self, name: str, text: str) -> None:
        for _ in range(ATTEMPTS_MAX):
            typed = await self._ask(f"Save as, or - to show it here [{name}]:")
            if typed is not None and typed.strip() == "-":
                self._terminal.say(text)
                return
            try:
                saved = _save((typed or "").strip() or name, text)
                self._terminal.say(f"Saved as {saved}")
            except ConfigInvalid as error:
                if self._ended:
                    raise
                self._terminal.say(str(error))
            else:
                return
        raise ConfigInvalid("The text was not saved: add the account again.")


def _save(named: str, text: str) -> Path:
    """Write a new file that only its owner may read."""
    path = Path(named).expanduser()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigInvalid(
            f"{path} is there already: choose another name, or move it away first."
        ) from None
    except OSError as error:
        raise ConfigInvalid(
            f"{path} cannot be written ({error.strerror}): choose another place."
        ) from error
    return path.absolute()


def _split(
    argument: str, form: str, *, taken: Mapping[str, str] | set[str]
) -> tuple[str, str]:
    """Take NAME=REST apart. The error never repeats REST: it may be a secret."""
    name, equals, rest = argument.partition("=")
    if not equals or not name.isidentifier():
        raise ConfigInvalid(f"Write {form}, such as --set server_name=example.org.")
    if name in taken:
        raise ConfigInvalid(f"{name} is given twice: give it once.")
    return name, rest


def _text_of(name: str, secret: Secret) -> str:
    try:
        return secret.reveal_text()
    except UnicodeDecodeError:
        raise ConfigInvalid(
            f"The file given for {name} is not UTF-8: it must hold the secret as text."
        ) from None


def _choice(value: str, choices: Sequence[str]) -> str | None:
    """Return the choice that was named, or counted from 1."""
    if value in choices:
        return value
    if value.isdecimal() and len(value) < 5 and 0 < int(value) <= len(choices):
        return choices[int(value) - 1]
    return None


def _did_you_mean(word: str, valid: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, valid, n=1)
    return f' Did you mean "{near[0]}"?' if near else ""
