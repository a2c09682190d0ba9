"""The schema of a provider's own database; files as in the folder above."""
