"""The core: changes and a time go in, decisions and what to ask STS come out.

Only `issue_loop` waits and acts; everything else is synchronous, with the time as an argument.
"""
