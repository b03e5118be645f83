"""Reports: daily figures, rolled from the event tables, read by day, month or range."""
