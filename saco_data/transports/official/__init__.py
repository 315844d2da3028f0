"""The official command line clients that a user may choose: gsutil and the Ego4D CLI."""
