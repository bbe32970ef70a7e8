"""Runs patchwork-traces, which bundles, restores, verifies and searches the trace logs of Patchwork OS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from typing import Any

__all__ = ["program", "run"]

#: 3: done, but the result needs a person, and says why.
_DONE = (0, 3)


def program() -> str:
    """Returns the path of the program. Raises FileNotFoundError if it is not where an installer puts it."""
    name = "patchwork-traces" + (sysconfig.get_config_var("EXE") or "")
    scheme = sysconfig.get_preferred_scheme("user") if sys.version_info >= (3, 10) else f"{os.name}_user"
    # `pip install --target DIR` puts programs in DIR/bin.
    beside = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bin")
    for directory in (sysconfig.get_path("scripts"), sysconfig.get_path("scripts", scheme), beside):
        path = os.path.join(directory, name)
        if os.path.isfile(path):
            return path
    raise FileNotFoundError(f"{name} is not installed where Python looks for programs: install patchwork-traces again")


def run(args: Sequence[str | os.PathLike[str]], **options: Any) -> Any:
    """Runs a command with --json and returns the object that it prints.

    ``options`` are those of :func:`subprocess.run`. Raises :class:`subprocess.CalledProcessError` if the command fails.
    """
    done = subprocess.run([program(), *args, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    if done.returncode not in _DONE:
        done.check_returncode()
    return json.loads(done.stdout)
