"""What every aggregate's module builds on."""

from sabir.storage.sqlite.database import Database


class Part:
    """A set of methods over one shared database."""

    def __init__(self, database: Database) -> None:
        self._database = database
