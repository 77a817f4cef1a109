"""The kernel as the witness of who has an address now.

`rtnetlink` is its protocol; by `questions` and `news` the `kernel` is asked and tells of changes.
`links` tells one link from another, `bindings` decides whom an address stands for by what the
`entry_table` keeps of it, `state_file` is what a restarted agent still knows, `cni_report` says
which CNI the node has, and `service` puts them together: what cannot be heard vouches for nobody.
"""
