"""Which version this is. The package's own version is read from here when it is built."""

VERSION = "0.1.0"
