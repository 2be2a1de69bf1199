"""Public schemas with data, each as a SQLite file to begin a journey with."""
