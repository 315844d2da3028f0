"""How long to leave a source alone between two requests."""

from __future__ import annotations

import random


def gap(requests_per_second: float, sleep_seconds: tuple[float, float]) -> float:
    """Seconds from one request to the next: by the rate, or a random pause where that is longer.

    A rate of 0 is no limit.
    """
    least = 1 / requests_per_second if requests_per_second > 0 else 0.0
    return max(least, random.uniform(*sleep_seconds))  # noqa: S311 - guards nothing
