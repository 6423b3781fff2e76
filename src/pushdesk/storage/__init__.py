"""The one seam to the database."""
