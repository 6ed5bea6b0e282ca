"""`python -m adserve`."""

from adserve.cli.main import main

main()
