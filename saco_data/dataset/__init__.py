"""Annotation files and prepared copies: reading, deriving, masks."""
