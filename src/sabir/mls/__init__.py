"""Messaging Layer Security (RFC 9420) and the extensions that MIMI needs.

Sans-I/O: time and randomness come in through `sabir.mls.env.Env`.
"""
