"""Nothing is collected here unless a live system is named."""

import os

collect_ignore = [] if any(name.startswith("HDM_LIVE_") for name in os.environ) else ["test_live.py"]
