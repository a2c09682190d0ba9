"""The storage ports on one SQLite file: a module per aggregate."""
