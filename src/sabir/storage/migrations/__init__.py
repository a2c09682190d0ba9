"""Numbered SQL files; `NNNN_name.sql` brings the schema from version NNNN-1 to NNNN."""
