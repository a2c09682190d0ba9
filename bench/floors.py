"""The floors of Synapse, Prosody and ejabberd: latency and bursts without a bridge.

    python bench/floors.py [synapse] [prosody] [ejabberd]

Each server runs fresh and alone. Prints one line per server to standard error and one
JSON object as its last line.
"""

import asyncio
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sabir.testing.floors import Floor, matrix_floor, xmpp_floor
from sabir.testing.install import SERVERS
from sabir.testing.servers.ejabberd import Ejabberd
from sabir.testing.servers.prosody import Prosody
from sabir.testing.servers.synapse import Synapse


async def _measure(name: str, home: Path) -> Floor:
    if name == "synapse":
        async with Synapse(home) as synapse:
            return await matrix_floor(synapse)
    async with Prosody(home) if name == "prosody" else Ejabberd(home) as xmpp:
        return await xmpp_floor(xmpp)


def _figures(floor: Floor) -> dict[str, Any]:
    """Return the floor with the rates, which are what one looks for."""
    figures = asdict(floor)
    for name in ("out_bursts", "in_bursts"):
        bursts = getattr(floor, name)
        figures[name] = [asdict(burst) | {"per_s": burst.per_s} for burst in bursts]
    return figures


async def _main(names: list[str]) -> None:
    result = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            result[name] = _figures(await _measure(name, Path(folder) / name))
            print(name, result[name], file=sys.stderr)
    print(json.dumps(result))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:] or list(SERVERS)))
