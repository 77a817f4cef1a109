"""What probes and scrapes are told: readiness, and the levels that are read at a scrape."""
