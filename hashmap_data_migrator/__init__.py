"""The original's module name, so that its command lines go on working: it runs hdm."""
