"""The aggregates of the state database: its methods by what they are about, such as runs, jobs and chunks."""
