"""`python -m sabir.cli` is `sabir`."""

from sabir.cli.main import main

main()
