"""Records, reasons and errors. No I/O; imports no other package of saco_data."""
