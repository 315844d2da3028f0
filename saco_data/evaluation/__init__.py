"""Evaluation: predictions and ground truth in, the official numbers with their coverage out."""
