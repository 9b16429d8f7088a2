"""Programs that measure, each printing a table and a line of JSON.

Where Python was told to keep no bytecode (``PYTHONDONTWRITEBYTECODE``, as in many containers), a
node would compile all of this software at each start. What is installed has been compiled: so the
processes measured here keep theirs in a folder that goes with the benchmark.
"""

import atexit
import os
import shutil
import tempfile

if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
    _folder = tempfile.mkdtemp(prefix="grapevine-bench-bytecode-")
    atexit.register(shutil.rmtree, _folder, ignore_errors=True)
    os.environ["PYTHONPYCACHEPREFIX"] = _folder
