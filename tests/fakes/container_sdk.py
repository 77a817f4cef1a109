"""An unmodified boto3 that loads credentials once, and what it says when the endpoint has them."""

from fakes.endpoint_rig import BASE

SDK = """
import boto3
keys = boto3.Session().get_credentials()
frozen = keys and keys.get_frozen_credentials()
print(keys and (keys.method, frozen.access_key, frozen.account_id), flush=True)
"""
SERVED = str(("container-role", "ASIA1", BASE.split(":")[4]))
