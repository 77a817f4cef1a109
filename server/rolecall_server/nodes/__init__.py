"""What goes to a node: what its agent was told, what it holds, and what it is to be told next."""
