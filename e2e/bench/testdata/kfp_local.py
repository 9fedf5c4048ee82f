"""Runs a compiled pipeline with kfp.local as it ships, in Docker: FILE [JSON of the arguments].

Prints the seconds that the run took: what Python and kfp need to start is not in it."""
import contextlib
import json
import sys
import tempfile
import time

from kfp import components, local

with tempfile.TemporaryDirectory(prefix='wherry-bench-') as root, contextlib.redirect_stdout(sys.stderr):
    local.init(runner=local.DockerRunner(), pipeline_root=root)
    start = time.monotonic()
    components.load_component_from_file(sys.argv[1])(**json.loads(sys.argv[2] if len(sys.argv) > 2 else '{}'))
    took = time.monotonic() - start
print(took)
