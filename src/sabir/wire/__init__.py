"""Bytes: deterministic CBOR. Knows no meaning."""
