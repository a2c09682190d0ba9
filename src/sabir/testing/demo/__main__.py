"""Runs the demonstration: `python -m sabir.testing.demo [--check] [--direct] [...]`."""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sabir.errors import ConfigInvalid, Error, Unavailable
from sabir.testing.demo.conversation import hold
from sabir.testing.demo.invitation import invite, readers
from sabir.testing.demo.stage import Stage
from sabir.testing.install import available
from sabir.testing.lab import Lab
from sabir.testing.rooms_lab import RoomsLab

INTERRUPTED: Final = 130
"""Exit code of what Ctrl-C ended, as shells have it."""
_SERVERS: Final = ("synapse", "prosody")


class Demonstration:
    """One run in one folder; `exit_code` tells how the conversation went."""

    def __init__(self, folder: Path, *, check: bool, direct: bool) -> None:
        self._folder = folder
        self._check = check
        self._direct = direct
        self.exit_code = INTERRUPTED

    async def run(self) -> None:
        """Boot, talk, and stay up until cancelled, or end after the check.

        Raises:
            Error: servers or Sabir did not come up.
        """
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        began_s = time.monotonic()
        parts = "one Sabir" if self._direct else "two providers and three agents"
        print(f"Synapse, Prosody, {parts} start in {self._folder} …", flush=True)
        lab = Lab(self._folder) if self._direct else RoomsLab(self._folder, third=True)
        async with lab:
            stage = Stage(lab)
            await stage.set()
            took_s = time.monotonic() - began_s
            print(f"They are up, the rooms are linked: {took_s:.1f} s\n", flush=True)
            print("\n".join(readers(stage)), flush=True)
            is_right = await hold(stage)
            self.exit_code = 0 if is_right else 1
            if self._check:
                return
            print("\n".join(await invite(stage)), flush=True)
            await asyncio.Event().wait()


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Give a new folder, for good or for this run.

    Raises:
        ConfigInvalid: the folder to keep has something in it.
    """
    if keep is None:
        with tempfile.TemporaryDirectory(
            prefix="sabir-demo-", ignore_cleanup_errors=True
        ) as made:
            yield Path(made)
        return
    keep.mkdir(parents=True, exist_ok=True)
    if any(keep.iterdir()):
        raise ConfigInvalid(f"{keep} is not empty: name a new folder for --keep")
    yield keep.resolve()


def main(arguments: Sequence[str]) -> int:
    """Run the demonstration; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m sabir.testing.demo",
        description="Link a Matrix room and an XMPP room on real servers and talk.",
    )
    parser.add_argument(
        "--check", action="store_true", help="end after the conversation"
    )
    parser.add_argument(
        "--direct", action="store_true", help="over one Sabir, without providers"
    )
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep data and logs in this new folder"
    )
    chosen = parser.parse_args(arguments)
    try:
        for server in _SERVERS:
            missing = available(server)
            if missing is not None:
                raise Unavailable(missing)
        with _folder(chosen.keep) as folder:
            demonstration = Demonstration(
                folder, check=chosen.check, direct=chosen.direct
            )
            try:
                asyncio.run(demonstration.run())
            except (KeyboardInterrupt, asyncio.CancelledError):
                print("\nEnded.")
            return demonstration.exit_code
    except Error as failed:
        print(failed.diagnostics(), file=sys.stderr)
        return failed.exit_code


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
