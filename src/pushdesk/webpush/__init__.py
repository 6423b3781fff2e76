"""The Web Push protocol: no storage, no server, no console, no clock of its own."""
