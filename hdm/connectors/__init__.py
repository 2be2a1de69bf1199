"""Sources and sinks, one file or package per system; a driver is imported only to connect."""
