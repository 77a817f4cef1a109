"""Who an agent is: TokenReview, the watch, and the cluster's keys while nobody can review."""
