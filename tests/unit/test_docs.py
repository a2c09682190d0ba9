"""The documentation is true where a machine can tell."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

from sabir.cli.main import command
from sabir.errors import Code, Error

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

TEXT_OCTETS_MAX = 4 * 1024 * 1024
"""Nothing longer in this repository was written by a person."""
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(
    r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE
)
HEADING = re.compile(r"^#{1,6} +(.+?)\s*#*$", re.MULTILINE)
SOMEWHERE_ELSE = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)

PATHS_OF_A_MACHINE = re.compile(
    r"(?<![\w./~-])/(?:work|root|tmp|mnt|Users/\w+|home/(?!alice\b|ada\b)\w+)/[\w.]"
)
HOSTS_OF_REGISTRIES = re.compile(
    r"(?:files\.pythonhosted\.org|(?:test\.)?pypi\.org|registry\.npmjs\.org"
    r"|(?:static\.|index\.)?crates\.io|proxy\.golang\.org|rubygems\.org"
    r"|artifactory|nexus\.|(?:index|extra-index)-url|--index-url|find-links)",
    re.IGNORECASE,
)


def tracked() -> list[Path]:
    """Return the files of this repository, or skip outside a checkout."""
    if not (ROOT / ".git").exists():
        pytest.skip("only a checkout knows which files are its own")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    files = [ROOT / name for name in listed.split("\0") if name]
    return [file for file in files if file.is_file() and not file.is_symlink()]


def texts() -> Iterator[tuple[Path, str]]:
    for file in tracked():
        octets = file.read_bytes()
        if b"\0" not in octets and len(octets) <= TEXT_OCTETS_MAX:
            yield file.relative_to(ROOT), octets.decode("utf-8", "replace")


def pages() -> list[Path]:
    return [file for file in tracked() if file.suffix == ".md"]


# ---- commands and errors


def commands(group: click.Command, name: str = "sabir") -> Iterator[tuple[str, ...]]:
    """Yield (command line, its options...) of everything that can be called."""
    if not isinstance(group, click.Group):
        options = [
            option
            for parameter in group.params
            if isinstance(parameter, click.Option)
            for option in parameter.opts
        ]
        yield (name, *options)
        return
    context = click.Context(group)
    for each in group.list_commands(context):
        found = group.get_command(context, each)
        assert found is not None
        yield from commands(found, f"{name} {each}")


def sections(page: Path) -> dict[str, str]:
    """Return a page's second-level sections by heading, without code marks."""
    parts = re.split(
        r"^## +(.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    headings = [heading.strip("`") for heading in parts[1::2]]
    return dict(zip(headings, parts[2::2], strict=True))


def test_the_manual_has_every_command_and_no_other() -> None:
    documented = {
        heading
        for heading in sections(DOCS / "reference" / "commands.md")
        if heading.startswith("sabir ")
    }
    assert documented == {name for name, *_ in commands(command)}


@pytest.mark.parametrize("line", list(commands(command)), ids=lambda line: line[0])
def test_the_manual_has_every_option_of_a_command_and_no_other(
    line: tuple[str, ...],
) -> None:
    name, *options = line
    section = sections(DOCS / "reference" / "commands.md")[name]
    rows = re.findall(r"^\| (`-.*?) \|", section, re.MULTILINE)
    documented = re.findall(r"(?<![\w-])(-{1,2}[a-z][a-z-]*)", " ".join(rows))
    assert sorted(documented) == sorted(options)


def tree(root: type[Error]) -> Iterator[type[Error]]:
    for each in root.__subclasses__():
        yield each
        yield from tree(each)


def test_the_manual_has_every_code_of_an_error_with_class_and_exit_code() -> None:
    page = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (\d+) \|", page, re.MULTILINE)
    ours = [each for each in tree(Error) if each.__module__ == "sabir.errors"]
    assert rows == [
        (str(each.code), each.__name__, str(each.exit_code))
        for each in sorted(ours, key=lambda each: list(Code).index(each.code))
    ]
    assert [code for code, _, _ in rows] == list(Code)


# ---- links


def anchor(heading: str) -> str:
    """Name a heading as the places do where this repository is read."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", plain.lower()).strip().replace(" ", "-")


def anchors(page: Path) -> set[str]:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return {anchor(heading) for heading in HEADING.findall(text)}


def broken_links(page: Path, known: set[Path]) -> list[str]:
    """Return the links of a page that lead nowhere in this repository."""
    text = CODE.sub("", FENCE.sub("", page.read_text(encoding="utf-8")))
    broken = []
    for inline, reference in LINK.findall(text):
        link = inline or reference
        if SOMEWHERE_ELSE.match(link):
            continue
        path, _, fragment = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        is_there = target in known or any(target in file.parents for file in known)
        if not is_there or (fragment and fragment not in anchors(target)):
            broken.append(link)
    return broken


def test_every_relative_link_leads_to_a_tracked_file_and_its_heading() -> None:
    known = set(tracked())
    broken = {
        str(page.relative_to(ROOT)): found
        for page in pages()
        if (found := broken_links(page, known))
    }
    assert broken == {}


def test_a_broken_link_is_noticed(tmp_path: Path) -> None:
    other = tmp_path / "other.md"
    other.write_text("# One `word` more\n```\n# no heading\n```\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md) [b](other.md#one-word-more) [c](gone.md)"
        " [d](other.md#no-heading) [e](https://example.org/x)"
        " `[f](code.md)` [g](#here)\n## Here\n[h]: lost.md\n"
    )
    assert broken_links(page, {page, other}) == [
        "gone.md",
        "other.md#no-heading",
        "lost.md",
    ]


def test_the_index_leads_to_every_page_of_the_manual() -> None:
    index = DOCS / "index.md"
    links = [inline for inline, _ in LINK.findall(index.read_text(encoding="utf-8"))]
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in links}
    manual = {page for page in pages() if DOCS in page.parents and page != index}
    assert sorted(manual - linked) == []


# ---- what belongs to no repository


def found_in_texts(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{file}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}"
        for file, text in texts()
        if ROOT / file != Path(__file__).resolve()
        for match in pattern.finditer(text)
    ]


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    assert found_in_texts(PATHS_OF_A_MACHINE) == []


def test_no_file_names_the_host_of_a_package_registry() -> None:
    assert found_in_texts(HOSTS_OF_REGISTRIES) == []


@pytest.mark.parametrize(
    "folder", ["work", "root", "tmp", "mnt", "home/bo", "Users/bo"]
)
@pytest.mark.parametrize("before", ["", "cd ", '"', "(", "`", "PATH="])
def test_a_path_of_a_machine_is_noticed(before: str, folder: str) -> None:
    assert PATHS_OF_A_MACHINE.search(f"{before}/{folder}/.cache")


@pytest.mark.parametrize("before", ["~", "docs", "https://example.org", ".", "/var"])
def test_another_path_is_not(before: str) -> None:
    assert not PATHS_OF_A_MACHINE.search(f"{before}/work/x")
