"""``python -m patchwork_traces``: becomes the program."""

import os
import subprocess
import sys

from patchwork_traces import program

if sys.platform == "win32":
    sys.exit(subprocess.run([program(), *sys.argv[1:]]).returncode)
os.execv(program(), [program(), *sys.argv[1:]])
