"""Nothing is collected here unless a live system is named."""

import os

collect_ignore_glob = [] if any(name.startswith("HDM_LIVE_") for name in os.environ) else ["test_*.py"]
