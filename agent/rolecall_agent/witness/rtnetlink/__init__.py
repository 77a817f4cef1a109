"""The kernel's protocol for routes, links and neighbours, as far as the witness needs it.

What it says becomes `messages`, by `parsing`; what is asked of it is in `requests`. Both go by the
numbers and structures of `layout`.
"""
