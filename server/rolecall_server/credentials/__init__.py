"""The sessions of every identity, and when each is issued and renewed. No I/O, no clock."""
