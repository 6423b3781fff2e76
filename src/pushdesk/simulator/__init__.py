"""A push service that runs on this machine: virtual browsers that decrypt, and faults on demand."""
