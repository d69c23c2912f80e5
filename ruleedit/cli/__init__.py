"""The command line: ``ruleedit --help``.

Heavy imports happen in the commands that need them, so that help answers at once.
"""

from ruleedit.cli.app import main

__all__ = ["main"]
