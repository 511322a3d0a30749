"""`python -m desktop_ft`."""

import sys

from desktop_ft.cli import main

sys.exit(main())
