"""The durable truth: one SQLite file, one transaction for each commit."""
