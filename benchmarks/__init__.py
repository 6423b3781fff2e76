"""Measurements that anyone can run: each prints figures and ratios of one run, and asserts nothing of time."""
