"""Generated from `broker.proto`. Only `codec` and the two stream adapters import it."""
