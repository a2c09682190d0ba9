"""Primitives over the cryptographic library: secrets and sealing."""
