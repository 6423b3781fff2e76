"""A sender process: encrypts and posts what the engine hands it. It holds no state, no database and no policy."""
