"""Miniatures of subsets, and servers on loopback that speak the protocol of each source."""
