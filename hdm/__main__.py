"""Runs the command line for ``python -m hdm``."""

from hdm.cli import main

if __name__ == "__main__":
    main()
