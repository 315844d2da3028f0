"""What people see: tables, progress, the log, the HTML page, picture sheets. Decides nothing."""
