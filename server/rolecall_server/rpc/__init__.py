"""The server's end of the wire: lets agents in, and streams to each what its node may hold."""
