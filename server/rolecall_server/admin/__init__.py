"""What probes and scrapes get: readiness, and the levels that are read at a scrape."""
