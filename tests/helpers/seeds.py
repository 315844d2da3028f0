"""The seed of a campaign."""

from __future__ import annotations

import os
import random


def choose_seed() -> int:
    """`SACO_SEED` if it is set, to repeat a campaign; else a random number."""
    given = os.environ.get("SACO_SEED")
    return int(given) if given else random.SystemRandom().randrange(2**32)
