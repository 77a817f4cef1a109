"""Which role a pod may have, and what STS is asked for it. Pure: values in, decisions out."""
