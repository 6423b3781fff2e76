"""The operator's console: a Textual app that holds a Desk."""
