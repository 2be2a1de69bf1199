"""Turns a manifest into a plan, and the plan into jobs and chunks."""
