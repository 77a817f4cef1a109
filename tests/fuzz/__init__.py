"""The metadata endpoint against any bytes: what a pod may send, and what may happen meanwhile.

A script (`script.py`) is bytes: HTTP as it comes, and between it single bytes that stand for what
else happens: another connection, a pod that goes, time that passes. A scene (`scene.py`) plays it
to the real endpoint and its real connections, on loop and sockets that are played (`loop.py`,
`wire.py`), and holds every answer against what is true by then (`world.py`).

`scripts/fuzz` looks for scripts that break something, led by the code that they reach.
`test_endpoint.py` plays again what was found so far (`corpus/`), with every test run.
"""
