"""How bytes arrive. Transports know nothing about subsets."""
