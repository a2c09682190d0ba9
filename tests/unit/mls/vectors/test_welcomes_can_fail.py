"""The tests of welcome.json and passive-client-*.json notice a change of any field."""

import tests.unit.mls.vectors.test_passive_client as passive_client
import tests.unit.mls.vectors.test_welcome as welcome
from sabir.crypto.errors import BadKey, OpenFailed
from sabir.testing.mls.vectors import Strict, check_can_fail, for_each

NO_SUITE = (KeyError,)
"""Another number, which no suite has."""


@for_each("welcome", whole=False)
def test_a_changed_welcome_does_not_open(vector: Strict) -> None:
    check_can_fail(
        welcome.test_a_welcome_opens_and_proves_its_epoch,
        vector,
        refusals=(*NO_SUITE, OpenFailed, BadKey),
    )


@for_each("passive-client-welcome", whole=False, suites=[1])
def test_nobody_joins_by_something_else(vector: Strict) -> None:
    check_can_fail(
        passive_client.test_joining_gives_the_epoch_and_two_who_joined_can_talk,
        vector,
        every=True,
        refusals=NO_SUITE,
    )


@for_each("passive-client-handling-commit", whole=False, first=True)
def test_nobody_follows_something_else(vector: Strict) -> None:
    check_can_fail(
        passive_client.test_every_commit_is_followed_and_a_commit_of_ours_could_come_next,
        vector,
        every=True,
        refusals=(*NO_SUITE, BadKey),
    )


@for_each("passive-client-random", whole=False)
def test_nobody_follows_a_long_life_that_was_changed(vector: Strict) -> None:
    """Of the 1,700 messages one of each kind is changed."""
    check_can_fail(
        passive_client.test_two_hundred_commits_are_followed_by_a_member_and_by_a_hub,
        vector,
        refusals=NO_SUITE,
    )
