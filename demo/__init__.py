"""The demonstration behind ``make demo``; no part of the installed package."""
