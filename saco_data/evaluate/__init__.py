"""The official numbers, computed from files: cgF1, J&F."""
