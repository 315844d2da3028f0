"""Turns raw media (pictures, videos) into the files that evaluation reads."""
