"""`python -m dvt_core` is the command `dvt`."""

import sys

from dvt_core.cli import main

sys.exit(main())
