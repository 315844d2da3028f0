"""Fetches files: one package a protocol, all with the words of `base`. Knows no subsets."""
