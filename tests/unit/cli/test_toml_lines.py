"""Every key of any valid document is found, on its own line."""

import json
import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sabir.cli.toml_lines import key_lines

DOCUMENT = r"""# [not.a.table]
top = 1 # not = "a key"

[agent]
data_dir = QQQ
[looks.like.a.table]
x = "" 1 \QQQ "QQQ
raw = '''
y = 2 '' '''
"quoted \u00e9.key" = 'z = 3'
a.b . "c" = 1979-05-27 07:32:00Z

[ accounts . 'my one' ]
list = [ # comment ]
  "]", { inner = 1, deeper = { most = [
    2] } },
]
point = { x = 1, y.z = 2 }

[[many]]
n = 1
[[many]]
n = 2
m = 3""".replace("QQQ", 3 * '"')


def test_each_construct_of_toml_is_passed_without_being_mistaken() -> None:
    assert key_lines(DOCUMENT) == {
        ("top",): 2,
        ("agent",): 4,
        ("agent", "data_dir"): 5,
        ("agent", "raw"): 8,
        ("agent", "quoted é.key"): 10,
        ("agent", "a"): 11,
        ("agent", "a", "b"): 11,
        ("agent", "a", "b", "c"): 11,
        ("accounts",): 13,
        ("accounts", "my one"): 13,
        ("accounts", "my one", "list"): 14,
        ("accounts", "my one", "list", "inner"): 15,
        ("accounts", "my one", "list", "deeper"): 15,
        ("accounts", "my one", "list", "deeper", "most"): 15,
        ("accounts", "my one", "point"): 18,
        ("accounts", "my one", "point", "x"): 18,
        ("accounts", "my one", "point", "y"): 18,
        ("accounts", "my one", "point", "y", "z"): 18,
        ("many",): 20,
        ("many", "n"): 21,
        ("many", "m"): 24,
    }
    assert tomllib.loads(DOCUMENT)["agent"]["raw"] == "y = 2 '' "


def test_windows_line_ends_count_once() -> None:
    assert key_lines("a = 1\r\n[t]\r\nb = '''\r\n'''\r\nc = 2\r\n") == {
        ("a",): 1,
        ("t",): 2,
        ("t", "b"): 3,
        ("t", "c"): 5,
    }


def test_an_empty_document_has_no_keys() -> None:
    assert key_lines("") == {}
    assert key_lines("# nothing\n") == {}


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _multi_line(text: str) -> str:
    """Triple quotes with real line ends, and up to two quotes before the end."""
    body = json.dumps(text, ensure_ascii=False)[1:-1].replace("\x7f", "\\u007f")
    return '"""' + body.replace("\\n", "\n").replace('\\"', '"\\\n"') + '"""'


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
values = st.recursive(
    st.one_of(
        texts.map(_quoted),
        texts.map(_multi_line),
        st.integers(-(2**63), 2**63 - 1).map(str),
        st.sampled_from(["true", "1979-05-27 07:32:00Z", "6.2e-3", "''", '""']),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda each: "[\n" + " ,\n".join(each) + "]"),
        st.dictionaries(texts, inner, max_size=3).map(
            lambda each: (
                "{ " + ", ".join(f"{_quoted(k)} = {v}" for k, v in each.items()) + " }"
            )
        ),
    ),
    max_leaves=5,
)


def _paths(value: Any, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = {path} if path else set()
    if isinstance(value, dict):
        for name, inner in value.items():
            found |= _paths(inner, (*path, name))
    if isinstance(value, list):
        for inner in value:
            found |= _paths(inner, path)
    return found


@given(st.dictionaries(texts, st.dictionaries(texts, values, max_size=3), max_size=3))
def test_the_keys_found_are_those_that_the_parser_finds(
    tables: dict[str, dict[str, str]],
) -> None:
    text = ""
    expected: dict[tuple[str, ...], int] = {}
    for table, pairs in tables.items():
        expected[(table,)] = text.count("\n") + 1
        text += f"[{_quoted(table)}] # comment\n"
        for name, value in pairs.items():
            expected[(table, name)] = text.count("\n") + 1
            text += f" {_quoted(name)}= {value}\t# = \"'[\n"
    found = key_lines(text)
    assert set(found) == _paths(tomllib.loads(text))
    assert {path: found[path] for path in expected} == expected
