"""`python -m neardup` is the command `neardup`."""

from neardup.cli.main import main

main()
