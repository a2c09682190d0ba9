"""What all tests share: the fixtures of the real servers and of the MLS vectors."""

pytest_plugins = ["sabir.testing.pytest_plugin", "sabir.testing.mls.pytest_plugin"]
