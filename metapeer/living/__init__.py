"""A review that is kept up to date in a folder of the user's own: it is changed in one go, or not at all."""
