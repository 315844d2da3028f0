"""What a run does: sessions, the pipeline, verification, synchronization, pruning policy."""
