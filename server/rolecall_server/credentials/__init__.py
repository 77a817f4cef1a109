"""The sessions of every identity, and when each is issued and renewed. Pure: told the time."""
