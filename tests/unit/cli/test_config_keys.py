"""The example, the manual and the code name the same keys."""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sabir.cli.config import ACCOUNTS_MAX, CONFIG_OCTETS_MAX, Config, parse_config
from sabir.cli.config_keys import SECTIONS, Key, config_example
from sabir.cli.secret_sources import SECRET_OCTETS_MAX
from sabir.networks.api import Setting

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "configuration.md"


def _no_settings(network: str) -> Sequence[Setting]:
    raise AssertionError(network)


def _parse(text: str) -> Config:
    return parse_config(
        text,
        file=Path("/etc/sabir.toml"),
        environ={},
        home=Path("/home/alice"),
        settings_of=_no_settings,
    )


def test_the_example_is_a_valid_configuration() -> None:
    assert _parse(config_example()) == _parse('[agent]\nowner = "alice"')


def test_the_example_names_every_key_with_its_default() -> None:
    example = config_example()
    for name, keys in SECTIONS.items():
        section = example.split(f"[{name}]\n")[1]
        for key in keys:
            assert re.search(rf"^(# )?{key.name} = ", section, re.MULTILINE)
    uncommented = re.sub(
        r'^# (\w+ = (?!"\.\.\.").*)$', r"\1", example, flags=re.MULTILINE
    )
    assert _parse(uncommented.split("# Accounts")[0]) == _parse(example)


@given(data_dir=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_data_directory_can_be_written_into_the_example(data_dir: str) -> None:
    written = tomllib.loads(config_example(owner="bob", data_dir=data_dir))
    assert written["agent"] == {"owner": "bob", "data_dir": data_dir}


def _row(key: Key) -> str:
    """The key's line in the manual."""
    if key.required:
        default = "required"
    else:
        default = "see right" if key.default is None else f"`{key.default}`"
    if key.choices:
        allowed = ", ".join(f"`{choice}`" for choice in key.choices)
    else:
        allowed = f"{key.least} to {key.most}" if key.kind is int else "text"
    return f"| `{key.name}` | {default} | {allowed} | {key.about} |"


def test_the_manual_lists_the_keys_of_the_code_and_no_others() -> None:
    page = PAGE.read_text()
    sections = re.split(r"^## `\[(\w+)\]`$|^## ", page, flags=re.MULTILINE)
    documented = {
        name: [row for row in part.splitlines() if row.startswith("| `")]
        for name, part in zip(sections[1::2], sections[2::2], strict=True)
        if name
    }
    assert documented == {
        name: [_row(key) for key in keys] for name, keys in SECTIONS.items()
    }


def test_the_manual_states_the_limits_of_the_code() -> None:
    page = PAGE.read_text()
    assert f"at most {CONFIG_OCTETS_MAX} octets" in page
    assert f"one section each, at most {ACCOUNTS_MAX}" in page
    assert f"at most {SECRET_OCTETS_MAX} octets; one line end" in page
