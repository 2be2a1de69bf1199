"""Whole schemas: crawled from a system, mapped to another, written as DDL, and reported on."""
