"""One file or package per system; a driver is imported only when its connector connects."""
