"""The values that everything else is about, and the ports that adapters implement."""
