"""A miniature Silver and loopback servers that speak the protocol of each source."""
