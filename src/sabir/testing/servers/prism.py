"""Prism: any OpenAPI document as a server that refuses what does not fit it.

It remembers nothing and answers with the document's examples. Written by others, so
it judges our requests, and our own checker, independently.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from sabir.testing.install import lab_home
from sabir.testing.npm import packages
from sabir.testing.servers.ports import LOOPBACK
from sabir.testing.servers.process import ServerProcess
from sabir.testing.servers.readiness import answers_anything_http


class Prism(ServerProcess):
    """A document under test.

    Args:
        home: the server's folder.
        document: the OpenAPI document, YAML or JSON.
    """

    name: ClassVar[str] = "prism"
    port_names: ClassVar[tuple[str, ...]] = ("http",)

    def __init__(self, home: Path, document: str) -> None:
        super().__init__(home)
        self.base_url = f"http://{LOOPBACK}:{self.ports['http']}"
        self._document = document

    def _configure(self) -> None:
        self._file.write_text(self._document)

    def _command(self) -> Sequence[str]:
        lab = lab_home()
        return [
            str(packages.node(lab)),
            str(packages.script(lab, "prism")),
            *("mock", "--errors", "-h", LOOPBACK),
            *("-p", str(self.ports["http"]), str(self._file)),
        ]

    async def _is_ready(self) -> bool:
        return await answers_anything_http(self.ports["http"])

    def _log_files(self) -> Sequence[Path]:
        return []

    @property
    def _file(self) -> Path:
        return self.home / "document.yaml"
