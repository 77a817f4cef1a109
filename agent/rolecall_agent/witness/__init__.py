"""The kernel as the witness of who has an address now.

`netlink` writes the kernel's messages and `reading` reads them, `kernel` asks it and hears of
changes, `links` tells one link from another, `bindings` decides whom an address stands for by what
is `remembered` of it, `record` is what a restarted agent still knows, `noticing` says what kind of
node this is, and `watch` puts them together.
"""
