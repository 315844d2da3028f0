"""Long campaigns (`make test-long`): each prints its seed, and `SACO_SEED` repeats it."""
