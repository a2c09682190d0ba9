"""IRC for Sabir: `line` the syntax, `decode`, `render`, `connector`, `network`."""
