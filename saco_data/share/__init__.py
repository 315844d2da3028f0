"""What two laboratories exchange: cards, intersections."""
