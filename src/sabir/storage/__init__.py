"""Ports for what must survive, and SQLite behind them. Takes no decision."""
