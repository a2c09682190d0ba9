"""Links that do not go where their text says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.content.misleading import misleads


@pytest.mark.parametrize(
    ("shown", "url"),
    [
        ("https://bank.example", "https://evil.example"),
        ("bank.example", "https://evil.example/bank.example"),
        ("https://bank.example", "https://bank.example@evil.example"),
        ("https://bank.example", "https://bank.example.evil.example"),
        ("https://bank.example", "http://bank.example"),
        ("https://bank.example/a", "https://bank.example/b"),
        ("bank.example/a", "https://bank.example/b"),
        ("https://bank.example", "https://bank.example:8443"),
        ("https://bank.example:99999", "https://bank.example"),
        ("bank.example", "mailto:evil@evil.example"),
        (" BANK.example ", "https://evil.example"),
        ("bank.example", "https://[bad"),
    ],
)
def test_mc_099_another_address_than_shown_misleads(shown: str, url: str) -> None:
    assert misleads(shown, url)


@pytest.mark.parametrize(
    ("shown", "url"),
    [
        ("our menu", "https://tea.example/menu"),
        ("tea.example", "https://www.tea.example/"),
        ("https://tea.example", "https://tea.example/"),
        ("http://tea.example", "https://tea.example"),
        ("www.tea.example", "http://tea.example/menu?x=1#here"),
        ("https://tea.example/a?b=1", "https://tea.example:443/a?b=1#c"),
        ("TEA.example", "https://tea.example"),
        ("version 2.0", "https://tea.example"),
        ("ada@tea.example", "mailto:ada@tea.example"),
        ("", "https://tea.example"),
    ],
)
def test_mc_099_a_text_that_is_no_other_address_does_not(shown: str, url: str) -> None:
    assert not misleads(shown, url)


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_text_and_any_target_can_be_judged(shown: str, url: str) -> None:
    assert misleads(shown, url) in {True, False}


@given(
    st.from_regex(r"\A(https?://)?([a-z]{1,5}\.){1,3}[a-z]{2,5}(/[a-z]{0,4})?\Z"),
)
def test_an_address_does_not_mislead_of_itself(address: str) -> None:
    url = address if "://" in address else f"https://{address}"
    assert not misleads(address, url)
