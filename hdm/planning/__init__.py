"""Turns a manifest into a plan, and a plan into jobs and chunks."""
