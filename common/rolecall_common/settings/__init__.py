"""Settings: how a side declares them, and how they are read from flags, environment and a file."""
