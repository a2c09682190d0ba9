"""A provider's database in one SQLite file."""
