"""The scale test: a server, thousands of conversations, and a push service that counts."""
