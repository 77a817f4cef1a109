"""Events on pods: what `kubectl describe pod` shows of a role that is not given."""
