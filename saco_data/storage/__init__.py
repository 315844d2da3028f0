"""Files and folders: atomic writes, safe names, listings, errors of the disk."""
