"""Decides what a run does and what it costs. Pure: no network, no writes."""
