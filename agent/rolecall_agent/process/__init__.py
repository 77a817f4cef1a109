"""The agent's processes and sockets: supervisor and workers, and the takeover by a new agent."""
