"""MIMI content, features, conversion to and from what each network can express."""
