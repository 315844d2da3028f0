"""Files and folders: atomic writes, safe names, listings."""
