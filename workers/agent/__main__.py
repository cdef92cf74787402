"""`python -m workers.agent`: run the remote worker."""

import sys

from workers.agent.agent import main

sys.exit(main())
