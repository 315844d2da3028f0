"""How long to wait between two requests to one source."""

from __future__ import annotations

import random


def pause_seconds(requests_per_second: float, sleep_seconds: tuple[float, float]) -> float:
    """Seconds from one request to the next: the longer of rate and random pause.

    A rate of 0 means no limit. `sleep_seconds`: the shortest and the longest pause.
    """
    shortest = 1 / requests_per_second if requests_per_second > 0 else 0.0
    return max(shortest, random.uniform(*sleep_seconds))  # noqa: S311 - not for security
