"""The structs of the endpoints (protocol-06 section 5), one file per endpoint."""
