"""The config file: reading, checking, paths."""
