"""Which version this is: the one that is installed."""

from importlib.metadata import version

VERSION = version("rolecall")
