"""The cache: what the server has told this node of its pods and their sessions."""
