"""What there is and what becomes of it: list and watch, and single pods where a watch is late."""
