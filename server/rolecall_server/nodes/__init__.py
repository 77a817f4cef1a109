"""What goes to a node: what its agent holds, and what it is to be sent next."""
