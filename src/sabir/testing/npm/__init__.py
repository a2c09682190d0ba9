"""Test counterparts that come from npm: a folder with a lock file for each."""
