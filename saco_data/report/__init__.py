"""Output for people: console, progress, tables, page, pictures. Formats what it is given."""
