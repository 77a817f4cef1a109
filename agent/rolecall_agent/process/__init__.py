"""The agent's processes and sockets: parent and workers, and the hand-over to a new agent."""
