"""``python -m giblet VERB``."""

import sys

from giblet.cli import main

sys.exit(main())
