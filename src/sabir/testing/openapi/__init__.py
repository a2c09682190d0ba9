"""Vendors' machine-readable descriptions, as far as Sabir calls them, and a checker."""
