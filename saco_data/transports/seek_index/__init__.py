"""Seek indices: which bytes of a huge tar.gz hold a member, so that only these are fetched."""
