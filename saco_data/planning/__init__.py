"""Decides what a run does and what it costs. Sends no request and writes nothing."""
