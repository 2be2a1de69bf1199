"""``python -m hashmap_data_migrator MANIFEST -l LOG_SETTINGS -e ENV``: the same as ``python -m hdm``."""

from hdm.cli import main

if __name__ == "__main__":
    main()
