"""Generated from `broker.proto`. Only `codec.py` and the two stream adapters import it."""
