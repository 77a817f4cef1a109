"""`rolecall demo`: the whole path on one machine, from an annotation to an SDK's credentials.

Read `story.py` for what is shown, `stage.py` for what runs: moto's STS, a real server, a real agent
and the pods of `examples/`, each a process that runs boto3 as it comes.
"""
