"""The soak: `make soak MINUTES=60`. See CONTRIBUTING, "Soak", for what it does."""
