"""The warden: keeps pods away from the node's own metadata service, and sends them to the agent.

It has the one capability NET_ADMIN, no listener and no token. `rules` and `routing` say what a node
should have, as values that follow from the settings alone; `kernel` reads what it has; `warden`
compares the two, repairs, and tells the agent by a heartbeat file.
"""
