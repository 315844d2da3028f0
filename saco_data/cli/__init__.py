"""The `saco` command: one file for each group of commands."""
