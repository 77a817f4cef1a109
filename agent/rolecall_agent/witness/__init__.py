"""The kernel as the witness of who has an address now.

`netlink` reads and writes the kernel's messages, `kernel` asks it and hears of changes, `bindings`
decides whom an address stands for, `record` is what a restarted agent still knows, `network` says
what kind of node this is, and `watch` puts them together.
"""
