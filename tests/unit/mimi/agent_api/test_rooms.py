"""Reservations as JSON, and KeyPackages of an upload."""

import msgspec
import pytest

from sabir.mimi.agent_api.forms import Octets, decode_form, encode_form
from sabir.mimi.agent_api.key_packages import decode_key_packages, encode_key_packages
from sabir.mimi.agent_api.rooms import Reserved
from sabir.mimi.template_names import TemplateName
from sabir.testing.mls.seeded import SeededEnv
from sabir.wire.errors import Malformed
from tests.unit.mimi.world import Keys, make_client, reservation


@pytest.fixture
def env() -> SeededEnv:
    return SeededEnv(1)


@pytest.mark.parametrize("template", TemplateName)
def test_a_reservation_comes_back(env: SeededEnv, template: TemplateName) -> None:
    made = reservation(Keys.make(env), template)
    read = decode_form(encode_form(Reserved.of(made, 7)), Reserved)
    assert read.reservation(template) == made
    assert read.group_uri == made.room_uri.replace("/r/", "/g/")


def test_a_reservation_of_another_template_is_refused(env: SeededEnv) -> None:
    made = reservation(Keys.make(env), TemplateName.GROUP)
    with pytest.raises(Malformed, match="MIMI-307") as caught:
        Reserved.of(made, 7).reservation(TemplateName.DM)
    assert caught.value.rule == "MIMI-307"
    broken = msgspec.structs.replace(Reserved.of(made, 7), roles_list=Octets(b"\x01"))
    with pytest.raises(Malformed):
        broken.reservation(TemplateName.GROUP)


def test_an_upload_of_key_packages_comes_back(env: SeededEnv) -> None:
    client = make_client(env, "ann")
    packages = [client.key_package(env, suite=1)[0].raw for _ in range(3)]
    read = decode_key_packages(encode_key_packages(packages))
    assert [package.raw for package in read] == packages


def test_an_upload_that_ends_early_is_refused_as_a_whole(env: SeededEnv) -> None:
    package = make_client(env, "ann").key_package(env, suite=1)[0].raw
    with pytest.raises(Malformed):
        decode_key_packages(encode_key_packages([package])[:-1])
