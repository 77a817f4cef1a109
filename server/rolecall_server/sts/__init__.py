"""The adapter to AWS STS: it turns an identity into credentials, and errors into the issuer's.

`factory.py` puts it together, `client.py` makes a call, `own_credentials.py` keeps the server's own
keys. botocore brings configuration, the credential chain and the endpoint rules; the transport is
aiohttp, because botocore's own costs five to six times the processor time per call.
"""
