"""Annotation files and prepared copies: reads and derives files, decodes and draws masks."""
