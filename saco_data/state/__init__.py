"""What is remembered between runs: ledger and lock, on a local disk."""
