"""The metadata endpoint: who asks is known by address; what the answer is is decided here."""
