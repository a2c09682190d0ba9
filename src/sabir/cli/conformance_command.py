"""`sabir conformance`: does another provider keep to the profile?

The command and all it needs are among the parts for tests, which Sabir itself never
imports; so it is loaded by its name, as the networks are.
"""

import importlib
from typing import Final

import click

MODULE: Final = "sabir.testing.mimi.conformance.command"

command: click.Command = importlib.import_module(MODULE).command
