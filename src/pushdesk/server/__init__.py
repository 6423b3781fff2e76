"""The HTTP server: pages, subscription API, applications' API, admin API."""
