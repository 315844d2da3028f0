"""Pictures and frames: what turns a raw asset into the processed file that evaluation reads."""
