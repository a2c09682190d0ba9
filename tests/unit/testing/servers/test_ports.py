"""Choosing ports that stay free and stay the same."""

import socket
from pathlib import Path

from sabir.testing.servers.ports import LOOPBACK, keep_ports


def test_ports_stay_the_same_for_the_same_home(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    chosen = keep_ports(file, ["a", "b"])
    assert keep_ports(file, ["b", "a"]) == chosen
    assert len(set(chosen.values())) == 2


def test_a_new_purpose_gets_a_port_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    before = keep_ports(file, ["a"])
    after = keep_ports(file, ["a", "b"])
    assert after["a"] == before["a"] != after["b"]


def test_no_port_is_given_twice(tmp_path: Path) -> None:
    given = [
        port
        for home in range(20)
        for port in keep_ports(tmp_path / str(home), ["a", "b", "c"]).values()
    ]
    assert len(set(given)) == 60


def test_ports_are_free_and_outside_the_range_of_outgoing_connections(
    tmp_path: Path,
) -> None:
    (port,) = keep_ports(tmp_path / "ports.json", ["a"]).values()
    with socket.socket() as server, socket.socket() as client:
        server.bind((LOOPBACK, port))
        server.listen()
        client.connect((LOOPBACK, port))
        assert client.getsockname()[1] > port
