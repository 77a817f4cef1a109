"""Tells all stories of the witness on one node, inside the lab.

`python -m lab.witness_told KIND DIRECTORY` writes for each what went wrong, as JSON.
`test_witness.py` starts it.
"""

import asyncio
import json
import logging
import os
import sys
from pathlib import Path

import uvloop

from lab import (  # noqa: F401 - they note their stories
    witness_connections,
    witness_floods,
    witness_numbers,
    witness_stories,
    witness_trades,
)
from lab.witness_ground import tell
from rolecall_cli.lab.addresses import Kind

if __name__ == "__main__":
    logging.basicConfig(level=os.environ.get("STORY_LOG", "ERROR"))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(tell(Kind(sys.argv[1]), Path(sys.argv[2])))
    sys.stdout.write(json.dumps(found))
