"""Plain records, reasons, errors: no I/O, imports nothing of ours."""
