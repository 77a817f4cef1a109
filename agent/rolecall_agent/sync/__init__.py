"""Following a server: the stream of what this node may hold, and questions about pods."""
