"""Prepares SA-Co/Silver for evaluation.

config -> plan -> fetch -> process -> verify -> prune -> report
"""

__version__ = "0.1.0"
