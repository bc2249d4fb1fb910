"""``python -m impasto`` is the command line."""

import sys

from impasto.cli import main

sys.exit(main())
